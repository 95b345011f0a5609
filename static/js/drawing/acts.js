// The keys of the page, and drawing without a mouse: a crosshair that arrow keys move and Enter presses.

import { register } from "../keys.js";

const PAN_PX = 60;
const STEP_PX = 8;

// The crosshair: places on the screen, given to the tool in force as if they were a pointer's.
export class Crosshair {
  constructor(app) { Object.assign(this, { app, at: null, isDown: false }); }

  toggle() {
    const { width, height } = this.app.view;
    if (this.isDown) this.press();
    this.at = this.at ? null : [width / 2, height / 2];
    this.app.redraw("tool");
    this.app.say(this.at ? "Crosshair: arrow keys move it, Enter presses and lets go. Shift: faster, Alt: pixel by pixel." : "Crosshair off.");
  }

  event(isOther = false) {
    const event = { isKeyboard: true, buttons: this.isDown ? 1 : 0, button: 0, altKey: isOther, shiftKey: false };
    return { photo: this.app.view.toPhoto(...this.at), screen: this.at, event };
  }

  move(dx, dy, event) {
    const reach = event.altKey ? Math.max(1, this.app.view.scale) : STEP_PX * (event.shiftKey ? 6 : 1);
    const { width, height } = this.app.view;
    this.at = [Math.min(width, Math.max(0, this.at[0] + dx * reach)), Math.min(height, Math.max(0, this.at[1] + dy * reach))];
    const { tool } = this.app.stage;
    if (this.isDown) tool.move(this.event(), [this.event().photo]);
    else tool.hover?.(this.event());
    this.app.redraw("tool");
  }

  press(isOther = false) {
    const { tool } = this.app.stage;
    const isClick = ["sam", "polygon", "select"].includes(tool.id);
    if (!this.isDown) tool.down(this.event(isOther));
    this.isDown = !this.isDown && !isClick;
    if (isClick || !this.isDown) tool.up(this.event(isOther));
    this.app.redraw("tool");
  }
}

export function registerActs(app, { edits, work, compare, tools, setTool, crosshair, remove, copy, leave, cycle }) {
  const { stage, view } = app;
  const zoom = (factor) => {
    view.zoomAt(view.width / 2, view.height / 2, factor);
    stage.moved();
  };
  const arrow = (dx, dy) => (event) => {
    if (crosshair.at) return crosshair.move(dx, dy, event);
    view.pan(-dx * PAN_PX, -dy * PAN_PX);
    return stage.moved();
  };
  const edit = (id, label, keys, run, more = {}) => ({ id: `draw.${id}`, group: "Change", label, keys, run, ...more });
  const see = (id, label, keys, run, more = {}) => ({ id: `draw.${id}`, group: "See", label, keys, run, ...more });
  const busyTool = () => stage.tool?.isBusy;
  const withSelected = (act) => () => (app.selected ? act(app.selected) : app.say("Choose a finding first."));
  const direction = (name) => [name, `Shift+${name}`, `Alt+${name}`];

  const toolActs = tools.map(({ id, label, key }) => ({ id: `draw.tool.${id}`, group: "Tools", label, keys: [key], run: () => setTool(id) }));
  const changes = [
    edit("undo", "Undo", ["Mod+z"], () => app.undo(), { repeats: true }),
    edit("redo", "Redo", ["Mod+Shift+z", "Mod+y"], () => app.redo(), { repeats: true }),
    edit("save", "Save", ["Mod+s"], () => work.save(), { typing: true }),
    edit("leave", "Save and go back to the unit", ["Mod+Enter"], () => leave(), { typing: true }),
    edit("smaller", "Smaller brush", ["["], () => app.resizeBrush(1 / 1.25), { repeats: true }),
    edit("larger", "Larger brush", ["]"], () => app.resizeBrush(1.25), { repeats: true }),
    edit("new", "New finding (choose none)", ["n"], () => app.select(null)),
    edit("fill", "Fill holes", ["f"], () => edits.fill()),
    edit("smooth", "Smooth", ["m"], () => edits.smooth()),
    edit("parts", "Split into connected parts", ["Shift+x"], () => edits.splitParts()),
    edit("merge", "Merge the marked findings", ["g"], () => edits.merge()),
    edit("copy", "Copy from the earlier photo", ["c"], () => copy()),
    edit("remove", "Delete, with a reason", ["Delete", "Backspace"], withSelected(remove), { when: () => !busyTool() }),
    edit("corner", "Take back the last corner", ["Backspace"], () => stage.tool.back(), { when: () => busyTool() && stage.tool.back }),
    edit("close", "Close the polygon", ["Enter"], () => stage.tool.enter(), { when: () => busyTool() && !crosshair.at }),
    edit("press", "Press the crosshair (Alt: the other way)", ["Enter", "Alt+Enter"], (event) => crosshair.press(event.altKey), { when: () => crosshair.at }),
    edit("closeToo", "Close the polygon at the crosshair", ["Shift+Enter"], () => stage.tool.enter(), { when: () => busyTool() }),
    ...app.told.types.slice(0, 9).map((type, index) => edit(`class.${index + 1}`, `Class ${index + 1}: ${type.label}`, [String(index + 1)], () => {
      if (app.selected && app.canEdit) return edits.setType(app.selected, type.name);
      app.lastType = type.name;
      return app.say(`The next finding is: ${type.label}.`);
    })),
  ];
  const sight = [
    see("next", "Next finding", ["j"], () => cycle(1), { repeats: true }),
    see("previous", "Previous finding", ["k"], () => cycle(-1), { repeats: true }),
    see("in", "Zoom in", ["+", "="], () => zoom(1.25), { repeats: true }),
    see("out", "Zoom out", ["-"], () => zoom(0.8), { repeats: true }),
    see("fit", "Whole photo", ["0"], () => { view.fit(); stage.moved(); }),
    see("one", "Pixel for pixel", ["z"], () => { view.center(view.toPhoto(view.width / 2, view.height / 2), 1 / stage.ratio); stage.moved(); }),
    see("hide", "Hide or show the finding", ["h"], withSelected((shape) => edits.setHidden(shape, !shape.hidden))),
    see("hideAll", "Hide or show all", ["Shift+h"], () => edits.setAllHidden(app.open.some((shape) => !shape.hidden))),
    see("contour", "Only contours", ["o"], () => app.setLook({ isContour: !app.look.isContour })),
    see("fainter", "Fainter masks", [","], () => app.setLook({ opacity: Math.max(0, app.look.opacity - 0.1) }), { repeats: true }),
    see("stronger", "Stronger masks", ["."], () => app.setLook({ opacity: Math.min(1, app.look.opacity + 0.1) }), { repeats: true }),
    see("side", "Side by side", ["d"], () => compare.setMode("side")),
    see("swipe", "Swipe across", ["w"], () => compare.setMode("swipe")),
    see("sashLeft", "Sash to the left", ["<"], () => compare.moveSash(compare.sash - 0.04), { repeats: true, when: () => compare.mode === "swipe" }),
    see("sashRight", "Sash to the right", [">"], () => compare.moveSash(compare.sash + 0.04), { repeats: true, when: () => compare.mode === "swipe" }),
    see("heat", "Heat map", ["a"], () => compare.toggleHeat()),
    see("crosshair", "Draw with the keyboard: crosshair", ["Shift+k"], () => crosshair.toggle()),
    see("left", "Move left", direction("ArrowLeft"), arrow(-1, 0), { repeats: true, fixed: true }),
    see("right", "Move right", direction("ArrowRight"), arrow(1, 0), { repeats: true, fixed: true }),
    see("up", "Move up", direction("ArrowUp"), arrow(0, -1), { repeats: true, fixed: true }),
    see("down", "Move down", direction("ArrowDown"), arrow(0, 1), { repeats: true, fixed: true }),
  ];
  const cancel = { id: "draw.cancel", group: "Change", label: "Give up what is begun; choose none", keys: ["Escape"], fixed: true, run: () => {
    const { tool } = stage;
    if (tool?.isBusy || app.live) return tool.cancel();
    if (crosshair.at) return crosshair.toggle();
    return app.select(null);
  } };
  const isViewOnly = (act) => act.group === "See" || ["draw.undo", "draw.redo"].includes(act.id) || act.id === "draw.tool.select";
  const acts = [...toolActs, ...changes, ...sight, cancel].filter((act) => app.canEdit || isViewOnly(act) || act === cancel);
  register(acts);
  holdSpace(stage);
}

// While Space is held, the photo moves, whatever the tool.
function holdSpace(stage) {
  const set = (isHand) => {
    stage.isHand = isHand;
    stage.element.classList.toggle("is-hand", isHand);
  };
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.closest?.("button, input, select, textarea, a, summary, dialog")) return;
    event.preventDefault();
    set(true);
  });
  document.addEventListener("keyup", (event) => { if (event.key === " ") set(false); });
  addEventListener("blur", () => set(false));
}
