// The zoomable photo with boxes and masks over it.

import { paintMask } from "./rle.js";

const COLOURS = { minor: [96, 200, 255], major: [255, 178, 46], critical: [255, 88, 76] };
const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

export class PhotoViewer {
  constructor(stage, { onHover, onSelect }) {
    this.shown = { boxes: true, masks: true, opacity: 0.45 };
    this.findings = [];
    this.selected = null;
    this.hovered = null;
    this.painted = new Map();
    this.photo = null;
    this.osd = makeOpenSeadragon(stage);
    this.overlay = document.createElement("canvas");
    this.overlay.className = "overlay";
    this.overlay.setAttribute("aria-hidden", "true");
    this.osd.canvas.append(this.overlay);
    for (const event of ["open", "update-viewport", "resize", "animation"]) {
      this.osd.addHandler(event, () => this.draw());
    }
    this.listen(onHover, onSelect);
  }

  listen(onHover, onSelect) {
    this.osd.addHandler("canvas-click", (event) => {
      if (!event.quick) return;
      const hit = this.findingAt(event.position);
      onSelect(hit ? hit.id : null);
    });
    this.osd.canvas.addEventListener("pointermove", (event) => {
      const frame = this.osd.canvas.getBoundingClientRect();
      const place = new OpenSeadragon.Point(event.clientX - frame.left, event.clientY - frame.top);
      onHover(this.findingAt(place)?.id ?? null);
    });
    this.osd.canvas.addEventListener("pointerleave", () => onHover(null));
  }

  open(photo) {
    if (this.photo?.id === photo.id && this.photo.url === photo.url) return;
    this.photo = photo;
    this.osd.canvas.setAttribute("aria-label", `Photo ${photo.name}. Arrow keys move it, plus and minus zoom.`);
    this.osd.open({ type: "image", url: photo.url });
  }

  show(findings) {
    this.findings = findings;
    const ids = new Set(findings.map((finding) => finding.id));
    for (const id of this.painted.keys()) if (!ids.has(id)) this.painted.delete(id);
    this.draw();
  }

  onPhoto() {
    return this.findings.filter((finding) => finding.photo === this.photo?.id);
  }

  select(id, { zoom = false } = {}) {
    this.selected = id;
    const finding = this.onPhoto().find((one) => one.id === id);
    if (zoom && finding) this.zoomTo(finding.box);
    this.draw();
  }

  hover(id) {
    if (this.hovered === id) return;
    this.hovered = id;
    this.osd.canvas.style.cursor = id ? "pointer" : "";
    this.draw();
  }

  // Boxes and masks are in pixels of the photo as it was sent; the served one may be smaller.
  shrunk(item) {
    return this.photo?.width ? item.getContentSize().x / this.photo.width : 1;
  }

  // With room around: at least a third of the photo stays in view, so that one sees where it is.
  zoomTo(box) {
    const item = this.osd.world.getItemAt(0);
    if (!item) return;
    const size = item.getContentSize();
    const shrunk = this.shrunk(item);
    const [x1, y1, x2, y2] = box.map((side) => side * shrunk);
    const width = Math.max((x2 - x1) * 2, size.x / 3);
    const height = Math.max((y2 - y1) * 2, size.y / 3);
    const rect = item.imageToViewportRectangle((x1 + x2 - width) / 2, (y1 + y2 - height) / 2, width, height);
    this.osd.viewport.fitBoundsWithConstraints(rect);
  }

  fit() { this.osd.viewport?.goHome(); }

  zoom(factor) {
    this.osd.viewport?.zoomBy(factor);
    this.osd.viewport?.applyConstraints();
  }

  // The smallest box under a place of the stage.
  findingAt(place) {
    const item = this.osd.world.getItemAt(0);
    if (!item) return null;
    const { x, y } = item.viewerElementToImageCoordinates(place).divide(this.shrunk(item));
    const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
    return this.onPhoto()
      .filter(({ box: [x1, y1, x2, y2] }) => x >= x1 && x < x2 && y >= y1 && y < y2)
      .sort((a, b) => area(a.box) - area(b.box))[0] ?? null;
  }

  maskOf(finding) {
    const known = this.painted.get(finding.id);
    if (known && known.severity === finding.severity) return known.picture;
    let picture = null;
    try {
      picture = finding.mask && paintMask(finding.mask, COLOURS[finding.severity]);
    } catch (error) {
      console.warn("A mask could not be read", finding.id, error);
    }
    this.painted.set(finding.id, { severity: finding.severity, picture });
    return picture;
  }

  draw() {
    const item = this.osd.world.getItemAt(0);
    const context = this.prepare();
    if (!item) return;
    const size = item.getContentSize();
    const from = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(0, 0));
    const to = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(size.x, size.y));
    const scale = (to.x - from.x) / size.x * this.shrunk(item);
    const place = (x, y) => [from.x + x * scale, from.y + y * scale];
    const findings = this.onPhoto();
    if (this.shown.masks) for (const finding of findings) this.drawMask(context, finding, place, scale);
    for (const finding of findings) this.drawBox(context, finding, place);
  }

  prepare() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.osd.canvas;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.overlay.width !== wide || this.overlay.height !== high) {
      this.overlay.width = wide;
      this.overlay.height = high;
      this.overlay.style.width = `${width}px`;
      this.overlay.style.height = `${height}px`;
    }
    const context = this.overlay.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  drawMask(context, finding, place, scale) {
    if (!finding.counts) return;
    const picture = this.maskOf(finding);
    if (!picture) return;
    const lit = finding.id === this.selected || finding.id === this.hovered;
    const dimmed = this.selected && !lit;
    context.globalAlpha = this.shown.opacity * (dimmed ? 0.4 : 1);
    context.imageSmoothingEnabled = scale < 1;
    const [x, y] = place(picture.x, picture.y);
    context.drawImage(picture.canvas, x, y, picture.width * scale, picture.height * scale);
    context.globalAlpha = 1;
  }

  drawBox(context, finding, place) {
    const lit = finding.id === this.selected || finding.id === this.hovered;
    if (!this.shown.boxes && !lit) return;
    const [x1, y1] = place(finding.box[0], finding.box[1]);
    const [x2, y2] = place(finding.box[2], finding.box[3]);
    const colour = finding.counts ? COLOURS[finding.severity] : [190, 192, 196];
    context.setLineDash(finding.counts ? [] : [4, 4]);
    context.lineWidth = lit ? 4.5 : 3;
    context.strokeStyle = "rgb(0 0 0 / 0.55)";
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.lineWidth = lit ? 2.5 : 1.25;
    context.strokeStyle = css(colour, finding.counts || lit ? 1 : 0.6);
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.setLineDash([]);
    drawTag(context, finding, colour, x1, y1, lit);
  }
}

function drawTag(context, finding, colour, x, y, lit) {
  const text = lit ? `${finding.number} ${finding.name}` : String(finding.number);
  context.font = "600 12px system-ui, sans-serif";
  const width = Math.max(18, context.measureText(text).width + 10);
  const top = Math.max(0, y - 18);
  context.fillStyle = css(colour);
  context.fillRect(x - 1, top, width, 18);
  context.fillStyle = "#101113";
  context.textBaseline = "middle";
  context.fillText(text, x + 4, top + 9.5);
}

// OpenSeadragon would inject an inline style, which the content security policy blocks; it leaves
// that out where it finds an element `style` with its mark. One of another namespace is inert.
function markStyleAsThere() {
  const mark = document.createElementNS("urn:loupe:mark", "style");
  mark.setAttribute("data-openseadragon-mobile-css", "");
  document.head.append(mark);
}

function makeOpenSeadragon(stage) {
  markStyleAsThere();
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const osd = new OpenSeadragon.Viewer({
    element: stage,
    drawer: "canvas",
    showNavigationControl: false,
    animationTime: calm ? 0 : 0.25,
    springStiffness: 10,
    maxZoomPixelRatio: 12,
    minZoomImageRatio: 0.8,
    visibilityRatio: 0.5,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
    gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true },
    gestureSettingsPen: { clickToZoom: false },
  });
  osd.canvas.setAttribute("role", "application");
  osd.canvas.setAttribute("aria-label", "Photo");
  // Letters are keys of the page; only moving and zooming stay with the photo.
  osd.addHandler("canvas-key", (event) => {
    if (!/^(Arrow|[+=\-_])/.test(event.originalEvent.key)) event.preventDefaultAction = true;
  });
  return osd;
}
