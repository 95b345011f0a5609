// Sets of pixels as sorted borders of runs: Int32Array [from, to, from, to, …), column by column
// (x * height + y, as in COCO). They are never changed in place, so that an undo keeps references,
// and a photo of 50 megapixels costs what the outline costs, not what the area does.

import { decodeCounts } from "../rle.js";

export const NOTHING = new Int32Array(0);
// Kept where the first set has the pixel (1), the second (2), or both (3).
const UNION = [false, true, true, true];
const BOTH = [false, false, false, true];
const WITHOUT = [false, true, false, false];

function combine(a, b, keep) {
  const out = new Int32Array(a.length + b.length);
  let i = 0, j = 0, count = 0, was = false;
  while (i < a.length || j < b.length) {
    const fromA = i < a.length ? a[i] : Infinity;
    const fromB = j < b.length ? b[j] : Infinity;
    const at = Math.min(fromA, fromB);
    if (fromA === at) i++;
    if (fromB === at) j++;
    const is = keep[(i & 1) | ((j & 1) << 1)];
    if (is !== was) out[count++] = at;
    was = is;
  }
  return out.slice(0, count);
}

export function union(a, b) { return a.length ? (b.length ? combine(a, b, UNION) : a) : b; }
export function intersect(a, b) { return a.length && b.length ? combine(a, b, BOTH) : NOTHING; }
export function subtract(a, b) { return a.length && b.length ? combine(a, b, WITHOUT) : a; }

// Of many sets at once: halves first, so that each run is copied log(n) times only.
export function unionAll(sets) {
  if (sets.length < 2) return sets[0] ?? NOTHING;
  const middle = sets.length >> 1;
  return union(unionAll(sets.slice(0, middle)), unionAll(sets.slice(middle)));
}

export function area(runs) {
  let sum = 0;
  for (let i = 0; i < runs.length; i += 2) sum += runs[i + 1] - runs[i];
  return sum;
}

export function same(a, b) {
  return a === b || (a.length === b.length && a.every((value, index) => value === b[index]));
}

// Index of the first border beyond a position.
export function borderAfter(runs, position) {
  let low = 0, high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle] <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function has(runs, x, y, height) { return (borderAfter(runs, x * height + y) & 1) === 1; }

// The smallest rectangle around it, {x, y, width, height}; null where it is empty.
export function bounds(runs, height) {
  if (!runs.length) return null;
  const left = Math.floor(runs[0] / height);
  const right = Math.floor((runs[runs.length - 1] - 1) / height);
  let top = height, bottom = -1;
  for (let i = 0; i < runs.length; i += 2) {
    const last = runs[i + 1] - 1;
    const spans = Math.floor(runs[i] / height) !== Math.floor(last / height);
    top = spans ? 0 : Math.min(top, runs[i] % height);
    bottom = spans ? height - 1 : Math.max(bottom, last % height);
  }
  return { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

// Calls each(x, from, to) for every piece of a column, columns from `first` up to before `last`.
export function eachColumn(runs, height, each, first = 0, last = Infinity) {
  const start = first > 0 ? borderAfter(runs, first * height) & ~1 : 0;
  for (let i = start; i < runs.length; i += 2) {
    let at = Math.max(runs[i], first * height);
    const end = runs[i + 1];
    while (at < end) {
      const x = Math.floor(at / height);
      if (x >= last) return;
      const columnEnd = Math.min(end, (x + 1) * height);
      each(x, at - x * height, columnEnd - x * height);
      at = columnEnd;
    }
  }
}

// Puts pieces of columns together, in order of x and from; what touches or overlaps is joined.
export class Builder {
  constructor(height, room = 256) {
    this.height = height;
    this.borders = new Int32Array(room);
    this.count = 0;
  }

  add(x, from, to) {
    if (from >= to) return;
    const start = x * this.height + from;
    const end = x * this.height + to;
    if (this.count && start <= this.borders[this.count - 1]) {
      this.borders[this.count - 1] = Math.max(end, this.borders[this.count - 1]);
      return;
    }
    if (this.count + 2 > this.borders.length) this.grow();
    this.borders[this.count++] = start;
    this.borders[this.count++] = end;
  }

  grow() {
    const larger = new Int32Array(this.borders.length * 2);
    larger.set(this.borders);
    this.borders = larger;
  }

  done() { return this.borders.slice(0, this.count); }
}

// The same shape in another frame, moved; what lies outside of the frame is cut off.
export function moved(runs, height, dx, dy, frame) {
  const builder = new Builder(frame.height, runs.length + 2);
  eachColumn(runs, height, (x, from, to) => {
    if (x + dx < 0 || x + dx >= frame.width) return;
    builder.add(x + dx, Math.max(0, from + dy), Math.min(frame.height, to + dy));
  });
  return builder.done();
}

// Compressed COCO counts, as pycocotools writes them, and back.
export function toCounts(runs, total) {
  const lengths = [];
  let at = 0;
  for (const border of runs) {
    lengths.push(border - at);
    at = border;
  }
  if (at < total || !lengths.length) lengths.push(total - at);
  const letters = [];
  lengths.forEach((length, index) => {
    writeNumber(letters, index > 2 ? length - lengths[index - 2] : length);
  });
  return letters.join("");
}

function writeNumber(letters, value) {
  let more = true;
  while (more) {
    let bits = value & 0x1f;
    value >>= 5;
    more = bits & 0x10 ? value !== -1 : value !== 0;
    if (more) bits |= 0x20;
    letters.push(String.fromCharCode(bits + 48));
  }
}

export function fromCounts(text) {
  const lengths = decodeCounts(text);
  const out = new Int32Array(lengths.length + 1);
  let at = 0, count = 0;
  lengths.forEach((length, index) => {
    // A run of no length joins its neighbours.
    if (index % 2 && length) {
      if (count && out[count - 1] === at) count -= 1;
      else out[count++] = at;
      out[count++] = at + length;
    }
    at += length;
  });
  return out.slice(0, count);
}
