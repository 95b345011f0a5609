// Masks as compressed COCO run-length encoding: column-major runs, five bits a character,
// differences to the run two before (as in pycocotools' maskApi.c).

// Runs of the encoding, alternately outside and inside the mask.
export function decodeCounts(text) {
  const runs = [];
  let position = 0;
  while (position < text.length) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      if (position >= text.length) throw new Error("the mask ends in the middle of a run");
      const bits = text.charCodeAt(position++) - 48;
      value |= (bits & 0x1f) << shift;
      shift += 5;
      more = (bits & 0x20) !== 0;
      if (!more && bits & 0x10 && shift < 32) value |= -1 << shift;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

// The smallest rectangle around the mask, {x, y, width, height}; null where it is empty.
export function boundsOf(runs, height) {
  let left = Infinity, right = -1, top = Infinity, bottom = -1, at = 0;
  runs.forEach((length, index) => {
    if (index % 2 && length > 0) {
      const last = at + length - 1;
      const firstColumn = Math.floor(at / height);
      const lastColumn = Math.floor(last / height);
      left = Math.min(left, firstColumn);
      right = Math.max(right, lastColumn);
      const spans = firstColumn !== lastColumn;
      top = spans ? 0 : Math.min(top, at % height);
      bottom = spans ? height - 1 : Math.max(bottom, last % height);
    }
    at += length;
  });
  return right < 0 ? null : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

// A picture of the mask in one colour: {canvas, x, y, width, height} in pixels of the photo.
// Large masks are thinned out to at most `most` pixels; the rectangle stays exact.
export function paintMask(mask, [red, green, blue], most = 1_500_000) {
  const height = mask.size[0];
  const runs = decodeCounts(mask.counts);
  const bounds = boundsOf(runs, height);
  if (!bounds) return null;
  const step = Math.max(1, Math.ceil(Math.sqrt((bounds.width * bounds.height) / most)));
  const columns = Math.ceil(bounds.width / step);
  const rows = Math.ceil(bounds.height / step);
  const picture = new ImageData(columns, rows);
  const pixels = new Uint32Array(picture.data.buffer);
  const colour = (255 << 24) | (blue << 16) | (green << 8) | red;
  let at = 0;
  runs.forEach((length, index) => {
    if (index % 2) fillRun(pixels, colour, at, length, height, bounds, step, columns);
    at += length;
  });
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return { canvas, ...bounds };
}

function fillRun(pixels, colour, start, length, height, bounds, step, columns) {
  const end = start + length;
  for (let at = start; at < end;) {
    const x = Math.floor(at / height) - bounds.x;
    const columnEnd = Math.min(end, (x + bounds.x + 1) * height);
    if (x % step === 0) {
      const offset = (x + bounds.x) * height + bounds.y;
      for (let y = at - offset; y < columnEnd - offset; y++) {
        if (y % step === 0) pixels[(y / step) * columns + x / step] = colour;
      }
    }
    at = columnEnd;
  }
}
