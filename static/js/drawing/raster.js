// Shapes as sets of pixels (runs.js). A pixel belongs to a shape if its middle does.

import { Builder, NOTHING, unionAll } from "./runs.js";

const firstMiddle = (value) => Math.ceil(value - 0.5);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export function rectangle({ x, y, width, height }, frame) {
  const builder = new Builder(frame.height);
  const last = clamp(Math.round(x + width), 0, frame.width);
  const from = clamp(Math.round(y), 0, frame.height);
  const to = clamp(Math.round(y + height), 0, frame.height);
  for (let column = clamp(Math.round(x), 0, frame.width); column < last; column++) builder.add(column, from, to);
  return builder.done();
}

// What a round brush covers on its way from one place to the next. At least the pixel under it.
export function capsule(x1, y1, x2, y2, radius, frame) {
  const reach = Math.max(radius, 0.71);
  const corners = sides(x1, y1, x2, y2, reach);
  const first = clamp(firstMiddle(Math.min(x1, x2) - reach), 0, frame.width);
  const last = clamp(firstMiddle(Math.max(x1, x2) + reach), 0, frame.width);
  const builder = new Builder(frame.height, 2 * Math.max(1, last - first));
  for (let x = first; x < last; x++) {
    const span = { low: Infinity, high: -Infinity };
    disc(span, x + 0.5, x1, y1, reach);
    disc(span, x + 0.5, x2, y2, reach);
    corners.forEach(([ax, ay], index) => {
      const [bx, by] = corners[(index + 1) % corners.length];
      crossing(span, x + 0.5, ax, ay, bx, by);
    });
    builder.add(x, clamp(firstMiddle(span.low), 0, frame.height), clamp(firstMiddle(span.high), 0, frame.height));
  }
  return builder.done();
}

function sides(x1, y1, x2, y2, reach) {
  const length = Math.hypot(x2 - x1, y2 - y1);
  if (!length) return [];
  const nx = (-(y2 - y1) / length) * reach;
  const ny = ((x2 - x1) / length) * reach;
  return [[x1 + nx, y1 + ny], [x2 + nx, y2 + ny], [x2 - nx, y2 - ny], [x1 - nx, y1 - ny]];
}

function disc(span, x, cx, cy, radius) {
  const half = radius * radius - (x - cx) ** 2;
  if (half < 0) return;
  const reach = Math.sqrt(half);
  span.low = Math.min(span.low, cy - reach);
  span.high = Math.max(span.high, cy + reach);
}

function crossing(span, x, ax, ay, bx, by) {
  if ((x - ax) * (x - bx) > 0 || ax === bx) return;
  const y = ay + ((x - ax) / (bx - ax)) * (by - ay);
  span.low = Math.min(span.low, y);
  span.high = Math.max(span.high, y);
}

// Along a line of places [[x, y], …].
export function stroke(places, radius, frame) {
  if (!places.length) return NOTHING;
  const pieces = places.length === 1 ? [places[0], places[0]] : places;
  return unionAll(pieces.slice(1).map(([x, y], index) => capsule(...pieces[index], x, y, radius, frame)));
}

// A closed polygon; where it crosses itself, everything that it goes around is inside.
export function polygon(places, frame) {
  const columns = new Map();
  places.forEach(([x1, y1], index) => {
    const [x2, y2] = places[(index + 1) % places.length];
    const [low, high] = x1 < x2 ? [x1, x2] : [x2, x1];
    const last = clamp(firstMiddle(high), 0, frame.width);
    for (let x = clamp(firstMiddle(low), 0, frame.width); x < last; x++) {
      const y = y1 + ((x + 0.5 - x1) / (x2 - x1)) * (y2 - y1);
      if (!columns.has(x)) columns.set(x, []);
      columns.get(x).push([y, x1 < x2 ? 1 : -1]);
    }
  });
  const builder = new Builder(frame.height, 4 * columns.size + 2);
  for (const x of [...columns.keys()].sort((a, b) => a - b)) addColumn(builder, x, columns.get(x), frame);
  return builder.done();
}

function addColumn(builder, x, crossings, frame) {
  crossings.sort((a, b) => a[0] - b[0]);
  let winding = 0, from = 0;
  for (const [y, direction] of crossings) {
    if (winding === 0) from = y;
    winding += direction;
    if (winding === 0) {
      builder.add(x, clamp(firstMiddle(from), 0, frame.height), clamp(firstMiddle(y), 0, frame.height));
    }
  }
}
