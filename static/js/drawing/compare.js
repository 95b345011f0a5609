// Another photo beside this one, or under a sash that is drawn across it (swipe): the earlier photo
// or a golden one, always at the same place and zoom. And the heat map over it all.

import { Photo } from "./photo.js";

const SASH_PX = 14;

export class Compare {
  constructor(app) {
    Object.assign(this, { app, choices: [], mode: "off", chosen: 0, sash: 0.5, photos: new Map(), heat: null, isHeat: false });
  }

  offer(state) {
    this.choices = [
      ...(state.earlier ? [{ url: state.earlier.photo.view_url, width: state.earlier.photo.width, height: state.earlier.photo.height, label: `Earlier photo, ${new Date(state.earlier.taken_at).toLocaleDateString()}` }] : []),
      ...state.golden.map((one) => ({ url: one.view_url, label: `Golden: ${one.label}` })),
    ];
    this.heatUrl = state.heat_url;
  }

  get canCompare() { return this.choices.length > 0; }

  get photo() {
    const choice = this.choices[this.chosen];
    if (!choice) return null;
    if (!this.photos.has(choice.url)) {
      const photo = new Photo(choice, () => this.app.redraw("photo"));
      this.photos.set(choice.url, photo);
      photo.load();
    }
    return this.photos.get(choice.url);
  }

  setMode(mode) {
    this.mode = mode === this.mode || !this.canCompare ? "off" : mode;
    this.app.stage.resize();
    this.app.tell("look");
  }

  choose(index) {
    this.chosen = index;
    this.app.redraw("photo");
  }

  toggleHeat() {
    if (!this.heatUrl) return this.app.say("There is no heat map: it needs golden photos of this plan.");
    this.isHeat = !this.isHeat;
    if (!this.heat) {
      this.heat = new Photo({ url: this.heatUrl }, () => this.app.redraw("photo"));
      this.heat.load();
    }
    this.app.tell("look");
    return this.app.redraw("photo");
  }

  paneWidth(width) { return this.mode === "side" ? width / 2 : width; }

  draw(context, photo) {
    const { stage, view } = this.app;
    const { width, height } = stage.size;
    const pane = { x: 0, y: 0, width: this.paneWidth(width), height };
    photo.draw(context, view, pane, stage.ratio);
    if (this.isHeat) this.drawLike(context, this.heat, view, pane);
    if (this.mode === "side") this.drawBeside(context, pane);
    if (this.mode === "swipe") this.drawUnderSash(context, pane);
  }

  // A photo of another size lies where this one does.
  drawLike(context, photo, place, pane) {
    if (!photo?.width) return;
    const scale = (place.scale * this.app.frame.width) / photo.width;
    photo.draw(context, { x: place.x, y: place.y, scale }, pane, this.app.stage.ratio);
  }

  drawBeside(context, pane) {
    const { view } = this.app;
    const other = { ...pane, x: pane.width };
    clipped(context, other, () => this.drawLike(context, this.photo, { x: view.x + pane.width, y: view.y, scale: view.scale }, other));
    context.fillStyle = "#2c2e33";
    context.fillRect(pane.width - 1, 0, 2, pane.height);
  }

  drawUnderSash(context, pane) {
    const x = Math.round(pane.width * this.sash);
    const right = { ...pane, x, width: pane.width - x };
    clipped(context, right, () => {
      context.fillStyle = "#101113";
      context.fillRect(right.x, right.y, right.width, right.height);
      this.drawLike(context, this.photo, this.app.view, right);
    });
    context.fillStyle = "#ffffff";
    context.fillRect(x - 1, 0, 2, pane.height);
    context.beginPath();
    context.arc(x, pane.height / 2, 12, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = "#101113";
    context.font = "700 13px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "center";
    context.fillText("↔", x, pane.height / 2);
    context.textAlign = "start";
  }

  // The sash is pulled with the pointer, or moved with keys.
  down([x]) {
    if (this.mode !== "swipe" || Math.abs(x - this.sash * this.app.stage.size.width) > SASH_PX) return false;
    this.isPulled = true;
    return true;
  }

  drag([x]) {
    if (!this.isPulled) return false;
    this.moveSash(x / this.app.stage.size.width);
    return true;
  }

  moveSash(to) {
    this.sash = Math.min(0.98, Math.max(0.02, to));
    this.app.redraw("photo");
  }

  release() { this.isPulled = false; }
}

function clipped(context, { x, y, width, height }, draw) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  draw();
  context.restore();
}
