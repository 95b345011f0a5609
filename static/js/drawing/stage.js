// The surface: three canvases one above the other (photo, masks, tool), drawn when something has
// changed, and the gestures that move the photo. What is drawn on it goes to the tool in force.

const LAYERS = ["photo", "masks", "tool"];
const WHEEL_STEP = 0.0016;

export class Stage {
  constructor(element, view, painters) {
    Object.assign(this, { element, view, painters, pointers: new Map(), tool: null, isHand: false, dirty: new Set() });
    this.canvases = Object.fromEntries(LAYERS.map((name) => [name, element.querySelector(`[data-layer="${name}"]`)]));
    this.frame = null;
    this.size = { width: element.clientWidth, height: element.clientHeight };
    new ResizeObserver(() => this.resize()).observe(element);
    this.listen();
  }

  get ratio() { return Math.min(2, window.devicePixelRatio || 1); }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.element;
    for (const canvas of Object.values(this.canvases)) {
      canvas.width = Math.round(width * this.ratio);
      canvas.height = Math.round(height * this.ratio);
    }
    this.view.resize(this.paneWidth?.(width) ?? width, height);
    this.size = { width, height };
    this.moved();
  }

  // The view has changed: everything is drawn anew.
  moved() {
    for (const layer of LAYERS) this.dirty.add(layer);
    this.onMoved?.();
    this.schedule();
  }

  redraw(...layers) {
    for (const layer of layers.length ? layers : LAYERS) this.dirty.add(layer);
    this.schedule();
  }

  schedule() { this.frame ??= requestAnimationFrame(() => this.draw()); }

  draw() {
    this.frame = null;
    const layers = [...this.dirty];
    this.dirty.clear();
    for (const layer of layers) {
      const canvas = this.canvases[layer];
      const context = canvas.getContext("2d");
      context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      context.clearRect(0, 0, canvas.width, canvas.height);
      this.painters[layer](context);
    }
  }

  listen() {
    const { element } = this;
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", (event) => this.up(event, true));
    element.addEventListener("pointerleave", () => this.tool?.leave?.());
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("dblclick", () => this.tool?.double?.());
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  place(event) {
    const box = this.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  // What a tool hears: the place on the photo (fractions of pixels), on the screen, and the event.
  at(event) {
    const screen = this.place(event);
    return { photo: this.view.toPhoto(...screen), screen, event };
  }

  down(event) {
    const place = this.place(event);
    if (this.onDown?.(place, event)) return;
    this.element.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, place);
    if (this.pointers.size === 2) return this.pinch();
    if (this.pointers.size > 2) return;
    const isOther = event.button === 1 || (event.button === 2 && !this.tool?.takesOther);
    if (this.isHand || isOther || !this.tool) this.gesture = "pan";
    else {
      this.gesture = "tool";
      this.tool.down(this.at(event));
    }
    if (event.button === 1) event.preventDefault();
  }

  // The second finger: what the first one began is taken back.
  pinch() {
    if (this.gesture === "tool") this.tool.cancel?.();
    this.gesture = "pinch";
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    const now = this.place(event);
    if (this.onDrag?.(now)) return;
    if (!before) return void (this.pointers.size || this.tool?.hover?.(this.at(event)));
    if (this.gesture === "tool") return void this.tool.move(this.at(event), this.coalesced(event));
    if (this.gesture === "pinch") this.pinchMove(event.pointerId, now);
    else this.view.pan(now[0] - before[0], now[1] - before[1]);
    this.pointers.set(event.pointerId, now);
    this.moved();
  }

  // Places between two frames, so that a fast stroke stays round.
  coalesced(event) {
    const events = event.getCoalescedEvents?.() ?? [];
    return (events.length ? events : [event]).map((one) => this.at(one).photo);
  }

  pinchMove(id, now) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, place]) => place);
    const before = this.pointers.get(id);
    if (!other) return;
    const apart = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
    this.view.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.view.zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, apart(now) / Math.max(1, apart(before)));
  }

  up(event, isCancelled = false) {
    this.onRelease?.();
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.gesture === "tool") {
      if (isCancelled) this.tool.cancel?.();
      else this.tool.up(this.at(event));
    }
    if (this.gesture !== "pinch" || !this.pointers.size) this.gesture = null;
  }

  // Ctrl and wheel is the pinch of a touchpad; Shift and wheel, or a wheel that goes sideways, pans.
  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const [dx, dy] = [event.deltaX * lines, event.deltaY * lines];
    if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) this.view.pan(-(dx || dy), event.shiftKey ? 0 : -dy);
    else this.view.zoomAt(...this.place(event), Math.exp(-dy * WHEEL_STEP * (event.ctrlKey ? 6 : 1)));
    this.moved();
  }
}
