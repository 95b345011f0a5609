// Selecting and moving, boxes with handles, and boxes or clicks for SAM.

import { Mask } from "./mask.js";
import { withNew, withShape } from "./model.js";
import { drawDot } from "./paint.js";
import { moved } from "./runs.js";

const HANDLE_PX = 11;
const DRAG_PX = 4;
const HANDLES = [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [0.5, 1], [0, 1], [0, 0.5]];

const corners = ([x1, y1], [x2, y2], frame) => {
  const clamp = (value, most) => Math.min(most, Math.max(0, value));
  const left = clamp(Math.min(x1, x2), frame.width), right = clamp(Math.max(x1, x2), frame.width);
  const top = clamp(Math.min(y1, y2), frame.height), bottom = clamp(Math.max(y1, y2), frame.height);
  return [left, top, right - left, bottom - top].map((side) => Math.round(side * 10) / 10);
};

// A drag moves the finding under the pointer if it is the selected one, else the photo.
export class Select {
  constructor(app) { Object.assign(this, { app, id: "select" }); }

  down({ photo, screen, event }) {
    const under = this.app.shapeAt(photo);
    this.start = { photo, screen, under, isMore: event.shiftKey, last: screen };
    this.isMoving = false;
  }

  move({ photo, screen }) {
    const { start } = this;
    if (!start) return;
    if (!this.isMoving && Math.hypot(screen[0] - start.screen[0], screen[1] - start.screen[1]) < DRAG_PX) return;
    this.isMoving = true;
    const { app } = this;
    if (app.canEdit && start.under && start.under.uid === app.selected?.uid) this.moveShape(photo);
    else {
      app.view.pan(screen[0] - start.last[0], screen[1] - start.last[1]);
      app.stage.moved();
    }
    start.last = screen;
  }

  moveShape(photo) {
    const dx = Math.round(photo[0] - this.start.photo[0]);
    const dy = Math.round(photo[1] - this.start.photo[1]);
    this.live = shifted(this.start.under, dx, dy, this.app.frame);
    this.app.setLive(this.live);
  }

  up() {
    const { start, live } = this;
    this.start = this.live = null;
    this.app.setLive(null);
    if (live) return this.app.commit(withShape(this.app.doc, live.uid, live), "Moved", live.uid);
    if (!start || this.isMoving) return undefined;
    return start.isMore && start.under ? this.app.mark(start.under.uid) : this.app.select(start.under?.uid ?? null);
  }

  hover({ photo }) { this.app.hover(this.app.shapeAt(photo)?.uid ?? null); }
  leave() { this.app.hover(null); }

  cancel() {
    this.start = this.live = null;
    this.app.setLive(null);
  }

  draw() { /* has no marks of its own */ }
}

// Moved, as far as something of it stays on the photo.
export function shifted(shape, dx, dy, frame) {
  if (!shape.mask) {
    const [x, y, width, height] = shape.box;
    const left = Math.min(frame.width - width, Math.max(0, x + dx));
    const top = Math.min(frame.height - height, Math.max(0, y + dy));
    return { ...shape, box: [left, top, width, height] };
  }
  const mask = Mask.of(moved(shape.mask.runs, frame.height, dx, dy, frame), frame);
  return mask ? { ...shape, mask } : shape;
}

// A drag draws a box; handles change one that is there.
export class Box {
  constructor(app) { Object.assign(this, { app, id: "box" }); }

  get editable() {
    const shape = this.app.selected;
    return shape && !shape.mask ? shape : null;
  }

  handleAt(screen) {
    const shape = this.editable;
    if (!shape) return -1;
    return this.handles(shape.box).findIndex(([x, y]) => Math.hypot(x - screen[0], y - screen[1]) < HANDLE_PX);
  }

  handles([x, y, width, height]) {
    return HANDLES.map(([across, down]) => this.app.view.toScreen(x + width * across, y + height * down));
  }

  down({ photo, screen }) {
    const handle = this.handleAt(screen);
    if (handle >= 0) return this.beginHandle(handle);
    const shape = this.editable;
    if (shape && isIn(photo, shape.box)) {
      this.drag = { kind: "move", from: photo, shape };
    } else {
      this.drag = { kind: "new", from: photo };
    }
    return undefined;
  }

  beginHandle(handle) {
    const shape = this.editable;
    const [x, y, width, height] = shape.box;
    const [across, down] = HANDLES[handle];
    // The corner or side over against it stays where it is.
    this.drag = { kind: "handle", shape, across, down, fixed: [across ? x : x + width, down ? y : y + height], box: shape.box };
  }

  move({ photo }) {
    const { drag, app } = this;
    if (!drag) return;
    if (drag.kind === "move") drag.live = shifted(drag.shape, photo[0] - drag.from[0], photo[1] - drag.from[1], app.frame);
    else drag.live = this.resized(drag, photo);
    if (drag.live) app.setLive(drag.live);
    app.redraw("tool");
  }

  resized(drag, photo) {
    if (drag.kind === "new") {
      const box = corners(drag.from, photo, this.app.frame);
      return drag.live ? { ...drag.live, box } : this.app.newShape({ box });
    }
    const [x, y, width, height] = drag.box;
    const from = [drag.across === 0.5 ? x : drag.fixed[0], drag.down === 0.5 ? y : drag.fixed[1]];
    const to = [drag.across === 0.5 ? x + width : photo[0], drag.down === 0.5 ? y + height : photo[1]];
    return { ...drag.shape, box: corners(from, to, this.app.frame) };
  }

  up() {
    const { drag, app } = this;
    this.cancel();
    const live = drag?.live;
    if (!live || live.box[2] < 1 || live.box[3] < 1) return drag?.kind === "new" ? app.selectAt(drag.from) : undefined;
    if (drag.kind === "new") return app.commit(withNew(app.doc, live), "Box", live.uid);
    return app.commit(withShape(app.doc, live.uid, { box: live.box }), "Box changed", live.uid);
  }

  cancel() {
    this.drag = null;
    this.app.setLive(null);
  }

  draw(context) {
    const box = this.drag?.live?.box ?? this.editable?.box;
    if (box) for (const place of this.handles(box)) drawDot(context, place, "#ffffff", 5);
  }
}

const isIn = ([x, y], [left, top, width, height]) => x >= left && x < left + width && y >= top && y < top + height;

// A click or a box tells SAM what is meant; further clicks correct it. Each one is a step of its own.
export class Sam {
  constructor(app, outliner) {
    Object.assign(this, { app, outliner, id: "sam" });
    this.sign = true;
    // The right button takes away.
    this.takesOther = true;
  }

  down({ photo, screen, event }) {
    const isOther = event.altKey || event.button === 2;
    this.start = { photo, screen, isPositive: isOther ? !this.sign : this.sign };
    this.box = null;
  }

  move({ photo, screen }) {
    const { start } = this;
    if (!start || Math.hypot(screen[0] - start.screen[0], screen[1] - start.screen[1]) < DRAG_PX) return;
    this.box = corners(start.photo, photo, this.app.frame);
    this.app.redraw("tool");
  }

  up() {
    const { start, box } = this;
    this.start = this.box = null;
    if (!start) return;
    const prompt = this.prompt;
    if (box && (box[2] < 1 || box[3] < 1)) return;
    const [x, y] = start.photo;
    const isOutside = x < 0 || y < 0 || x >= this.app.frame.width || y >= this.app.frame.height;
    if (!box && isOutside) return;
    if (!box && !start.isPositive && !prompt) {
      this.app.say("First click on what is meant; then take away what isn't.");
      return;
    }
    const next = box ? { ...this.fresh(), box, points: [] } : { ...(prompt ?? this.fresh()) };
    if (!box) next.points = [...next.points, { x, y, positive: start.isPositive }];
    this.outliner.outline(next);
  }

  // Clicks go on with the last prompt while its finding is still the selected one.
  get prompt() {
    const { doc, selectedUid } = this.app;
    if (this.outliner.pending) return this.outliner.pending;
    return doc.prompt && doc.prompt.uid === selectedUid ? doc.prompt : null;
  }

  fresh() {
    const shape = this.app.selected;
    return { key: null, uid: shape?.uid ?? null, base: shape?.mask ?? null, box: null, points: [] };
  }

  cancel() {
    this.start = this.box = null;
    this.app.redraw("tool");
  }

  draw(context, time = performance.now()) {
    const { view } = this.app;
    const prompt = this.prompt;
    for (const box of [this.box, prompt?.box]) {
      if (!box) continue;
      const [x, y] = view.toScreen(box[0], box[1]);
      context.setLineDash([5, 4]);
      context.lineWidth = 2;
      context.strokeStyle = "#ffb22e";
      context.strokeRect(x, y, box[2] * view.scale, box[3] * view.scale);
      context.setLineDash([]);
    }
    for (const { x, y, positive } of prompt?.points ?? []) {
      drawDot(context, view.toScreen(x, y), positive ? "#7fd3a2" : "#ff9f97", 8, positive ? "+" : "−");
    }
    if (this.outliner.pending) this.drawWaiting(context, prompt, time);
  }

  drawWaiting(context, prompt, time) {
    const last = prompt?.points.at(-1);
    const place = last ? [last.x, last.y] : prompt?.box && [prompt.box[0] + prompt.box[2] / 2, prompt.box[1] + prompt.box[3] / 2];
    if (!place) return;
    const [x, y] = this.app.view.toScreen(...place);
    const turn = (time / 500) % (2 * Math.PI);
    context.beginPath();
    context.arc(x, y, 14, turn, turn + 4);
    context.lineWidth = 3;
    context.strokeStyle = "#6cc3e0";
    context.stroke();
    this.app.redraw("tool");
  }
}

