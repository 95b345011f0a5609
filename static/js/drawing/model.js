// The drawing: findings as they are drawn here, each beside what the server has of it (`origin`).
// Everything is replaced, nothing changed in place.
//
//   shape: { uid, id, number, type, severity, box, mask, rejected, colour, hidden, origin }
//   `rejected`: null or { reason, comment };  `id`, `origin`: null for what is new
//   `colour`, `hidden`: how it is looked at; undone like the rest, but nothing to be saved

import { Mask, sameMask } from "./mask.js";

let made = 0;
export const newUid = () => `new-${(made += 1)}`;

export function received(told) {
  const origin = { ...told, mask: Mask.received(told.mask) };
  return shapeOf(origin, {});
}

function shapeOf(origin, mine) {
  return {
    uid: origin.id, id: origin.id, number: origin.number, type: origin.type, severity: origin.severity,
    box: origin.box, mask: origin.mask, rejected: null, colour: null, hidden: false, ...mine, origin,
  };
}

export function drawn({ type, severity, mask = null, box = null }) {
  return {
    uid: newUid(), id: null, number: null, type, severity, box, mask,
    rejected: null, colour: null, hidden: false, origin: null,
  };
}

export const documentOf = (shapes) => ({ shapes, prompt: null });
export const find = (doc, uid) => doc.shapes.find((shape) => shape.uid === uid) ?? null;

export function withShape(doc, uid, changes) {
  return { ...doc, shapes: doc.shapes.map((shape) => (shape.uid === uid ? { ...shape, ...changes } : shape)) };
}

export const withNew = (doc, ...shapes) => ({ ...doc, shapes: [...doc.shapes, ...shapes] });
export const without = (doc, uid) => ({ ...doc, shapes: doc.shapes.filter((shape) => shape.uid !== uid) });

// What there is to see: what the server says is no defect is not drawn on.
export const isOpen = (shape) => !shape.rejected && shape.origin?.status !== "rejected";

// The box around it: that of the mask where there is one.
export function boxOf(shape) {
  const box = shape.mask?.isRead ? shape.mask.bounds : null;
  return box ? [box.x, box.y, box.width, box.height] : shape.box;
}

const sameBox = (a, b) => a === b || (a && b && a.every((side, index) => Math.abs(side - b[index]) < 1e-3));

// Which of its fields differ from the server's.
export function fieldsChanged(shape) {
  const { origin } = shape;
  if (!origin) return ["new"];
  if (shape.rejected) return ["rejected"];
  const fields = ["type", "severity"].filter((name) => shape[name] !== origin[name]);
  if (!sameMask(shape.mask, origin.mask)) fields.push("mask");
  else if (!shape.mask && !sameBox(shape.box, origin.box)) fields.push("box");
  return fields;
}

export const isChanged = (shape) => fieldsChanged(shape).length > 0;
export const changedShapes = (doc) => doc.shapes.filter(isChanged);

const outline = (shape) => (shape.mask ? { mask: shape.mask.sent, box: null } : { mask: null, box: shape.box });

function changeOf(shape) {
  const fields = fieldsChanged(shape);
  if (!shape.origin) {
    return { op: "add", type: shape.type, severity: shape.severity, ...outline(shape) };
  }
  const { id: finding, was } = shape.origin;
  if (shape.rejected) return { op: "reject", finding, was, ...shape.rejected };
  const change = { op: "change", finding, was };
  for (const name of ["type", "severity"]) if (fields.includes(name)) change[name] = shape[name];
  return fields.includes("mask") || fields.includes("box") ? { ...change, ...outline(shape) } : change;
}

// What is to be saved, in the order of the shapes.
export function changesOf(doc) { return changedShapes(doc).map(changeOf); }

// What of the drawing isn't on the server, as JSON, and the drawing again from that.
export function packed(doc) {
  const shapes = doc.shapes.filter((shape) => isChanged(shape) || shape.colour || shape.hidden);
  return {
    version: 1,
    shapes: shapes.map((shape) => ({
      id: shape.id, was: shape.origin?.was ?? null, fields: fieldsChanged(shape), number: shape.number,
      type: shape.type, severity: shape.severity, box: shape.box, rejected: shape.rejected,
      colour: shape.colour, hidden: shape.hidden,
      // A mask that the server has needs not go there again.
      mask: !shape.mask || sameMask(shape.mask, shape.origin?.mask) ? null : shape.mask.sent,
    })),
  };
}

export const hasWork = (content) => (content?.shapes ?? []).some((shape) => shape.fields.length > 0);

// The drawing with a draft laid over it. `stale`: uids of findings that have become others since
// the draft was begun; `lost`: how many of them are gone, whose strokes are kept as new findings.
export function unpacked(doc, content) {
  let next = doc;
  const stale = [];
  let lost = 0;
  for (const told of content?.shapes ?? []) {
    const mine = mineOf(told);
    const shape = told.id && find(next, told.id);
    if (!told.id) next = withNew(next, drawn(mine));
    else if (shape) {
      next = withShape(next, shape.uid, mine);
      if (told.fields.length && told.was !== shape.origin.was) stale.push(shape.uid);
    } else if (told.mask || told.fields.includes("box")) {
      lost += 1;
      next = withNew(next, { ...drawn({ ...told, ...mine }), colour: told.colour });
    }
  }
  return { doc: next, stale, lost };
}

function mineOf(told) {
  const mine = { colour: told.colour, hidden: told.hidden };
  if (!told.id || told.fields.includes("type")) mine.type = told.type;
  if (!told.id || told.fields.includes("severity")) mine.severity = told.severity;
  if (told.fields.includes("rejected")) mine.rejected = told.rejected;
  if (!told.id || told.fields.includes("mask")) mine.mask = Mask.received(told.mask);
  if (!told.id || told.fields.includes("box") || mine.mask === null) mine.box = told.box;
  return mine;
}

// The drawing after the server's findings became others: what was changed here since `sent` (the
// drawing that was sent) stays changed, all else is as the server has it. `theirs`: uids of which
// what was changed here is given up.
export function rebased(doc, sent, told, theirs = []) {
  const now = new Map(told.map((one) => [one.id, received(one)]));
  const born = matchNew(sent, now);
  const shapes = [];
  for (const shape of doc.shapes) {
    const id = shape.id ?? born.get(shape.uid);
    const server = now.get(id);
    now.delete(id);
    const isSent = sent && find(sent, shape.uid) === shape;
    if (server) shapes.push(onTop(shape, server, isSent || theirs.includes(shape.uid)));
    else if (!isSent && isOpen(shape) && isChanged(shape)) shapes.push(shape.origin ? drawn(shape) : shape);
  }
  return documentOf([...shapes, ...now.values()]);
}

// What was sent as new, and is now a finding of the server: uid -> id.
function matchNew(sent, now) {
  const born = new Map();
  const known = new Set((sent?.shapes ?? []).map((shape) => shape.id));
  const free = [...now.values()].filter((shape) => !known.has(shape.id));
  for (const shape of (sent?.shapes ?? []).filter((one) => !one.id)) {
    const place = free.findIndex((other) => other.type === shape.type && other.severity === shape.severity
      && (shape.mask ? sameMask(shape.mask, other.mask) : !other.mask && sameBox(shape.box, other.box)));
    if (place >= 0) born.set(shape.uid, free.splice(place, 1)[0].id);
  }
  return born;
}

function onTop(shape, server, isServers) {
  const looks = { colour: shape.colour, hidden: shape.hidden };
  if (isServers) return { ...server, ...looks };
  const fields = fieldsChanged(shape);
  const mine = Object.fromEntries(["type", "severity", "rejected"].filter((name) => fields.includes(name) || !shape.origin).map((name) => [name, shape[name]]));
  if (!shape.origin || fields.includes("mask") || fields.includes("box")) {
    mine.mask = shape.mask;
    mine.box = shape.box;
  }
  return { ...server, ...looks, ...mine };
}
