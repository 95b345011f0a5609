// What is done to findings as a whole. Each is one step of the drawing, with words for undoing it.

import { Mask, sameMask } from "./mask.js";
import { drawn, find, withNew, without, withShape } from "./model.js";
import { fillHoles, parts, scaled, smooth } from "./shapes.js";
import { unionAll } from "./runs.js";

// Smaller parts are crumbs of a stroke: they stay with the largest one.
const CRUMB_PX = 4;

export class Edits {
  constructor(app) { this.app = app; }

  // The selected finding's mask, or words that say what is missing.
  get masked() {
    const { app } = this;
    const shape = app.selected;
    if (!shape) app.say("Choose a finding first.");
    else if (!shape.mask) app.say("This finding has only a box. Outline it first: with SAM, brush or polygon.");
    return shape?.mask ? shape : null;
  }

  change(uid, changes, words) { this.app.commit(withShape({ ...this.app.doc, prompt: null }, uid, changes), words, uid); }

  withRuns(make, words, none) {
    const shape = this.masked;
    if (!shape) return;
    const mask = Mask.of(make(shape.mask.runs), this.app.frame);
    if (!mask || sameMask(mask, shape.mask)) this.app.say(none);
    else this.change(shape.uid, { mask }, words);
  }

  fill() { this.withRuns((runs) => fillHoles(runs, this.app.frame.height), "Holes filled", "This mask has no holes."); }
  smooth() { this.withRuns((runs) => smooth(runs, this.app.frame), "Smoothed", "This mask is smooth already."); }

  splitParts() {
    const shape = this.masked;
    if (!shape) return;
    const found = parts(shape.mask.runs, this.app.frame.height);
    const large = found.filter((part) => part.length > 2 || part[1] - part[0] > CRUMB_PX);
    if (large.length < 2) return void this.app.say("This mask is in one piece. Draw a line across it to part it.");
    const crumbs = found.filter((part) => !large.includes(part));
    this.splitInto(shape, [unionAll([large[0], ...crumbs]), ...large.slice(1)]);
  }

  // The largest piece stays the finding that it was, the others are new ones of the same class.
  splitInto(shape, pieces) {
    const { app } = this;
    const masks = pieces.map((runs) => Mask.of(runs, app.frame));
    const more = masks.slice(1).map((mask) => drawn({ type: shape.type, severity: shape.severity, mask }));
    const doc = withShape({ ...app.doc, prompt: null }, shape.uid, { mask: masks[0] });
    app.commit(withNew(doc, ...more), `Split into ${pieces.length}`, shape.uid);
    app.say(`Split into ${pieces.length} findings.`);
  }

  // The marked ones go into the selected one, which keeps class and severity.
  merge() {
    const { app } = this;
    const shape = app.selected;
    const others = [...app.marked].map((uid) => find(app.doc, uid)).filter(Boolean);
    if (!shape || !others.length) return void app.say("Choose a finding, then mark others with Shift and a click (or + in the list), then merge.");
    const masks = [shape, ...others].map((one) => one.mask).filter(Boolean);
    const outline = masks.length
      ? { mask: Mask.of(unionAll(masks.map((mask) => mask.runs)), app.frame) }
      : { box: around([shape, ...others].map((one) => one.box)) };
    let doc = withShape({ ...app.doc, prompt: null }, shape.uid, outline);
    for (const other of others) doc = removed(doc, other, { reason: "duplicate", comment: `Merged into ${app.titleOf(shape)}` });
    app.marked.clear();
    app.commit(doc, `Merged ${others.length + 1} findings`, shape.uid);
    return void app.say(`Merged into ${app.titleOf(shape)}.`);
  }

  remove(shape, why) {
    this.app.commit(removed({ ...this.app.doc, prompt: null }, shape, why), `Deleted ${this.app.titleOf(shape)}`, null);
    this.app.say(`${this.app.titleOf(shape)} is deleted. Undo brings it back.`);
  }

  setType(shape, name) {
    const type = this.app.types.get(name);
    if (!type || shape.type === name) return;
    this.app.lastType = name;
    const severity = shape.origin ? shape.severity : type.severity;
    this.change(shape.uid, { type: name, severity }, `Class ${type.label}`);
  }

  setSeverity(shape, severity) { this.change(shape.uid, { severity }, "Severity"); }
  setColour(shape, colour) { this.change(shape.uid, { colour }, "Colour"); }
  setHidden(shape, hidden) { this.change(shape.uid, { hidden }, hidden ? "Hidden" : "Shown"); }

  setAllHidden(hidden) {
    const shapes = this.app.doc.shapes.map((shape) => ({ ...shape, hidden }));
    this.app.commit({ ...this.app.doc, shapes }, hidden ? "All hidden" : "All shown");
  }

  onlyBox(shape) {
    const { x, y, width, height } = shape.mask.bounds;
    this.change(shape.uid, { mask: null, box: [x, y, width, height] }, "Only the box kept");
  }

  // A finding of the earlier photo, at its place on this one.
  copy(other, from) {
    const { app } = this;
    const [across, down] = [app.frame.width / from.width, app.frame.height / from.height];
    const type = app.types.has(other.type) ? other.type : app.lastType;
    const mask = other.mask && Mask.of(scaled(other.mask.runs, from, app.frame), app.frame);
    const box = mask ? null : [other.box[0] * across, other.box[1] * down, other.box[2] * across, other.box[3] * down];
    const shape = drawn({ type, severity: other.severity, mask, box });
    app.commit(withNew({ ...app.doc, prompt: null }, shape), "Copied from the earlier photo", shape.uid);
    app.show(shape);
    app.say(`${app.nameOf(shape)} copied. Drag it with the arrow tool where it has moved.`);
  }
}

function removed(doc, shape, why) {
  return shape.origin ? withShape(doc, shape.uid, { rejected: why }) : without(doc, shape.uid);
}

function around(boxes) {
  const left = Math.min(...boxes.map((box) => box[0]));
  const top = Math.min(...boxes.map((box) => box[1]));
  const right = Math.max(...boxes.map((box) => box[0] + box[2]));
  const bottom = Math.max(...boxes.map((box) => box[1] + box[3]));
  return [left, top, right - left, bottom - top];
}
