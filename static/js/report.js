// A report on the screen: findings drawn on its photos and crops, from the same masks as the PDF.

import { paintMask } from "./rle.js";

const MOST_SIDE = 2400;
const CROP_SIDE = 420;
const CROP_MARGIN = 0.6;
const CROP_LEAST = 96;
const INSIDE = 0.45;

function said(element) {
  return JSON.parse(element.querySelector('script[type="application/json"]').textContent);
}

function channels(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

// Paint the mask of a mark, or its box where it has none. `to` gives the place on the canvas of a
// place on the photo, `scale` how many pixels of the canvas one of the photo takes.
function paint(context, mark, to, scale) {
  const picture = mark.mask ? paintMask(mark.mask, channels(mark.colour)) : null;
  if (!picture) {
    const [x1, y1, x2, y2] = mark.box;
    context.strokeStyle = mark.colour;
    context.lineWidth = Math.max(2, scale * 2);
    context.strokeRect(...to(x1, y1), (x2 - x1) * scale, (y2 - y1) * scale);
    return;
  }
  context.imageSmoothingEnabled = false;
  context.globalAlpha = INSIDE;
  const [x, y] = to(picture.x, picture.y);
  context.drawImage(picture.canvas, x, y, picture.width * scale, picture.height * scale);
  context.globalAlpha = 1;
}

function number(stage, mark, width, height) {
  const [x, y] = mark.box;
  const disc = document.createElement("span");
  disc.className = "report-number";
  disc.setAttribute("aria-hidden", "true");
  disc.textContent = String(mark.number);
  disc.style.background = mark.colour;
  disc.style.left = `max(20px, ${(100 * x) / width}%)`;
  disc.style.top = `max(20px, ${(100 * y) / height}%)`;
  stage.append(disc);
}

function drawPhoto(figure) {
  const width = Number(figure.dataset.width);
  const height = Number(figure.dataset.height);
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  const canvas = figure.querySelector("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  const marks = said(figure);
  for (const mark of marks) paint(context, mark, (x, y) => [x * scale, y * scale], scale);
  for (const mark of marks) number(figure.querySelector(".report-stage"), mark, width, height);
}

// A box with a margin, inside the photo: the same as in the PDF.
function around([x1, y1, x2, y2], width, height) {
  const side = Math.max(x2 - x1, y2 - y1);
  const grow = Math.max(CROP_MARGIN * side, (CROP_LEAST - side) / 2);
  const left = Math.max(0, Math.floor(x1 - grow));
  const top = Math.max(0, Math.floor(y1 - grow));
  const right = Math.min(width, Math.max(left + 1, Math.round(x2 + grow)));
  const bottom = Math.min(height, Math.max(top + 1, Math.round(y2 + grow)));
  return { left, top, width: right - left, height: bottom - top };
}

const loading = new Map();

function photoAt(address) {
  if (!loading.has(address)) {
    const image = new Image();
    image.src = address;
    loading.set(address, image.decode().then(() => image));
  }
  return loading.get(address);
}

async function drawCrop(finding) {
  const width = Number(finding.dataset.width);
  const height = Number(finding.dataset.height);
  const mark = said(finding);
  const part = around(mark.box, width, height);
  const scale = CROP_SIDE / Math.max(part.width, part.height);
  const canvas = finding.querySelector("canvas");
  canvas.width = Math.max(1, Math.round(part.width * scale));
  canvas.height = Math.max(1, Math.round(part.height * scale));
  const context = canvas.getContext("2d");
  try {
    const image = await photoAt(finding.dataset.photo);
    const factor = image.naturalWidth / width;
    context.drawImage(
      image, part.left * factor, part.top * factor, part.width * factor, part.height * factor,
      0, 0, canvas.width, canvas.height,
    );
  } catch {
    // The photo is gone: the mask alone still shows the shape.
  }
  paint(context, mark, (x, y) => [(x - part.left) * scale, (y - part.top) * scale], scale);
}

async function drawAll() {
  for (const figure of document.querySelectorAll("[data-report-photo]")) drawPhoto(figure);
  for (const finding of document.querySelectorAll("[data-report-crop]")) await drawCrop(finding);
  document.documentElement.dataset.reportDrawn = "yes";
}

document.querySelector("[data-print]")?.addEventListener("click", () => window.print());
drawAll();
