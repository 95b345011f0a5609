// What lies over the photo: masks, boxes, numbers, and the marks of a tool.

import { boxOf, isOpen } from "./model.js";
import { Pictures } from "./pictures.js";
import { eachColumn } from "./runs.js";

const MOST_TAGS = 40;
const SMALL_PX = 14;
const LARGE_PX = 60;
const SHARP_FROM = 3;

export class Painter {
  constructor(view) {
    this.view = view;
    this.pictures = new Pictures();
    this.others = new Pictures();
  }

  // `look`: { opacity, isContour, selected, hovered, marked, ratio, colourOf }. Returns whether
  // there was no time for all of it: then another frame is wanted.
  draw(context, shapes, look) {
    this.pictures.begin();
    const open = shapes.filter((shape) => isOpen(shape) && !shape.hidden);
    const isFront = (shape) => shape.uid === look.selected || look.marked.has(shape.uid) || shape.uid === look.hovered;
    for (const shape of open) if (!isFront(shape)) this.drawShape(context, shape, look);
    for (const shape of open) if (isFront(shape)) this.drawShape(context, shape, look, true);
    // Where there are many, numbers would hide what they stand at: those of large masks only.
    const least = open.length > MOST_TAGS ? LARGE_PX : SMALL_PX;
    for (const shape of open) if (!isFront(shape)) this.drawTag(context, shape, look, least);
    for (const shape of open) if (isFront(shape)) this.drawTag(context, shape, look, 0);
    return this.pictures.isLate;
  }

  drawShape(context, shape, look, isFront = false) {
    const colour = look.colourOf(shape);
    if (!shape.mask) return this.drawBox(context, shape.box, colour, isFront);
    const { view, pictures } = this;
    const isContour = look.isContour && view.scale < SHARP_FROM;
    const picture = look.isContour && !isContour ? null
      : pictures.of(shape.uid, shape.mask, view, { colour, isContour, ratio: look.ratio, isUrgent: shape.uid === look.selected });
    if (picture === undefined && shape.box) this.drawBox(context, shape.box, colour, isFront);
    if (picture) this.drawPicture(context, picture, isContour ? 1 : look.opacity);
    if (isFront || (look.isContour && !isContour)) this.drawRim(context, shape.mask, colour, isFront);
    return undefined;
  }

  drawPicture(context, picture, opacity) {
    const { scale } = this.view;
    const [x, y] = this.view.toScreen(picture.x, picture.y);
    context.globalAlpha = opacity;
    context.imageSmoothingEnabled = false;
    context.drawImage(picture.canvas, x, y, picture.width * scale, picture.height * scale);
    context.globalAlpha = 1;
  }

  // Along the sides of the pixels, sharp at every zoom; for few masks only.
  drawRim(context, mask, colour, isFront) {
    const path = rimOf(mask, this.view);
    context.lineWidth = isFront ? 3.5 : 2.5;
    context.strokeStyle = "rgb(0 0 0 / 0.55)";
    context.stroke(path);
    context.lineWidth = isFront ? 1.75 : 1.25;
    context.strokeStyle = colour;
    context.stroke(path);
  }

  drawBox(context, box, colour, isFront) {
    if (!box) return;
    const [x, y] = this.view.toScreen(box[0], box[1]);
    const [width, height] = [box[2] * this.view.scale, box[3] * this.view.scale];
    context.setLineDash([6, 4]);
    for (const [line, style] of [[isFront ? 4.5 : 3, "rgb(0 0 0 / 0.55)"], [isFront ? 2.5 : 1.5, colour]]) {
      context.lineWidth = line;
      context.strokeStyle = style;
      context.strokeRect(x, y, width, height);
    }
    context.setLineDash([]);
  }

  drawTag(context, shape, look, least) {
    const box = boxOf(shape);
    if (!box || Math.max(box[2], box[3]) * this.view.scale < least) return;
    const [x, y] = this.view.toScreen(box[0], box[1]);
    if (x > this.view.width || y > this.view.height || x < -200 || y < -20) return;
    const number = shape.number ?? "new";
    const text = least === 0 ? `${number} ${look.nameOf(shape)}` : String(number);
    context.font = "600 12px system-ui, sans-serif";
    const width = Math.max(18, context.measureText(text).width + 9);
    const top = Math.max(0, y - 19);
    context.fillStyle = "rgb(16 17 19 / 0.85)";
    context.fillRect(x, top, width, 17);
    context.fillStyle = look.colourOf(shape);
    context.fillRect(x, top + 15, width, 2);
    context.fillStyle = "#fff";
    context.textBaseline = "middle";
    context.fillText(text, x + 4, top + 8);
  }

  // Findings of another photo, as outlines: the earlier one's, or somebody else's word.
  drawGhosts(context, shapes, colour) {
    this.others.begin();
    for (const shape of shapes) {
      const picture = shape.mask && this.others.of(shape.uid, shape.mask, this.view, { colour, isContour: true });
      if (picture) this.drawPicture(context, picture, 1);
      else this.drawBox(context, shape.box, colour, false);
    }
    return this.others.isLate;
  }
}

// The rim of the part that is seen. Where pixels are smaller than the screen's, columns are skipped.
function rimOf(mask, view) {
  const seen = view.visible(0.05);
  const step = Math.max(1, Math.floor(1 / view.scale));
  const path = new Path2D();
  const columns = new Map();
  eachColumn(mask.runs, mask.height, (x, from, to) => {
    if (x % step) return;
    if (!columns.has(x)) columns.set(x, []);
    columns.get(x).push(from, to);
  }, seen.x - (seen.x % step), seen.x + seen.width);
  for (const [x, spans] of columns) {
    acrossLines(path, view, x, step, spans);
    downLines(path, view, x, differing(columns.get(x - step) ?? [], spans));
    if (!columns.has(x + step)) downLines(path, view, x + step, spans);
  }
  return path;
}

function acrossLines(path, view, x, step, spans) {
  for (const y of spans) {
    const [left, top] = view.toScreen(x, y);
    path.moveTo(left, top);
    path.lineTo(left + step * view.scale, top);
  }
}

function downLines(path, view, x, spans) {
  for (let i = 0; i < spans.length; i += 2) {
    const [left, top] = view.toScreen(x, spans[i]);
    path.moveTo(left, top);
    path.lineTo(left, top + (spans[i + 1] - spans[i]) * view.scale);
  }
}

// Where one column has the mask and its neighbour has not: borders of both, sorted, pair up.
function differing(a, b) {
  const borders = [...a, ...b].sort((left, right) => left - right);
  const out = [];
  for (const border of borders) {
    if (out.length && out[out.length - 1] === border) out.pop();
    else out.push(border);
  }
  return out;
}

export function drawCrosshair(context, [x, y], isDown) {
  for (const [width, colour] of [[4, "rgb(0 0 0 / 0.6)"], [1.5, isDown ? "#ffb22e" : "#fff"]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(x - 14, y);
    context.lineTo(x + 14, y);
    context.moveTo(x, y - 14);
    context.lineTo(x, y + 14);
    context.stroke();
  }
}

export function drawLine(context, places, { isClosed = false, dash = [] } = {}) {
  if (!places.length) return;
  context.beginPath();
  places.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (isClosed) context.closePath();
  context.lineJoin = context.lineCap = "round";
  context.setLineDash(dash);
  for (const [width, colour] of [[4, "rgb(0 0 0 / 0.6)"], [2, "#ffffff"]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }
  context.setLineDash([]);
}

export function drawDot(context, [x, y], colour, radius = 5, sign = "") {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = "#101113";
  context.stroke();
  if (!sign) return;
  context.fillStyle = "#101113";
  context.font = "700 12px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.fillText(sign, x, y + 0.5);
  context.textAlign = "start";
}
