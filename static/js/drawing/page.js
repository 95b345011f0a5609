// The drawing page: puts its parts together.

import { paintHints } from "../keys.js";
import { toast } from "../toast.js";
import { Crosshair, registerActs } from "./acts.js";
import { App } from "./app.js";
import { Compare } from "./compare.js";
import { askConflict, askWhy, offerCopies } from "./dialogs.js";
import { Edits } from "./edits.js";
import { received } from "./model.js";
import { Outliner } from "./outliner.js";
import { drawCrosshair } from "./paint.js";
import { make, Panel } from "./panel.js";
import { Photo } from "./photo.js";
import { Stage } from "./stage.js";
import { Brush, Knife, Polygon } from "./tools_paint.js";
import { Box, Sam, Select } from "./tools_box.js";
import { count, Work } from "./work.js";

const $ = (id) => document.getElementById(id);
const STATES = {
  kept: ["Draft kept", "ok"], sending: ["Keeping the draft…", ""], saving: ["Saving…", ""], saved: ["Saved", "ok"],
  away: ["Offline: kept in this browser", "warn"], elsewhere: ["Open in another window", "warn"], refused: ["Not saved", "bad"],
};

const told = { ...JSON.parse($("drawing").textContent), user: document.body.querySelector("#draw").dataset.user };
const app = new App(told);
const edits = new Edits(app);
app.splitInto = (shape, pieces) => edits.splitInto(shape, pieces);
const compare = new Compare(app);
const photo = new Photo({ url: told.photo.view_url, width: app.frame.width, height: app.frame.height, tiles: told.photo.tiles }, () => {
  $("draw-loading").hidden = photo.isReady;
  if (photo.error) $("draw-loading").textContent = photo.error;
  app.redraw("photo");
});
const crosshair = new Crosshair(app);
const outliner = new Outliner(app, told.session_urls.sam, showProgress);
let earlier = null;

app.say = (words, kind) => {
  $("draw-said").textContent = words;
  if (kind === "error") toast(words, "error");
};

const onPane = (paint) => (context) => {
  const { width, height } = app.stage.size;
  context.save();
  context.beginPath();
  context.rect(0, 0, compare.paneWidth(width), height);
  context.clip();
  paint(context);
  context.restore();
};
app.stage = new Stage($("draw-stage"), app.view, {
  photo: (context) => compare.draw(context, photo),
  masks: onPane((context) => app.paintMasks(context)),
  tool: onPane((context) => {
    app.stage.tool?.draw(context);
    if (crosshair.at) drawCrosshair(context, crosshair.at, crosshair.isDown);
  }),
});
Object.assign(app.stage, {
  paneWidth: (width) => compare.paneWidth(width),
  onDown: (place) => compare.down(place),
  onDrag: (place) => compare.drag(place),
  onRelease: () => compare.release(),
  onMoved: () => { $("draw-zoom").textContent = `${Math.round(app.view.scale * app.stage.ratio * 100)} %`; },
});

const tools = new Map([new Select(app), new Sam(app, outliner), new Brush(app, false), new Brush(app, true), new Polygon(app), new Box(app), new Knife(app)].map((tool) => [tool.id, tool]));
const buttons = [...document.querySelectorAll("[data-tool]")];

function setTool(id) {
  app.stage.tool?.cancel?.();
  app.stage.tool = tools.get(id);
  app.stage.element.dataset.inHand = id;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.tool === id));
  for (const part of document.querySelectorAll("[data-options-of]")) part.hidden = !part.dataset.optionsOf.split(" ").includes(id);
  app.say(buttons.find((button) => button.dataset.tool === id)?.getAttribute("aria-label") ?? id);
  app.redraw("tool");
}

const work = new Work(app, { status: showStatus, notice: showNotice, conflict: (rows) => askConflict(app, rows) });
const panel = new Panel(app, edits);

function showStatus(state, words) {
  const [text, kind] = STATES[state];
  $("draw-status").textContent = text;
  $("draw-status").className = `badge ${kind}`;
  $("draw-status").title = words ?? "";
  if (["away", "elsewhere", "refused"].includes(state)) app.say(words || text);
}

function showNotice(notice) {
  const place = $("draw-notice");
  place.hidden = !notice;
  if (!notice) return;
  place.className = `notice draw-notice ${notice.kind}`;
  const acts = [...notice.acts, ["Close", () => {}]].map(([label, run]) => {
    const button = make("button", { type: "button", className: "btn small", textContent: label });
    button.addEventListener("click", () => {
      place.hidden = true;
      run();
    });
    return button;
  });
  place.replaceChildren(make("span", { textContent: notice.words }), make("span", { className: "row" }, ...acts));
}

function showProgress(share, words) {
  $("draw-progress").hidden = share === null;
  if (share === null) return;
  $("draw-progress-bar").value = share;
  if ($("draw-progress-words").textContent !== words) $("draw-progress-words").textContent = words;
}

async function remove(shape) {
  if (!shape.origin) return edits.remove(shape, null);
  const why = await askWhy(app, shape);
  app.stage.element.focus();
  return why && edits.remove(shape, why);
}

function copy() {
  if (!earlier) return app.say("This unit has no earlier photo.");
  return offerCopies(app, earlier, (shape) => edits.copy(shape, earlier.frame));
}

async function leave() {
  if (await work.save()) location.assign(told.session_urls.unit);
}

function cycle(step) {
  const { open } = app;
  if (!open.length) return app.say("There is no finding yet.");
  const at = open.findIndex((shape) => shape.uid === app.selectedUid);
  const next = open[(at + step + open.length + (at < 0 && step < 0 ? 1 : 0)) % open.length];
  app.select(next.uid, { show: true });
  return app.say(`${app.titleOf(next)}, ${open.indexOf(next) + 1} of ${open.length}.`);
}

const byButton = {
  undo: () => app.undo(), redo: () => app.redo(), save: () => work.save(), leave,
  fill: () => edits.fill(), smooth: () => edits.smooth(), parts: () => edits.splitParts(), merge: () => edits.merge(), copy,
  remove: () => app.selected && remove(app.selected), new: () => app.select(null), clear: () => app.select(null),
  smaller: () => app.resizeBrush(1 / 1.25), larger: () => app.resizeBrush(1.25),
  contour: () => app.setLook({ isContour: !app.look.isContour }),
  hideAll: () => edits.setAllHidden(app.open.some((shape) => !shape.hidden)),
  side: () => compare.setMode("side"), swipe: () => compare.setMode("swipe"), heat: () => compare.toggleHeat(),
  in: () => zoom(1.25), out: () => zoom(0.8),
  fit: () => { app.view.fit(); app.stage.moved(); },
  one: () => { app.view.center(app.view.toPhoto(app.view.width / 2, app.view.height / 2), 1 / app.stage.ratio); app.stage.moved(); },
  sheet: () => {
    const isOpen = $("draw").classList.toggle("has-sheet");
    $("draw-sheet-toggle").setAttribute("aria-expanded", String(isOpen));
  },
  minus: () => {
    tools.get("sam").sign = !tools.get("sam").sign;
    drawLook();
  },
};

function zoom(factor) {
  app.view.zoomAt(app.view.width / 2, app.view.height / 2, factor);
  app.stage.moved();
}

function drawLook() {
  const pressed = { contour: app.look.isContour, side: compare.mode === "side", swipe: compare.mode === "swipe", heat: compare.isHeat, minus: !tools.get("sam").sign };
  for (const [act, is] of Object.entries(pressed)) {
    for (const button of document.querySelectorAll(`[data-act="${act}"]`)) button.setAttribute("aria-pressed", String(is));
  }
  $("draw-opacity").value = String(Math.round(app.look.opacity * 100));
  if (app.canEdit) $("draw-radius").textContent = `${Math.round(app.radius * 2)} px`;
}

function drawSteps() {
  const { history } = app;
  const set = (act, can, words) => {
    for (const button of document.querySelectorAll(`[data-act="${act}"]`)) {
      button.setAttribute("aria-disabled", String(!can));
      button.title = words;
    }
  };
  set("undo", history.canUndo, history.undoWords ? `Undo: ${history.undoWords}` : "Nothing to undo");
  set("redo", history.canRedo, history.redoWords ? `Redo: ${history.redoWords}` : "Nothing to redo");
  if (app.canEdit) $("draw-save-count").textContent = work.count ? String(work.count) : "";
}

function listen() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-act], [data-tool]");
    if (button?.dataset.tool) setTool(button.dataset.tool);
    else if (button) byButton[button.dataset.act]?.();
  });
  $("draw-opacity").addEventListener("input", (event) => app.setLook({ opacity: event.target.value / 100 }));
  for (const field of document.querySelectorAll("[data-option]")) {
    field.addEventListener("change", () => { app.options[field.dataset.option] = field.value; });
  }
  $("draw-compare").addEventListener("change", (event) => compare.choose(Number(event.target.value)));
  app.on("change", drawSteps);
  app.on("look", drawLook);
  // Nothing is lost by leaving, but a draft that is still on its way is worth a question.
  addEventListener("beforeunload", (event) => { if (work.drafts.waiting && work.drafts.isHereFull) event.preventDefault(); });
}

function offer(state) {
  compare.offer(state);
  $("draw-compare").replaceChildren(...compare.choices.map((choice, index) => make("option", { value: index, textContent: choice.label })));
  $("draw-beside").hidden = !compare.canCompare;
  $("draw-heat").hidden = !state.heat_url;
  if (state.earlier) {
    const { width, height } = state.earlier.photo;
    earlier = { frame: { width, height }, shapes: state.earlier.findings.map(received).filter((shape) => shape.origin.status !== "rejected") };
  }
  for (const button of document.querySelectorAll('[data-act="copy"]')) button.hidden = !earlier;
}

async function start() {
  listen();
  photo.load();
  setTool("select");
  registerActs(app, { edits, work, compare, crosshair, setTool, remove, copy, leave, cycle, tools: buttons.map((button) => ({ id: button.dataset.tool, label: button.dataset.label, key: button.dataset.key })) });
  paintHints();
  drawLook();
  try {
    const state = await work.load();
    offer(state);
    photo.tiles ??= state.tiles;
    $("draw").dataset.ready = "yes";
    app.say(`${count(app.open.length, "finding")} on this photo.`);
    if (needsTiles() && !photo.tiles) work.waitForTiles((tiles) => { photo.tiles = tiles; app.redraw("photo"); }).catch(() => {});
  } catch (error) {
    showNotice({ words: `${error.message} Nothing can be drawn until the findings are here.`, kind: "bad", acts: [["Try again", () => location.reload()]] });
    return;
  }
  drawSteps();
  if (app.canEdit) outliner.warm();
}

const needsTiles = () => told.photo.view_width < told.photo.width;

window.loupeDrawing = { app, work, photo, compare, panel };
start();
