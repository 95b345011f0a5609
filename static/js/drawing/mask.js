// A mask of one photo: what came over the wire (COCO counts) and the set of pixels, each made from
// the other when it is first wanted. It never changes.

import { area, bounds, fromCounts, has, same, toCounts } from "./runs.js";

export class Mask {
  #runs = null;
  #counts = null;
  #bounds;

  constructor(frame, { runs = null, counts = null }) {
    this.width = frame.width;
    this.height = frame.height;
    this.#runs = runs;
    this.#counts = counts;
  }

  static of(runs, frame) { return runs.length ? new Mask(frame, { runs }) : null; }

  static received(told) {
    return told && new Mask({ height: told.size[0], width: told.size[1] }, { counts: told.counts });
  }

  get runs() { return (this.#runs ??= fromCounts(this.#counts)); }
  get isRead() { return this.#runs !== null; }
  get area() { return area(this.runs); }
  has(x, y) { return has(this.runs, x, y, this.height); }

  get bounds() { return (this.#bounds ??= bounds(this.runs, this.height)); }

  get sent() {
    this.#counts ??= toCounts(this.#runs, this.width * this.height);
    return { size: [this.height, this.width], counts: this.#counts };
  }

  equals(other) {
    if (this === other) return true;
    if (!other || other.width !== this.width || other.height !== this.height) return false;
    if (this.#counts !== null && this.#counts === other.#counts) return true;
    return same(this.runs, other.runs);
  }
}

export const sameMask = (a, b) => (a ? a.equals(b) : !b);
