// Brush, eraser, polygon and the cutting line. A tool hears down, move, up, hover, cancel, and draws
// its own marks; what it makes it commits to the drawing, one step for each stroke.

import { Mask } from "./mask.js";
import { withNew, withShape } from "./model.js";
import { drawDot, drawLine } from "./paint.js";
import { capsule, polygon } from "./raster.js";
import { NOTHING, subtract, union } from "./runs.js";
import { cut } from "./shapes.js";

const CLOSE_PX = 10;
const FREEHAND_PX = 5;

// The shape with other pixels: of the one that is selected, else a new one. Null where none is left.
export function withPixels(app, shape, runs) {
  const mask = Mask.of(runs, app.frame);
  if (!mask) return null;
  return shape ? { ...shape, mask } : app.newShape({ mask });
}

// Put a shape into the drawing: in its place, or as a new one.
export function commitShape(app, before, after, words) {
  const doc = before ? withShape({ ...app.doc, prompt: null }, before.uid, after) : withNew({ ...app.doc, prompt: null }, after);
  app.commit(doc, words, after.uid);
}

const pixelsOf = (shape) => shape?.mask?.runs ?? NOTHING;
const nameOf = (shape) => (shape?.number ? `finding ${shape.number}` : "the new finding");

export class Brush {
  constructor(app, isEraser) {
    Object.assign(this, { app, isEraser, id: isEraser ? "eraser" : "brush", at: null });
  }

  down({ photo }) {
    if (this.isEraser && !this.app.selected) this.app.selectAt(photo);
    this.shape = this.app.selected;
    if (this.isEraser && !this.shape?.mask) {
      this.app.say(this.shape ? "This finding has only a box. Nothing to erase." : "Choose the finding to erase from first.");
      this.shape = undefined;
      return;
    }
    this.base = pixelsOf(this.shape);
    this.painted = NOTHING;
    this.isDown = true;
    this.last = photo;
    this.extend([photo]);
  }

  move(at, places) {
    this.at = at.photo;
    if (this.isDown) this.extend(places);
    this.app.redraw("tool");
  }

  extend(places) {
    for (const place of places) {
      this.painted = union(this.painted, capsule(...this.last, ...place, this.app.radius, this.app.frame));
      this.last = place;
    }
    this.show();
  }

  get result() { return (this.isEraser ? subtract : union)(this.base, this.painted); }

  show() {
    this.live = withPixels(this.app, this.shape ?? this.live, this.result) ?? { ...this.shape, mask: null, box: null };
    this.app.setLive(this.live);
  }

  hover(at) {
    this.at = at.photo;
    this.app.redraw("tool");
  }

  leave() {
    this.at = null;
    this.app.redraw("tool");
  }

  up() {
    if (!this.isDown) return;
    const { shape, live } = this;
    this.cancel();
    if (!live.mask) return this.app.say(`That would leave nothing of ${nameOf(shape)}. To remove it, delete it with a reason.`);
    if (!shape || !live.mask.equals(shape.mask)) commitShape(this.app, shape, live, this.isEraser ? "Erased" : "Brush stroke");
  }

  cancel() {
    this.isDown = false;
    this.live = null;
    this.app.setLive(null);
  }

  draw(context) {
    if (!this.at) return;
    const [x, y] = this.app.view.toScreen(...this.at);
    const radius = Math.max(1, this.app.radius * this.app.view.scale);
    for (const [width, colour] of [[3, "rgb(0 0 0 / 0.6)"], [1.25, this.isEraser ? "#ff9f97" : "#ffffff"]]) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.stroke();
    }
  }
}

// Corner by corner; a drag draws freehand. Enter, a double click or a click on the first corner closes.
export class Polygon {
  constructor(app) {
    Object.assign(this, { app, id: "polygon", places: [], at: null });
  }

  get isBusy() { return this.places.length > 0; }

  down({ photo }) {
    if (this.places.length > 2 && this.isNear(photo, this.places[0])) return this.finish();
    if (!this.places.length || !this.isNear(photo, this.places.at(-1), 3)) this.places.push(photo);
    this.dragged = photo;
    return this.app.redraw("tool");
  }

  move({ photo, event }) {
    this.at = photo;
    if (this.dragged && (event.buttons || event.isKeyboard) && this.farFrom(photo, this.dragged) > FREEHAND_PX) {
      this.places.push(photo);
      this.dragged = photo;
      this.isFreehand = true;
    }
    this.app.redraw("tool");
  }

  up() {
    this.dragged = null;
    if (this.isFreehand && this.places.length > 8) this.finish();
    this.isFreehand = false;
  }

  hover({ photo }) {
    this.at = photo;
    if (this.isBusy) this.app.redraw("tool");
  }

  double() { this.finish(); }
  enter() { this.finish(); }

  back() {
    this.places.pop();
    this.app.redraw("tool");
  }

  farFrom(a, b) { return Math.hypot(a[0] - b[0], a[1] - b[1]) * this.app.view.scale; }
  isNear(a, b, reach = CLOSE_PX) { return this.farFrom(a, b) < reach; }

  finish() {
    const places = this.places;
    this.cancel();
    if (places.length < 3) return undefined;
    const inside = polygon(places, this.app.frame);
    const shape = this.app.selected;
    const isCut = this.app.options.polygon === "cut";
    const after = withPixels(this.app, shape, (isCut ? subtract : union)(pixelsOf(shape), inside));
    if (!after) return this.app.say(isCut ? `That would leave nothing of ${nameOf(shape)}.` : "That polygon has no pixel in it. Draw it larger.");
    return commitShape(this.app, shape, after, isCut ? "Polygon cut away" : "Polygon");
  }

  cancel() {
    this.places = [];
    this.dragged = null;
    this.app.redraw("tool");
  }

  draw(context) {
    const { view } = this.app;
    const places = this.places.map((place) => view.toScreen(...place));
    const end = this.at && this.isBusy ? [view.toScreen(...this.at)] : [];
    drawLine(context, [...places, ...end]);
    places.forEach((place, index) => drawDot(context, place, index ? "#ffffff" : "#ffb22e", index ? 4 : 6));
  }
}

// A line across the mask: what it parts become findings of their own.
export class Knife {
  constructor(app) {
    Object.assign(this, { app, id: "split", line: [] });
  }

  down({ photo }) {
    if (!this.app.selected) this.app.selectAt(photo);
    if (!this.app.selected?.mask) {
      this.app.say(this.app.selected ? "Only a mask can be split. This finding has just a box." : "Choose the finding to split first.");
      return;
    }
    this.line = [photo];
  }

  move({ photo }, places) {
    if (!this.line.length) return;
    this.line.push(...(places ?? [photo]));
    this.app.redraw("tool");
  }

  up() {
    const { line } = this;
    const shape = this.app.selected;
    this.cancel();
    if (line.length < 2 || !shape?.mask) return;
    const pieces = cut(shape.mask.runs, line, this.app.frame);
    if (pieces.length < 2) this.app.say("The line does not part the mask. Draw it from edge to edge.");
    else this.app.splitInto(shape, pieces);
  }

  cancel() {
    this.line = [];
    this.app.redraw("tool");
  }

  draw(context) { drawLine(context, this.line.map((place) => this.app.view.toScreen(...place)), { dash: [6, 5] }); }
}
