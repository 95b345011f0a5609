// The page of one inspection: photo, findings and keys tied together.

import { toast } from "./toast.js";
import { PhotoViewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const state = { selected: null, photo: null, data: { photos: [], findings: [] } };

const viewer = new PhotoViewer($("stage"), {
  onHover: hover,
  onSelect: (id) => select(id, { zoom: false }),
});

function readData() {
  state.data = JSON.parse($("overlay-data")?.textContent || '{"photos":[],"findings":[]}');
  const { photos, findings } = state.data;
  $("viewer-empty").hidden = photos.length > 0;
  const current = photos.find((photo) => photo.id === state.photo) ?? photos[0];
  if (current) openPhoto(current);
  viewer.show(findings);
  drawFilmstrip(photos);
  if (!findings.some((finding) => finding.id === state.selected)) state.selected = null;
  markSelection();
}

function openPhoto(photo) {
  state.photo = photo.id;
  viewer.open(photo);
  for (const button of $("filmstrip").children) {
    button.setAttribute("aria-pressed", String(button.dataset.photo === photo.id));
  }
}

function drawFilmstrip(photos) {
  const strip = $("filmstrip");
  strip.hidden = photos.length < 2;
  const ids = photos.map((photo) => photo.id).join();
  if (strip.hidden || strip.dataset.ids === ids) return;
  strip.dataset.ids = ids;
  strip.replaceChildren(...photos.map((photo, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.photo = photo.id;
    button.setAttribute("aria-label", `Photo ${index + 1}: ${photo.name}`);
    button.setAttribute("aria-pressed", String(photo.id === state.photo));
    const image = document.createElement("img");
    image.src = photo.url.replace(/view$/, "thumb");
    image.alt = "";
    button.append(image);
    button.addEventListener("click", () => { openPhoto(photo); viewer.show(state.data.findings); });
    return button;
  }));
}

function rows() { return [...document.querySelectorAll("#findings > .finding")]; }

function hover(id) {
  viewer.hover(id);
  for (const row of rows()) row.classList.toggle("is-hovered", row.dataset.finding === id);
}

function select(id, { zoom = true, focus = false } = {}) {
  state.selected = id;
  const finding = state.data.findings.find((one) => one.id === id);
  const photo = finding && state.data.photos.find((one) => one.id === finding.photo);
  if (photo) openPhoto(photo);
  viewer.select(id, { zoom });
  markSelection();
  if (!id) return;
  const row = $(`finding-${id}`);
  row?.scrollIntoView({ block: "nearest" });
  if (focus) row?.querySelector(".finding-head")?.focus({ preventScroll: true });
}

function markSelection() {
  viewer.select(state.selected);
  for (const row of rows()) {
    const chosen = row.dataset.finding === state.selected;
    row.classList.toggle("is-selected", chosen);
    row.querySelector(".finding-head").setAttribute("aria-expanded", String(chosen));
    row.querySelector(".finding-acts").hidden = !chosen;
  }
}

function step(direction) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.dataset.finding === state.selected);
  const next = at < 0 ? (direction > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + direction));
  select(all[next].dataset.finding, { focus: true });
}

function press(id) { $(id)?.click(); }

function setSeverity(value) {
  const field = $(`severity-${state.selected}`);
  if (!field || field.value === value) return;
  field.value = value;
  press(`change-${state.selected}`);
}

function toggle(button, name) {
  viewer.shown[name] = !viewer.shown[name];
  button.setAttribute("aria-pressed", String(viewer.shown[name]));
  viewer.draw();
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  c: () => press(`confirm-${state.selected}`),
  x: () => press(`reject-${state.selected}`),
  1: () => setSeverity("minor"),
  2: () => setSeverity("major"),
  3: () => setSeverity("critical"),
  t: () => openTypes(),
  a: () => press("decide-accept"),
  w: () => press("decide-rework"),
  r: () => press("decide-reject"),
  h: () => press("decide-hold"),
  n: () => press("next-link"),
  b: () => toggle($("toggle-boxes"), "boxes"),
  m: () => toggle($("toggle-masks"), "masks"),
  f: () => viewer.fit(),
  "?": () => $("keys").showModal(),
  Escape: () => { select(null); viewer.fit(); },
};

function openTypes() {
  const field = $(`type-${state.selected}`);
  field?.focus();
  try { field?.showPicker(); } catch { /* the focused list opens with the arrow keys */ }
}

function isTyping(element) {
  return element?.matches?.("input:not([type=range],[type=checkbox]), textarea, select, [contenteditable]");
}

// A comment that is being written must not be wiped away by news from the server.
function isBusyTyping(side) {
  if (isTyping(document.activeElement) && side.contains(document.activeElement)) return true;
  return [...side.querySelectorAll("[name=comment]")].some((field) => field.value);
}

document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (isTyping(field)) {
    if (event.key === "Enter" && field.id?.startsWith("type-")) {
      event.preventDefault();
      press(`change-${state.selected}`);
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
  if (document.querySelector("dialog[open]")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

document.addEventListener("click", (event) => {
  const head = event.target.closest?.(".finding-head");
  if (head) {
    const id = head.closest(".finding").dataset.finding;
    select(id === state.selected ? null : id);
  }
  const evidence = event.target.closest?.('a.evidence[href^="#finding-"]');
  if (evidence) {
    event.preventDefault();
    select(evidence.hash.slice("#finding-".length), { focus: true });
  }
});

for (const type of ["mouseover", "focusin"]) {
  document.addEventListener(type, (event) => {
    if (!event.target.closest?.("#side")) return;
    hover(event.target.closest(".finding")?.dataset.finding ?? null);
  });
}

// Verdicts go one after the other, each shown as pending at once and settled by the server's
// answer. The form's client_key makes a repeated one the same verdict. Not by attributes of htmx:
// right after news was swapped in there is a moment in which it does not know the new forms yet.
let verdicts = Promise.resolve();
let pending = 0;
let given = 0;
let news = "";

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.verdict) return;
  event.preventDefault();
  if (form.dataset.sent) return;
  form.dataset.sent = "true";
  const body = new FormData(form, event.submitter);
  const shown = form.closest(".finding") ?? event.submitter;
  if (shown) shown.dataset.pending = "true";
  pending += 1;
  given += 1;
  verdicts = verdicts.then(() => send(form.action, body)).then(({ ok, text }) => {
    pending -= 1;
    if (ok) news = text;
    else takeBack(form, shown, text);
    if (!pending && news) showNews();
  });
});

async function send(address, body) {
  try {
    const answer = await fetch(address, { method: "POST", body, headers: { "HX-Request": "true" } });
    if (answer.headers.get("HX-Redirect")) location.href = answer.headers.get("HX-Redirect");
    const text = await answer.text();
    if (answer.status === 200) return { ok: true, text };
    return { ok: false, text: answer.headers.get("X-Message") || `Not saved (${answer.status}). Reload the page and try again.` };
  } catch {
    return { ok: false, text: "No connection, so this was not saved. Try again." };
  }
}

function showNews() {
  htmx.swap("#side", news, { swapStyle: "outerHTML" });
  news = "";
  readData();
}

function takeBack(form, shown, text) {
  delete form.dataset.sent;
  if (shown) delete shown.dataset.pending;
  toast(text, "error");
}

// News that was asked for before a verdict is older than the verdict.
document.body.addEventListener("htmx:beforeRequest", (event) => {
  const side = event.detail.elt;
  if (side.id !== "side") return;
  if (pending || isBusyTyping(side)) event.preventDefault();
  event.detail.xhr.asked = given;
});
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.elt.id === "side" && event.detail.xhr.asked !== given) event.detail.shouldSwap = false;
});
for (const type of ["htmx:afterSwap", "htmx:afterSettle"]) {
  document.body.addEventListener(type, (event) => {
    if (event.detail.target?.id === "side" || event.detail.elt?.id === "side") readData();
  });
}

$("toggle-boxes").addEventListener("click", (event) => toggle(event.currentTarget, "boxes"));
$("toggle-masks").addEventListener("click", (event) => toggle(event.currentTarget, "masks"));
$("opacity").addEventListener("input", (event) => {
  viewer.shown.opacity = event.target.value / 100;
  viewer.draw();
});
$("zoom-in").addEventListener("click", () => viewer.zoom(1.5));
$("zoom-out").addEventListener("click", () => viewer.zoom(1 / 1.5));
$("zoom-fit").addEventListener("click", () => viewer.fit());

readData();
if (location.hash.startsWith("#finding-")) select(location.hash.slice("#finding-".length));
window.loupeViewer = viewer;
