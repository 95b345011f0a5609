// The upload page: what is dropped or chosen goes into the queue, each file has a row.

import { OVER, UploadQueue, newUuid } from "./upload_queue.js";

const $ = (id) => document.getElementById(id);
const form = $("upload");
const STORED = "loupe-batch";
const JUNK = /(^|\/)(\.[^/]*|Thumbs\.db|desktop\.ini|__MACOSX\/.*)$/i;
const PREVIEWS = 60;
const LABELS = { accept: "Accept", rework: "Rework", reject: "Reject", hold: "Hold" };

let batch = sessionStorage.getItem(STORED);
const isResumed = Boolean(batch);
if (!batch) {
  batch = newUuid();
  sessionStorage.setItem(STORED, batch);
}

const rows = new Map();
const dirty = new Set();
let drawing = false;
let show = "all";

const queue = new UploadQueue({
  api: form.dataset.api,
  token,
  batch,
  onGone(item) {
    rows.get(item)?.root.remove();
    rows.delete(item);
    dirty.delete(item);
  },
  onChange(item) {
    dirty.add(item);
    if (!drawing) {
      drawing = true;
      requestAnimationFrame(draw);
    }
  },
});

// Asked for before each request: signing in again in another tab changes it.
function token() {
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return cookie?.[1] ?? form.querySelector("[name=csrfmiddlewaretoken]").value;
}

function options() {
  const chosen = { wants_report: $("wants_report").checked };
  for (const name of ["plan", "reference", "note", "line", "shift", "supplier", "product"]) if ($(name).value.trim()) chosen[name] = $(name).value.trim();
  return chosen;
}

function addFiles(files, skipped = { hidden: 0, known: 0 }) {
  const wanted = options();
  for (const [file, path] of files) {
    if (JUNK.test(path)) skipped.hidden += 1;
    else if (!queue.add(file, path, wanted)) skipped.known += 1;
  }
  const hints = [];
  if (skipped.hidden) hints.push(`${count(skipped.hidden, "hidden file")} left out.`);
  if (skipped.known) hints.push(`${count(skipped.known, "file")} ${skipped.known > 1 ? "are" : "is"} in this list already.`);
  hint(hints.join(" "));
  poll();
}

function count(number, noun) { return `${number} ${noun}${number > 1 ? "s" : ""}`; }

function hint(text) {
  $("resume-hint").textContent = text;
  $("resume-hint").hidden = !text;
}

// Rows: made once, changed only where something is new, at most once a frame.

function draw() {
  drawing = false;
  const made = document.createDocumentFragment();
  for (const item of dirty) {
    let row = rows.get(item);
    if (!row) {
      row = makeRow(item);
      rows.set(item, row);
      made.append(row.root);
    }
    fill(row, item);
  }
  dirty.clear();
  $("file-list").append(made);
  summarise();
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  if (text) made.textContent = text;
  return made;
}

function makeRow(item) {
  const root = element("li", "file");
  const thumb = element("span", "file-thumb");
  const text = element("span", "file-text");
  const name = element("span", "file-name", item.name);
  name.title = item.name;
  const message = element("span", "file-message");
  text.append(name, message);
  const bar = element("progress", "file-bar");
  bar.max = 1;
  bar.setAttribute("aria-label", `Progress of ${item.name}`);
  const state = element("span", "file-state");
  root.append(thumb, text, bar, state);
  if (item.parent) root.classList.add("is-member");
  return { root, thumb, name, message, bar, state };
}

function fill(row, item) {
  const done = item.size ? (item.sent + inFlight(item)) / item.size : 0;
  row.root.dataset.state = item.state;
  row.root.hidden = show === "problems" && !isProblem(item);
  row.bar.hidden = item.state !== "sending";
  row.bar.value = done;
  row.message.textContent = item.message || meaning(item, done);
  preview(row, item);
  const face = faceOf(item);
  if (row.face === face.key) return;
  row.face = face.key;
  row.state.replaceChildren(...face.parts());
  if (item.inspection) linkName(row, item);
}

function inFlight(item) {
  let sum = 0;
  for (const loaded of item.flying?.values() ?? []) sum += loaded;
  return sum;
}

function meaning(item, done) {
  switch (item.state) {
    case "queued": return bytes(item.size);
    case "sending": return `Sending, ${Math.floor(done * 100)} % of ${bytes(item.size)}`;
    case "waiting": return "Arrived, waiting to be read";
    case "working": return "The models are looking at it";
    case "done":
      if (item.inspectionStatus === "failed") return "No verdict: open it to see what to do";
      return [item.warning, item.inspectionStatus === "review" && "Waits for a reviewer."].filter(Boolean).join(" ");
    default: return "";
  }
}

function faceOf(item) {
  if (item.judged && item.disposition) {
    return { key: item.disposition, parts: () => [element("span", `badge disposition-${item.disposition}`, LABELS[item.disposition])] };
  }
  switch (item.state) {
    case "done": return { key: "done" + item.inspectionStatus, parts: () => [item.inspectionStatus === "failed" ? element("span", "badge bad", "Failed") : element("span", "badge ok", "Done")] };
    case "working": return { key: "working", parts: () => [element("span", "badge live", "Looking")] };
    case "waiting": return { key: "waiting", parts: () => [element("span", "badge", "Arrived")] };
    case "refused": return { key: "refused", parts: () => [element("span", "badge bad", "Refused")] };
    case "failed": return { key: "failed", parts: () => [element("span", "badge bad", "Not sent"), retryButton(item)] };
    case "lost": return { key: "lost", parts: () => [element("span", "badge warn", "Interrupted")] };
    default: return { key: item.state, parts: () => [] };
  }
}

function retryButton(item) {
  const button = element("button", "btn small", "Retry");
  button.type = "button";
  button.setAttribute("aria-label", `Retry ${item.name}`);
  button.addEventListener("click", () => queue.retry(item));
  return button;
}

function linkName(row, item) {
  if (row.link) return;
  row.link = element("a", "file-name", item.name);
  row.link.href = `${form.dataset.inspectionUrl}${item.inspection}/`;
  row.link.title = item.name;
  row.name.replaceWith(row.link);
}

// The local file at once where there are few, the server's thumbnail when it is judged.
function preview(row, item) {
  if (item.judged && item.inspectionStatus !== "failed" && row.shows !== "server") {
    row.shows = "server";
    setImage(row, `${form.dataset.inspectionUrl}${item.inspection}/cover`);
  } else if (!row.shows && item.file && rows.size <= PREVIEWS && /^image\/(jpeg|png|webp)$/.test(item.file.type)) {
    row.shows = "local";
    setImage(row, URL.createObjectURL(item.file));
  }
}

function setImage(row, source) {
  const image = new Image();
  image.loading = "lazy";
  image.decoding = "async";
  image.alt = "";
  image.addEventListener("error", () => image.remove());
  if (source.startsWith("blob:")) image.addEventListener("load", () => URL.revokeObjectURL(source), { once: true });
  image.src = source;
  row.thumb.replaceChildren(image);
}

function isProblem(item) { return ["refused", "failed", "lost"].includes(item.state) || item.inspectionStatus === "failed"; }

function summarise() {
  const all = [...queue.items.values()];
  const own = all.filter((item) => !item.parent);
  $("batch").hidden = all.length === 0;
  const total = own.reduce((sum, item) => sum + item.size, 0) || 1;
  const sent = own.reduce((sum, item) => sum + Math.min(item.size, item.sent + inFlight(item)), 0);
  const arrived = own.filter((item) => !["queued", "sending", "failed", "lost"].includes(item.state)).length;
  const problems = all.filter(isProblem).length;
  const judged = all.filter((item) => item.judged && !isProblem(item)).length;
  $("batch-progress").value = sent / total;
  $("batch-progress").hidden = sent >= total;
  const parts = [`${arrived} of ${own.length} sent`, `${judged} judged`];
  if (problems) parts.push(`${problems} with a problem`);
  const text = parts.join(" · ");
  if ($("batch-summary").textContent !== text) $("batch-summary").textContent = text;
  $("problem-count").textContent = problems || "";
  $("retry-all").hidden = !all.some((item) => item.state === "failed");
}

function bytes(count) {
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} MB`;
  return `${Math.max(1, Math.round(count / 1e3))} kB`;
}

// Asking how things stand: only while something is open, and less often with many files.

let polling = null;

function poll() {
  if (polling) return;
  polling = setTimeout(async () => {
    polling = null;
    try {
      if ([...queue.items.values()].some((item) => item.id)) await queue.refresh();
    } catch { /* asked again below; the rows say what they know */ }
    if ([...queue.items.values()].some((item) => !OVER.has(item.state))) poll();
  }, 700 + 2 * queue.items.size);
}

async function resume() {
  try {
    await queue.refresh();
  } catch {
    return;
  }
  const lost = [...queue.items.values()].filter((item) => item.state === "lost").length;
  if (lost) hint(`${count(lost, "file")} ${lost > 1 ? "were" : "was"} interrupted. Drop the same files again: what has arrived is not sent twice.`);
  poll();
}

// Ways in: dropping (folders too), choosing, the camera, pasting.

async function* walk(entry, path = "") {
  if (entry.isFile) {
    yield [await new Promise((resolve, reject) => entry.file(resolve, reject)), path + entry.name];
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const child of some) yield* walk(child, `${path}${entry.name}/`);
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return addFiles([...transfer.files].map((file) => [file, file.name]));
  const skipped = { hidden: 0, known: 0 };
  for (const entry of entries) {
    let found = [];
    for await (const pair of walk(entry)) {
      found.push(pair);
      if (found.length >= 50) {
        addFiles(found, skipped);
        found = [];
      }
    }
    if (found.length) addFiles(found, skipped);
  }
}

let depth = 0;
addEventListener("dragenter", (event) => { event.preventDefault(); depth += 1; $("dropzone").classList.add("is-over"); });
addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) $("dropzone").classList.remove("is-over"); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  $("dropzone").classList.remove("is-over");
  dropped(event.dataTransfer);
});
addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) addFiles(files.map((file) => [file, file.name]));
});
for (const id of ["files", "folder", "camera"]) {
  $(id).addEventListener("change", (event) => {
    addFiles([...event.target.files].map((file) => [file, file.webkitRelativePath || file.name]));
    event.target.value = "";
  });
}

form.addEventListener("submit", (event) => event.preventDefault());
$("retry-all").addEventListener("click", () => {
  for (const item of queue.items.values()) if (item.state === "failed") queue.retry(item);
});
$("new-batch").addEventListener("click", () => {
  sessionStorage.removeItem(STORED);
  location.reload();
});
for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => {
    show = button.dataset.show;
    for (const other of document.querySelectorAll("[data-show]")) other.setAttribute("aria-pressed", String(other === button));
    for (const item of queue.items.values()) dirty.add(item);
    draw();
  });
}
addEventListener("beforeunload", (event) => {
  if ([...queue.items.values()].some((item) => ["queued", "sending"].includes(item.state))) event.preventDefault();
});
addEventListener("online", () => queue.start());

if (isResumed) resume();
