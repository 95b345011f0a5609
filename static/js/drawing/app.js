// The drawing and how it is looked at: one place where it changes. Who shows something of it listens
// for "change" (the drawing), "select" (what is selected) and "look" (how it is shown).

import { History } from "./history.js";
import { documentOf, drawn, find, isOpen } from "./model.js";
import { Painter } from "./paint.js";
import { View } from "./view.js";

const FALLBACK = "#bbbbbb";
const LEAST_RADIUS = 0.5;

export class App extends EventTarget {
  constructor(told) {
    super();
    this.told = told;
    this.frame = { width: told.photo.width, height: told.photo.height };
    this.canEdit = told.can_edit;
    this.types = new Map(told.types.map((type) => [type.name, type]));
    this.view = new View(this.frame);
    this.painter = new Painter(this.view);
    this.history = new History(documentOf([]));
    this.selectedUid = null;
    this.hoveredUid = null;
    this.marked = new Set();
    this.live = null;
    this.options = { polygon: "add", sam: "add" };
    this.look = { opacity: 0.45, isContour: false, areShown: true };
    this.radius = Math.max(3, Math.round(Math.max(this.frame.width, this.frame.height) / 120));
    this.lastType = told.types[0]?.name ?? null;
    this.say = () => {};
  }

  tell(what) { this.dispatchEvent(new Event(what)); }
  on(what, listener) { for (const one of what.split(" ")) this.addEventListener(one, listener); }

  get doc() { return this.history.state; }
  get selected() { return this.selectedUid ? find(this.doc, this.selectedUid) : null; }
  get open() { return this.doc.shapes.filter(isOpen); }

  // What is on the screen: the drawing, with the stroke that is being made.
  get shown() {
    const { live } = this;
    if (!live) return this.doc.shapes;
    return find(this.doc, live.uid) ? this.doc.shapes.map((shape) => (shape.uid === live.uid ? live : shape)) : [...this.doc.shapes, live];
  }

  colourOf(shape) { return shape.colour ?? this.types.get(shape.type)?.color ?? shape.origin?.color ?? FALLBACK; }
  nameOf(shape) { return this.types.get(shape.type)?.label ?? shape.type; }
  titleOf(shape) { return `${shape.number ?? "New"} ${this.nameOf(shape)}`; }

  newShape(outline) {
    const type = this.types.get(this.lastType) ?? { name: "", severity: "minor" };
    return drawn({ type: type.name, severity: type.severity, ...outline });
  }

  // A step of its own, which can be undone.
  commit(doc, words, uid = this.selectedUid) {
    this.live = null;
    this.history.push(doc, words, uid);
    this.setSelected(uid);
    this.tell("change");
    this.redraw();
  }

  // The drawing is another one from now on, and there is nothing to undo.
  reset(doc) {
    this.live = null;
    this.history.reset(doc);
    this.setSelected(this.selectedUid);
    this.tell("change");
    this.redraw();
  }

  undo() { this.step(this.history.undo(), "Undone", "Nothing to undo."); }
  redo() { this.step(this.history.redo(), "Redone", "Nothing to redo."); }

  step(words, done, none) {
    this.stage?.tool?.cancel?.();
    if (!words) return this.say(none);
    const { focus } = this.history;
    this.setSelected(focus && find(this.doc, focus) ? focus : this.selectedUid);
    this.tell("change");
    this.redraw();
    return this.say(`${done}: ${words}.`);
  }

  setLive(shape) {
    this.live = shape;
    this.redraw("masks", "tool");
  }

  setSelected(uid) {
    const shape = uid ? find(this.doc, uid) : null;
    this.selectedUid = shape && isOpen(shape) ? uid : null;
    for (const one of this.marked) if (!find(this.doc, one)) this.marked.delete(one);
    this.tell("select");
  }

  select(uid, { show = false } = {}) {
    this.marked.clear();
    this.setSelected(uid);
    const shape = this.selected;
    if (show && shape) this.show(shape);
    this.redraw("masks", "tool");
    this.tell("select");
  }

  show(shape) {
    const box = shape.mask ? shape.mask.bounds : null;
    this.view.show(box ? [box.x, box.y, box.width, box.height] : shape.box);
    this.stage.moved();
  }

  // One more, for what is done to several.
  mark(uid) {
    if (!this.selectedUid) return this.select(uid);
    if (uid === this.selectedUid) return undefined;
    if (!this.marked.delete(uid)) this.marked.add(uid);
    this.tell("select");
    return this.redraw("masks");
  }

  selectAt(photo) { this.select(this.shapeAt(photo)?.uid ?? null); }

  hover(uid) {
    if (this.hoveredUid === uid) return;
    this.hoveredUid = uid;
    this.redraw("masks");
  }

  // The smallest of those that lie under a place: pixels of masks, and what boxes go around.
  shapeAt([x, y]) {
    const hits = this.open.filter((shape) => !shape.hidden && isUnder(shape, x, y));
    const size = (shape) => (shape.mask ? shape.mask.area : shape.box[2] * shape.box[3]);
    return hits.sort((a, b) => size(a) - size(b))[0] ?? null;
  }

  resizeBrush(factor) {
    const most = Math.max(this.frame.width, this.frame.height) / 4;
    const next = factor > 1 ? Math.max(this.radius * factor, this.radius + 0.5) : this.radius * factor;
    this.radius = Math.round(Math.min(most, Math.max(LEAST_RADIUS, next)) * 2) / 2;
    this.tell("look");
    this.redraw("tool");
    this.say(`Brush ${Math.round(this.radius * 2)} pixels wide.`);
  }

  setLook(changes) {
    Object.assign(this.look, changes);
    this.tell("look");
    this.redraw("masks", "photo");
  }

  redraw(...layers) { this.stage?.redraw(...layers); }

  paintMasks(context) {
    if (!this.look.areShown) return;
    const isLate = this.painter.draw(context, this.shown, {
      ...this.look, selected: this.live?.uid ?? this.selectedUid, hovered: this.hoveredUid, marked: this.marked, ratio: this.stage.ratio,
      colourOf: (shape) => this.colourOf(shape), nameOf: (shape) => this.nameOf(shape),
    });
    if (isLate) this.redraw("masks");
  }
}

function isUnder(shape, x, y) {
  if (!shape.mask) {
    const [left, top, width, height] = shape.box ?? [0, 0, 0, 0];
    return x >= left && x < left + width && y >= top && y < top + height;
  }
  const { bounds } = shape.mask;
  if (!bounds || x < bounds.x || y < bounds.y || x >= bounds.x + bounds.width || y >= bounds.y + bounds.height) return false;
  return shape.mask.has(Math.floor(x), Math.floor(y));
}
