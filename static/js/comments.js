// Comments on a unit and their pins on the photo. A pin is an overlay of the viewer, so that it
// moves with the photo; its place is kept as shares of the photo's width and height.

import { csrf, register } from "./keys.js";
import { toast } from "./toast.js";
import { onNews, onUnit, unit } from "./unit.js";

const $ = (id) => document.getElementById(id);
const state = { inspection: null, pins: [], placing: false, draft: null, shown: [] };

function address() { return `/inspections/${state.inspection}/comments/`; }

async function load() {
  if (!state.inspection || !$("comments")) return;
  try {
    const answer = await fetch(address());
    if (answer.ok && !isWriting()) put(await answer.text());
  } catch { /* without a connection the page stays as it is */ }
}

// What is being written must not be wiped away.
function isWriting() { return [...document.querySelectorAll("#comments textarea")].some((field) => field.value.trim()); }

function put(html) {
  $("comments").outerHTML = html;
  state.pins = JSON.parse($("pins-data")?.textContent || "[]");
  state.draft = null;
  drawPins();
  goToHash();
}

async function send(form, submitter) {
  const button = submitter ?? form.querySelector("[type=submit]");
  button.disabled = true;
  const kept = drafts();
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: csrf() });
    if (!answer.ok) throw new Error(answer.headers.get("X-Message") || `Not saved (${answer.status}). Try again.`);
    put(await answer.text());
    if (form.elements.body) $("comment-body")?.focus();
    restore(kept, form);
  } catch (error) {
    button.disabled = false;
    toast(error instanceof TypeError ? "No connection, so this was not saved. Try again." : error.message, "error");
  }
}

// Other texts that were begun when one of them was sent.
function drafts() {
  return [...document.querySelectorAll("#comments form")].filter((form) => form.elements.body?.value).map((form) => ({
    thread: form.elements.thread?.value ?? "", body: form.elements.body.value,
  }));
}

function restore(kept, sent) {
  const done = sent.elements.body ? sent.elements.thread?.value ?? "" : null;
  for (const draft of kept) {
    if (draft.thread === done) continue;
    const form = [...document.querySelectorAll("#comments form")].find((one) => one.elements.body && (one.elements.thread?.value ?? "") === draft.thread);
    if (!form) continue;
    form.elements.body.value = draft.body;
    form.closest("details")?.setAttribute("open", "");
  }
}

// Pins.

function drawPins() {
  const osd = unit.viewer?.osd;
  if (!osd) return;
  for (const element of state.shown) osd.removeOverlay(element);
  state.shown = [];
  const item = osd.world.getItemAt(0);
  if (!item) return;
  const size = item.getContentSize();
  const here = state.pins.filter((pin) => pin.photo === unit.photo && !pin.resolved);
  if (state.draft?.photo === unit.photo) here.push({ ...state.draft, id: "draft", number: "+", text: "New comment" });
  for (const pin of here) {
    const element = pinElement(pin);
    osd.addOverlay({
      element,
      location: item.imageToViewportCoordinates(pin.x * size.x, pin.y * size.y),
      placement: OpenSeadragon.Placement.BOTTOM,
      checkResize: false,
    });
    new OpenSeadragon.MouseTracker({ element, clickHandler: () => show(pin.id) });
    state.shown.push(element);
  }
}

function pinElement(pin) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = `pin${pin.id === "draft" ? " is-draft" : ""}`;
  element.textContent = pin.number;
  element.title = pin.text;
  element.setAttribute("aria-label", `Comment ${pin.number}: ${pin.text}`);
  element.addEventListener("keydown", (event) => { if (["Enter", " "].includes(event.key)) { event.preventDefault(); show(pin.id); } });
  return element;
}

function show(id) {
  const row = id === "draft" ? $("comment-new") : $(`comment-${id}`);
  row?.scrollIntoView({ block: "center" });
  if (id === "draft") $("comment-body").focus();
  else row?.focus({ preventScroll: true });
}

function showOnPhoto(id) {
  const pin = state.pins.find((one) => one.id === id);
  if (!pin || !unit.viewer) return;
  const button = document.querySelector(`#filmstrip [data-photo="${pin.photo}"]`);
  if (pin.photo !== unit.photo) button?.click();
  const osd = unit.viewer.osd;
  const pan = () => {
    const item = osd.world.getItemAt(0);
    const size = item.getContentSize();
    osd.viewport.panTo(item.imageToViewportCoordinates(pin.x * size.x, pin.y * size.y));
    drawPins();
  };
  if (osd.world.getItemAt(0)) pan(); else osd.addOnceHandler("open", pan);
  $("photo")?.scrollIntoView({ block: "nearest" });
}

function place(on) {
  state.placing = on;
  $("comment-pin")?.setAttribute("aria-pressed", String(on));
  $("stage")?.classList.toggle("is-placing", on);
  if (on) toast("Click the place on the photo, or press Enter for its middle. Esc: no pin.");
}

function putDraft(point) {
  const item = unit.viewer?.osd.world.getItemAt(0);
  if (!item) return;
  const at = item.viewerElementToImageCoordinates(point);
  const size = item.getContentSize();
  const [x, y] = [at.x / size.x, at.y / size.y];
  if (x < 0 || y < 0 || x > 1 || y > 1) return toast("Put the pin on the photo.", "warning");
  setDraft({ photo: unit.photo, x, y });
  place(false);
}

function setDraft(draft) {
  state.draft = draft;
  const fields = $("comment-new").elements;
  for (const name of ["photo", "x", "y"]) fields[name].value = draft ? draft[name] : "";
  $("comment-place").hidden = !draft;
  drawPins();
  $("comment-new").scrollIntoView({ block: "nearest" });
  $("comment-body").focus({ preventScroll: true });
}

function putInTheMiddle() {
  const { clientWidth, clientHeight } = unit.viewer.osd.canvas;
  putDraft(new OpenSeadragon.Point(clientWidth / 2, clientHeight / 2));
}

// Names after an @.

function suggest(field) {
  const place = $("comment-names");
  const begun = /(?:^|\s)@([\w.+-]*)$/.exec(field.value.slice(0, field.selectionStart));
  if (!place || !begun) { if (place) place.textContent = ""; return; }
  const names = JSON.parse($("names-data")?.textContent || "[]").filter((name) => name.toLowerCase().startsWith(begun[1].toLowerCase())).slice(0, 6);
  place.replaceChildren(names.length ? "Tab takes: " : "Nobody here has such a name.", ...names.flatMap((name) => [nameButton(field, name, begun[1]), " "]));
}

function nameButton(field, name, begun) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "linklike";
  button.textContent = `@${name}`;
  button.addEventListener("click", () => takeName(field, name, begun));
  return button;
}

function takeName(field, name, begun) {
  const at = field.selectionStart;
  field.setRangeText(`${name} `, at - begun.length, at, "end");
  field.focus();
  $("comment-names").textContent = "";
}

function goToHash() {
  if (!location.hash.startsWith("#comment-")) return;
  const id = location.hash.slice("#comment-".length);
  const row = $(`comment-${id}`);
  row?.scrollIntoView({ block: "center" });
  row?.classList.add("is-target");
  const thread = row?.closest(".thread")?.dataset.comment;
  if (thread && state.pins.some((pin) => pin.id === thread)) showOnPhoto(thread);
}

document.addEventListener("submit", (event) => {
  if (!("commentForm" in event.target.dataset)) return;
  event.preventDefault();
  send(event.target, event.submitter);
});
document.addEventListener("click", (event) => {
  const target = event.target.closest?.("[data-show-pin], #comment-pin, #comment-unpin");
  if (!target) return;
  if (target.dataset.showPin) showOnPhoto(target.dataset.showPin);
  else if (target.id === "comment-pin") place(!state.placing);
  else setDraft(null);
});
document.addEventListener("input", (event) => { if (event.target.closest?.("#comments") && event.target.name === "body") suggest(event.target); });
document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (field.name !== "body" || !field.closest?.("#comments")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) field.form.requestSubmit();
  const first = event.key === "Tab" && !event.shiftKey && field.id === "comment-body" && $("comment-names").querySelector("button");
  if (first) { event.preventDefault(); first.click(); }
});

function watchViewer() {
  const osd = unit.viewer?.osd;
  if (!osd || osd.commentsWatch) return;
  osd.commentsWatch = true;
  osd.addHandler("open", drawPins);
  osd.addHandler("canvas-click", (event) => {
    if (!state.placing || !event.quick) return;
    event.preventDefaultAction = true;
    event.stopPropagation = true;  // before the viewer's own, which would select a finding there
    putDraft(event.position);
  }, null, 10);
}

register([
  { id: "comment.pin", group: "Comments", label: "Pin a comment to the photo", keys: ["p"], when: () => Boolean($("comment-pin")), run: () => place(!state.placing) },
  { id: "comment.write", group: "Comments", label: "Write a comment", keys: ["i"], when: () => Boolean($("comment-body")), run: () => { $("comment-new").scrollIntoView({ block: "center" }); $("comment-body").focus({ preventScroll: true }); } },
  { id: "comment.middle", group: "Comments", label: "Pin to the middle of the view", keys: ["Enter"], fixed: true, when: () => state.placing, run: putInTheMiddle },
  { id: "comment.leave", group: "Comments", label: "No pin", keys: ["Escape"], fixed: true, when: () => state.placing, run: () => place(false) },
]);
onUnit(({ id }) => {
  watchViewer();
  if (id === state.inspection) return;
  state.inspection = id;
  place(false);
  state.draft = null;
  state.pins = [];
  if ($("comments")?.dataset.inspection === id) {
    state.pins = JSON.parse($("pins-data")?.textContent || "[]");
    drawPins();
  }
  load();
});
onNews(() => { watchViewer(); drawPins(); });
