// Which part of the photo is seen: `scale` is screen pixels for a pixel of the photo, (x, y) where
// the photo's corner lies on the screen.

const MOST_SCALE = 40;
const KEPT_IN_SIGHT = 60;

export class View {
  constructor(frame) {
    this.frame = frame;
    Object.assign(this, { scale: 1, x: 0, y: 0, width: 1, height: 1, isFitted: true });
  }

  get fitScale() { return Math.min(this.width / this.frame.width, this.height / this.frame.height) * 0.96; }

  resize(width, height) {
    const middle = this.toPhoto(this.width / 2, this.height / 2);
    [this.width, this.height] = [Math.max(1, width), Math.max(1, height)];
    if (this.isFitted) return this.fit();
    return this.center(middle, this.scale);
  }

  toPhoto(x, y) { return [(x - this.x) / this.scale, (y - this.y) / this.scale]; }
  toScreen(x, y) { return [x * this.scale + this.x, y * this.scale + this.y]; }

  fit() {
    this.center([this.frame.width / 2, this.frame.height / 2], this.fitScale);
    this.isFitted = true;
  }

  center([x, y], scale) {
    this.scale = this.allowed(scale);
    this.x = this.width / 2 - x * this.scale;
    this.y = this.height / 2 - y * this.scale;
    this.isFitted = false;
    this.constrain();
  }

  allowed(scale) { return Math.min(MOST_SCALE, Math.max(Math.min(this.fitScale / 2, 1), scale)); }

  zoomAt(x, y, factor) {
    const [px, py] = this.toPhoto(x, y);
    this.scale = this.allowed(this.scale * factor);
    this.x = x - px * this.scale;
    this.y = y - py * this.scale;
    this.isFitted = false;
    this.constrain();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.isFitted = false;
    this.constrain();
  }

  // Some of the photo stays in sight.
  constrain() {
    const { width, height } = this.frame;
    this.x = Math.min(this.width - KEPT_IN_SIGHT, Math.max(KEPT_IN_SIGHT - width * this.scale, this.x));
    this.y = Math.min(this.height - KEPT_IN_SIGHT, Math.max(KEPT_IN_SIGHT - height * this.scale, this.y));
  }

  // With room around: one sees where it is.
  show([x, y, width, height]) {
    const scale = Math.min(this.width / (width * 2.2), this.height / (height * 2.2), this.fitScale * 4, 8);
    this.center([x + width / 2, y + height / 2], Math.max(scale, this.fitScale));
  }

  // The part of the photo that is seen, in its pixels; `beyond`: how much more on each side.
  visible(beyond = 0) {
    const [left, top] = this.toPhoto(-this.width * beyond, -this.height * beyond);
    const [right, bottom] = this.toPhoto(this.width * (1 + beyond), this.height * (1 + beyond));
    return clip({ x: Math.floor(left), y: Math.floor(top), right: Math.ceil(right), bottom: Math.ceil(bottom) }, this.frame);
  }
}

function clip({ x, y, right, bottom }, frame) {
  const [left, top] = [Math.max(0, x), Math.max(0, y)];
  return {
    x: left, y: top,
    width: Math.max(0, Math.min(frame.width, right) - left),
    height: Math.max(0, Math.min(frame.height, bottom) - top),
  };
}

export function overlap(a, b) {
  const [x, y] = [Math.max(a.x, b.x), Math.max(a.y, b.y)];
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

export function covers(outer, inner) {
  return outer.x <= inner.x && outer.y <= inner.y
    && outer.x + outer.width >= inner.x + inner.width && outer.y + outer.height >= inner.y + inner.height;
}
