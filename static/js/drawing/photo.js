// The photo under the drawing: a copy at several sizes, and tiles where the full photo is larger.
// Decoding happens beside the page, so that nothing stands still.

const SMALLEST = 700;
const MOST_TILES = 40;
const AT_ONCE = 4;

export class Photo {
  constructor({ url, width = 0, height = 0, tiles = null }, changed) {
    Object.assign(this, { url, width, height, tiles, changed, sizes: [], error: "" });
    this.loaded = new Map();
    this.wanted = [];
    this.running = 0;
  }

  async load() {
    try {
      const answer = await fetch(this.url);
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      const whole = await createImageBitmap(await answer.blob());
      this.width ||= whole.width;
      this.height ||= whole.height;
      this.sizes = [whole];
      this.changed();
      await this.shrink(whole);
    } catch {
      this.error = "The photo could not be loaded. Check the connection, then reload the page.";
    }
    this.changed();
  }

  async shrink(picture) {
    if (Math.max(picture.width, picture.height) / 2 < SMALLEST) return;
    const half = await createImageBitmap(picture, {
      resizeWidth: Math.ceil(picture.width / 2), resizeHeight: Math.ceil(picture.height / 2), resizeQuality: "medium",
    });
    this.sizes.push(half);
    await this.shrink(half);
  }

  get isReady() { return this.sizes.length > 0; }

  // `shown`: {x, y, scale} of the photo on the screen; `pane`: {x, y, width, height} of the screen.
  draw(context, shown, pane, ratio) {
    if (!this.isReady) return;
    const needed = this.width * shown.scale * ratio;
    const picture = this.sizes.findLast((size) => size.width >= needed) ?? this.sizes[0];
    context.imageSmoothingEnabled = needed / picture.width < 3;
    context.imageSmoothingQuality = "low";
    drawPart(context, picture, { x: 0, y: 0, scale: this.width / picture.width, width: picture.width, height: picture.height }, shown, pane);
    if (this.tiles && needed > this.sizes[0].width * 1.05) this.drawTiles(context, shown, pane, ratio);
  }

  drawTiles(context, shown, pane, ratio) {
    const { size, levels } = this.tiles;
    const level = Math.min(levels - 1, Math.max(0, Math.floor(Math.log2(1 / (shown.scale * ratio)))));
    const reach = size * 2 ** level;
    const range = (from, length, start, most) => [
      Math.max(0, Math.floor((from - start) / shown.scale / reach)),
      Math.min(Math.ceil(most / reach), Math.ceil((from + length - start) / shown.scale / reach)),
    ];
    const [left, right] = range(pane.x, pane.width, shown.x, this.width);
    const [top, bottom] = range(pane.y, pane.height, shown.y, this.height);
    this.wanted = [];
    for (let x = left; x < right; x++) {
      for (let y = top; y < bottom; y++) this.drawTile(context, { level, x, y }, reach, shown, pane);
    }
    this.fetchTiles();
  }

  drawTile(context, tile, reach, shown, pane) {
    const key = `${tile.level}/${tile.x}/${tile.y}`;
    const picture = this.loaded.get(key);
    if (picture === undefined) return this.wanted.push({ ...tile, key });
    if (!picture) return undefined;
    // Last used, last thrown away.
    this.loaded.delete(key);
    this.loaded.set(key, picture);
    const scale = 2 ** tile.level;
    return drawPart(context, picture, { x: tile.x * reach, y: tile.y * reach, scale, width: picture.width, height: picture.height }, shown, pane);
  }

  fetchTiles() {
    while (this.running < AT_ONCE && this.wanted.length) this.fetchTile(this.wanted.shift());
  }

  async fetchTile({ level, x, y, key }) {
    this.running += 1;
    this.loaded.set(key, null);
    try {
      const url = this.tiles.url.replace("{level}", level).replace("{x}", x).replace("{y}", y);
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(String(answer.status));
      this.loaded.set(key, await createImageBitmap(await answer.blob()));
      this.throwAway();
    } catch {
      // The smaller copy stays in sight; asked again a little later.
      setTimeout(() => this.loaded.delete(key), 5000);
    }
    this.running -= 1;
    this.changed();
  }

  throwAway() {
    for (const [key, picture] of this.loaded) {
      if (this.loaded.size <= MOST_TILES) return;
      if (!picture) continue;
      picture.close();
      this.loaded.delete(key);
    }
  }
}

// The part of a picture that lies in the pane: `place` says where the picture lies on the photo and
// how many pixels of the photo one of its pixels is.
function drawPart(context, picture, place, shown, pane) {
  const step = place.scale * shown.scale;
  const x = shown.x + place.x * shown.scale;
  const y = shown.y + place.y * shown.scale;
  const left = Math.max(0, Math.floor((pane.x - x) / step));
  const top = Math.max(0, Math.floor((pane.y - y) / step));
  const width = Math.min(place.width, Math.ceil((pane.x + pane.width - x) / step)) - left;
  const height = Math.min(place.height, Math.ceil((pane.y + pane.height - y) / step)) - top;
  if (width <= 0 || height <= 0) return;
  context.drawImage(picture, left, top, width, height, x + left * step, y + top * step, width * step, height * step);
}
