// Masks as pictures: made when they come into sight, no finer than the screen shows them, only the
// part that is seen and some around it, a few milliseconds of them in each frame.

import { eachColumn } from "./runs.js";
import { covers, overlap } from "./view.js";

const BUDGET_MS = 7;
const WHOLE = 120_000;
const MOST_PIXELS = 30_000_000;

export class Pictures {
  constructor() {
    this.made = new Map();
    this.pixels = 0;
  }

  // In each frame first.
  begin() {
    this.until = performance.now() + BUDGET_MS;
    this.isLate = false;
  }

  // A picture {canvas, x, y, width, height} of what is seen of a mask; null where it is out of
  // sight; an older one, or undefined, where there is no time left in this frame.
  of(uid, mask, view, { colour, isContour, isUrgent = false, ratio = 1 }) {
    if (!mask.isRead && !this.hasTime(isUrgent)) return undefined;
    const seen = mask.bounds && overlap(mask.bounds, view.visible());
    if (!seen) return null;
    const step = 2 ** Math.max(0, Math.floor(Math.log2(1 / (view.scale * ratio))));
    const known = this.made.get(uid);
    const isSame = known && known.mask === mask && known.colour === colour && known.isContour === isContour;
    if (isSame && known.step === step && covers(known, seen)) return this.used(uid, known);
    if (!this.hasTime(isUrgent)) return isSame ? known : undefined;
    return this.make(uid, { mask, step, colour, isContour }, view);
  }

  hasTime(isUrgent) {
    if (isUrgent || performance.now() < this.until) return true;
    this.isLate = true;
    return false;
  }

  make(uid, wanted, view) {
    const { mask, step } = wanted;
    const { bounds } = mask;
    const isSmall = (bounds.width / step) * (bounds.height / step) <= WHOLE;
    const region = onGrid(isSmall ? bounds : overlap(bounds, view.visible(0.4)), step);
    const known = this.made.get(uid);
    const canvas = paint(mask, region, wanted, known?.canvas);
    const picture = { ...wanted, ...region, canvas };
    this.forget(uid);
    this.pixels += canvas.width * canvas.height;
    this.made.set(uid, picture);
    this.makeRoom(uid);
    return picture;
  }

  used(uid, picture) {
    this.made.delete(uid);
    this.made.set(uid, picture);
    return picture;
  }

  forget(uid) {
    const known = this.made.get(uid);
    if (!known) return;
    this.pixels -= known.canvas.width * known.canvas.height;
    this.made.delete(uid);
  }

  makeRoom(last) {
    for (const uid of this.made.keys()) {
      if (this.pixels <= MOST_PIXELS || uid === last) return;
      this.forget(uid);
    }
  }
}

function onGrid({ x, y, width, height }, step) {
  const [left, top] = [Math.floor(x / step) * step, Math.floor(y / step) * step];
  return {
    x: left, y: top,
    width: Math.ceil((x + width - left) / step) * step, height: Math.ceil((y + height - top) / step) * step,
  };
}

function paint(mask, region, { step, colour, isContour }, canvas = document.createElement("canvas")) {
  const columns = region.width / step;
  const rows = region.height / step;
  const picture = new ImageData(columns, rows);
  const pixels = new Uint32Array(picture.data.buffer);
  const full = (255 << 24) | parseInt(colour.slice(5, 7) + colour.slice(3, 5) + colour.slice(1, 3), 16);
  const last = region.y + region.height;
  // Where several pixels share one of the screen, one of them is enough: a hairline stays in sight.
  eachColumn(mask.runs, mask.height, (x, from, to) => {
    if (to <= region.y || from >= last) return;
    let at = Math.floor((Math.max(from, region.y) - region.y) / step) * columns + Math.floor((x - region.x) / step);
    const end = Math.ceil((Math.min(to, last) - region.y) / step) * columns;
    for (; at < end; at += columns) pixels[at] = full;
  }, region.x, region.x + region.width);
  if (isContour) hollow(pixels, columns, rows, region, mask);
  canvas.width = columns;
  canvas.height = rows;
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}

// Only the rim is left. At the edge of the picture the mask goes on, unless it ends there.
function hollow(pixels, columns, rows, region, mask) {
  const before = pixels.slice();
  const { bounds } = mask;
  const ends = {
    left: region.x <= bounds.x, top: region.y <= bounds.y,
    right: region.x + region.width >= bounds.x + bounds.width, bottom: region.y + region.height >= bounds.y + bounds.height,
  };
  const on = (x, y, at) => {
    if (x < 0) return !ends.left;
    if (x >= columns) return !ends.right;
    if (y < 0) return !ends.top;
    if (y >= rows) return !ends.bottom;
    return before[at] !== 0;
  };
  for (let y = 0, at = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, at++) {
      if (before[at] && on(x - 1, y, at - 1) && on(x + 1, y, at + 1) && on(x, y - 1, at - columns) && on(x, y + 1, at + columns)) pixels[at] = 0;
    }
  }
}
