// What can be done to a mask as a whole: connected parts, holes, smoothing, cutting along a line.

import { area, bounds, Builder, eachColumn, intersect, moved, NOTHING, subtract, union, unionAll } from "./runs.js";
import { rectangle, stroke } from "./raster.js";

// Connected parts, largest first. Pixels of the same part share a side or, unless `bySides`, a corner.
export function parts(runs, height, { bySides = false } = {}) {
  const pieces = [];
  eachColumn(runs, height, (x, from, to) => pieces.push([x, from, to]));
  const parents = joinNeighbours(pieces, bySides ? 0 : 1);
  const builders = new Map();
  pieces.forEach(([x, from, to], index) => {
    const root = rootOf(parents, index);
    if (!builders.has(root)) builders.set(root, new Builder(height, 16));
    builders.get(root).add(x, from, to);
  });
  const found = [...builders.values()].map((builder) => builder.done());
  return found.map((part) => [area(part), part]).sort((a, b) => b[0] - a[0]).map(([, part]) => part);
}

function rootOf(parents, index) {
  while (parents[index] !== index) {
    parents[index] = parents[parents[index]];
    index = parents[index];
  }
  return index;
}

function joinNeighbours(pieces, reach) {
  const parents = Int32Array.from(pieces, (_, index) => index);
  let before = 0;
  for (let i = 0; i < pieces.length; i++) {
    const [x, from, to] = pieces[i];
    while (pieces[before][0] < x - 1 || (pieces[before][0] === x - 1 && pieces[before][2] + reach <= from)) before++;
    for (let j = before; pieces[j][0] === x - 1 && pieces[j][1] < to + reach; j++) {
      const [a, b] = [rootOf(parents, i), rootOf(parents, j)];
      if (a !== b) parents[Math.max(a, b)] = Math.min(a, b);
    }
  }
  return parents;
}

// Everything that the mask goes around belongs to it.
export function fillHoles(runs, height) {
  const box = bounds(runs, height);
  if (!box) return runs;
  // A frame one pixel larger on each side: there the outside hangs together, and begins at 0.
  const frame = { width: box.width + 2, height: box.height + 2 };
  const inside = moved(runs, height, 1 - box.x, 1 - box.y, frame);
  const all = Int32Array.of(0, frame.width * frame.height);
  const holes = parts(subtract(all, inside), frame.height, { bySides: true }).filter((part) => part[0] !== 0);
  const whole = { width: box.x + box.width, height };
  return union(runs, moved(unionAll(holes), frame.height, box.x - 1, box.y - 1, whole));
}

// How far smoothing reaches: a small mark keeps its form, a large one loses its fringes.
export function smoothingRadius(runs) { return Math.min(12, Math.max(1, Math.round(Math.sqrt(area(runs)) / 40))); }

// A pixel stays or comes if more than half of the square around it is in the mask. One column of
// sums slides over the mask, so that memory is that of a column. An empty result leaves the mask.
export function smooth(runs, frame, radius = smoothingRadius(runs)) {
  const box = bounds(runs, frame.height);
  if (!box) return runs;
  const top = Math.max(0, box.y - radius);
  const bottom = Math.min(frame.height, box.y + box.height + radius);
  const columns = columnsOf(runs, frame.height);
  const sums = new Int16Array(bottom - top);
  const builder = new Builder(frame.height, runs.length + 2);
  for (let x = box.x - 2 * radius; x <= box.x + box.width + radius; x++) {
    addTo(sums, columns.get(x + radius), top, 1);
    addTo(sums, columns.get(x - radius - 1), top, -1);
    if (x >= 0 && x < frame.width) keepDense(builder, x, sums, top, radius);
  }
  const result = builder.done();
  return result.length ? result : runs;
}

function columnsOf(runs, height) {
  const columns = new Map();
  eachColumn(runs, height, (x, from, to) => {
    if (!columns.has(x)) columns.set(x, []);
    columns.get(x).push(from, to);
  });
  return columns;
}

function addTo(sums, spans, top, change) {
  for (let i = 0; spans && i < spans.length; i += 2) {
    for (let y = spans[i] - top; y < spans[i + 1] - top; y++) sums[y] += change;
  }
}

function keepDense(builder, x, sums, top, radius) {
  const half = (2 * radius + 1) ** 2 / 2;
  let sum = 0, from = -1;
  for (let y = 0; y < Math.min(radius, sums.length); y++) sum += sums[y];
  for (let y = 0; y < sums.length; y++) {
    if (y + radius < sums.length) sum += sums[y + radius];
    if (y > radius) sum -= sums[y - radius - 1];
    if (sum > half && from < 0) from = y;
    if (sum <= half && from >= 0) {
      builder.add(x, from + top, y + top);
      from = -1;
    }
  }
  if (from >= 0) builder.add(x, from + top, sums.length + top);
}

// One pixel more on each side.
export function grown(runs, frame) {
  const shifts = [[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]];
  return unionAll(shifts.map(([dx, dy]) => moved(runs, frame.height, dx, dy, frame)));
}

// Cut along a line [[x, y], …]: the parts, largest first, which together are the mask as it was.
// Parts that the line doesn't cut stay with the largest one. One part: the line cuts nothing.
export function cut(runs, line, frame) {
  const knife = stroke(line, 1, frame);
  const whole = [], pieces = [];
  for (const part of parts(runs, frame.height)) {
    const halves = parts(subtract(part, knife), frame.height);
    if (halves.length < 2) whole.push(part);
    else pieces.push(...shareOut(halves, intersect(part, knife), frame));
  }
  if (!pieces.length) return [runs];
  pieces.sort((a, b) => area(b) - area(a));
  pieces[0] = unionAll([pieces[0], ...whole]);
  return pieces;
}

// The pixels under the knife go to the part beside them.
function shareOut(halves, rest, frame) {
  const taken = [...halves];
  for (let round = 0; round < 4 && rest.length; round++) {
    taken.forEach((part, index) => {
      const more = intersect(grown(part, frame), rest);
      taken[index] = union(part, more);
      rest = subtract(rest, more);
    });
  }
  taken[0] = union(taken[0], rest);
  return taken;
}

// The same shape on a photo of another size.
export function scaled(runs, from, to) {
  if (from.width === to.width && from.height === to.height) return runs;
  const [across, down] = [to.width / from.width, to.height / from.height];
  const columns = columnsOf(runs, from.height);
  const builder = new Builder(to.height, runs.length + 2);
  for (let x = 0; x < to.width; x++) {
    const spans = columns.get(Math.floor((x + 0.5) / across)) ?? [];
    for (let i = 0; i < spans.length; i += 2) {
      builder.add(x, Math.round(spans[i] * down), Math.min(to.height, Math.round(spans[i + 1] * down)));
    }
  }
  return builder.done();
}

export function fromBox(box, frame) {
  return box ? rectangle({ x: box[0], y: box[1], width: box[2], height: box[3] }, frame) : NOTHING;
}
