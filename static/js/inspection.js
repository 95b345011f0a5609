// The page of one inspection: photo, findings and keys tied together.

import { isTyping, register } from "./keys.js";
import { post } from "./outbox.js";
import { goOn, isReviewing } from "./queue.js";
import { toast } from "./toast.js";
import { forgetAct, remember } from "./undo.js";
import { NEWS, UNIT, tell, unit } from "./unit.js";
import { PhotoViewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const state = unit;

const viewer = new PhotoViewer($("stage"), {
  onHover: hover,
  onSelect: (id) => select(id, { zoom: false }),
});

function showUnit() {
  unit.id = $("workbench").dataset.inspection;
  unit.address = location.pathname + location.search;
  tell(UNIT);
}

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

const onFinding = () => state.selected !== null;
const onPage = (id) => () => $(id) !== null;

register([
  { id: "finding.next", group: "Findings", label: "Next finding", keys: ["j"], repeats: true, run: () => step(1) },
  { id: "finding.previous", group: "Findings", label: "Previous finding", keys: ["k"], repeats: true, run: () => step(-1) },
  { id: "finding.leave", group: "Findings", label: "Let go of the finding", keys: ["Escape"], fixed: true, run: () => { select(null); viewer.fit(); } },
  { id: "view.boxes", group: "Photo", label: "Boxes on and off", keys: ["b"], run: () => toggle($("toggle-boxes"), "boxes") },
  { id: "view.masks", group: "Photo", label: "Masks on and off", keys: ["m"], run: () => toggle($("toggle-masks"), "masks") },
  { id: "view.fit", group: "Photo", label: "Whole photo", keys: ["f"], run: () => viewer.fit() },
]);

// Somebody who may not judge has no use for these keys.
if ($("workbench").dataset.mayReview) {
  register([
    { id: "finding.confirm", group: "Findings", label: "Confirm it", keys: ["c"], when: onFinding, run: () => press(`confirm-${state.selected}`) },
    { id: "finding.reject", group: "Findings", label: "Not a defect", keys: ["x"], when: onFinding, run: () => press(`reject-${state.selected}`) },
    { id: "finding.minor", group: "Findings", label: "Minor", keys: ["1"], when: onFinding, run: () => setSeverity("minor") },
    { id: "finding.major", group: "Findings", label: "Major", keys: ["2"], when: onFinding, run: () => setSeverity("major") },
    { id: "finding.critical", group: "Findings", label: "Critical", keys: ["3"], when: onFinding, run: () => setSeverity("critical") },
    { id: "finding.class", group: "Findings", label: "Choose another class", keys: ["t"], when: onFinding, run: () => openTypes() },
    ...["accept", "rework", "reject", "hold"].map((disposition) => ({
      id: `decide.${disposition}`,
      group: "Decision",
      label: disposition[0].toUpperCase() + disposition.slice(1),
      keys: [{ accept: "a", rework: "w", reject: "r", hold: "h" }[disposition]],
      when: onPage(`decide-${disposition}`),
      run: () => press(`decide-${disposition}`),
    })),
    { id: "queue.next", group: "Queue", label: "Next to review", keys: ["n"], when: onPage("next-link"), run: () => press("next-link") },
  ]);
}

function openTypes() {
  const field = $(`type-${state.selected}`);
  field?.focus();
  try { field?.showPicker(); } catch { /* the focused list opens with the arrow keys */ }
}

// A comment that is being written must not be wiped away by news from the server.
function isBusyTyping(side) {
  if (isTyping(document.activeElement) && side.contains(document.activeElement)) return true;
  return [...side.querySelectorAll("[name=comment]")].some((field) => field.value);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.id?.startsWith("type-")) return;
  event.preventDefault();
  press(`change-${state.selected}`);
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
  give(form, shown, body);
});

async function give(form, shown, body) {
  const act = { unit: unit.id, page: unit.address, of: body.get("client_key"), words: wordsOf(form, body) };
  const leaves = form.dataset.verdict === "decide" && isReviewing();
  const answer = post({ address: form.action, body, unit: act.unit, words: act.words });
  remember(act);
  if (!leaves) { pending += 1; given += 1; } else goOn(answer);
  const { ok, text } = await answer;
  if (!ok) forgetAct(act.of);
  if (leaves) { if (!ok) toast(`${act.words} was not saved: ${text}`, "error"); else if (unit.id === act.unit) settle(text); return; }
  if (unit.id === act.unit) pending -= 1;
  if (unit.id !== act.unit) { if (!ok) toast(text, "error"); return; }
  if (ok) news = text;
  else takeBack(form, shown, text);
  if (!pending && news) showNews();
}

function settle(text) {
  news = text;
  if (!pending) showNews();
}

const VERBS = { confirm: "Confirmed", reject: "Rejected", change: "Changed" };

function wordsOf(form, body) {
  if (form.dataset.verdict === "decide") {
    const button = $(`decide-${body.get("disposition")}`);
    return `${button?.querySelector("span")?.textContent ?? "Decision"}: ${document.querySelector("#inspection-head h1")?.textContent ?? ""}`;
  }
  const name = form.closest(".finding")?.querySelector(".finding-type")?.textContent ?? "finding";
  return `${VERBS[body.get("reason") ? "reject" : body.get("act")] ?? "Judged"}: ${name}`;
}

document.addEventListener("loupe:undone", (event) => {
  const { unit: of, page, html } = event.detail;
  if (of !== unit.id) { location.href = page; return; }
  settle(html);
});

document.addEventListener("loupe:shown", () => {
  pending = 0;
  news = "";
  state.photo = null;
  state.selected = null;
  readData();
  showUnit();
});

function showNews() {
  htmx.swap("#side", news, { swapStyle: "outerHTML" });
  news = "";
  readData();
  tell(NEWS);
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
    if (event.detail.target?.id !== "side" && event.detail.elt?.id !== "side") return;
    readData();
    tell(NEWS);
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

unit.viewer = viewer;
readData();
showUnit();
if (location.hash.startsWith("#finding-")) select(location.hash.slice("#finding-".length));
window.loupeViewer = viewer;
