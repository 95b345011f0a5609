// The page of the inspected party: paints masks, compares before and now, and sends the statement.
// Photos go out one by one as they are chosen, and words are kept in this tab, so that neither a
// refused form nor a lost connection loses anything.

import { paintMask } from "./rle.js";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const COLOUR = [255, 178, 46];
const KEPT = "loupe-statement";

function paintMasks() {
  const masks = JSON.parse($("masks-data")?.textContent || "{}");
  for (const [id, mask] of Object.entries(masks)) {
    const painted = paintMask(mask, COLOUR, 400_000);
    if (!painted) continue;
    const source = painted.canvas.toDataURL();
    for (const place of document.querySelectorAll(`[data-mask="${id}"]`)) {
      const image = document.createElementNS(SVG, "image");
      for (const side of ["x", "y", "width", "height"]) image.setAttribute(side, painted[side]);
      image.setAttribute("preserveAspectRatio", "none");
      image.setAttribute("href", source);
      place.append(image);
    }
  }
}

// The bare photo is one tap away: a mark must not hide what it marks.
function bareness(box) {
  if (!box.querySelector(".mark")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn small bare";
  button.textContent = "Hide the marks";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    const hides = box.classList.toggle("hides-marks");
    button.setAttribute("aria-pressed", String(hides));
  });
  box.querySelector(".shot").before(button);
}

// Side by side, or one photo over the other with an edge that is drawn across.
function comparison(box) {
  if (!box.classList.contains("has-before")) return;
  const tools = document.createElement("div");
  tools.className = "compare-tools";
  tools.innerHTML = `<div class="segmented" role="group" aria-label="Compare"><button type="button" data-mode="side">Side by side</button><button type="button" data-mode="swipe">Swipe</button></div><input type="range" min="0" max="100" value="50" aria-label="How much of the photo of now is shown">`;
  const range = tools.querySelector("input");
  const edge = document.createElement("div");
  edge.className = "compare-edge";
  const cut = () => box.style.setProperty("--cut", `${100 - range.value}%`);
  const choose = (mode) => {
    const isSwipe = mode === "swipe";
    box.classList.toggle("is-swipe", isSwipe);
    range.hidden = !isSwipe;
    if (isSwipe) box.append(edge); else edge.remove();
    for (const button of tools.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  };
  tools.addEventListener("click", (event) => { if (event.target.dataset.mode) choose(event.target.dataset.mode); });
  range.addEventListener("input", cut);
  const drag = (event) => {
    if (!box.classList.contains("is-swipe") || !event.buttons) return;
    const frame = box.getBoundingClientRect();
    range.value = 100 - ((event.clientX - frame.left) / frame.width) * 100;
    cut();
  };
  box.addEventListener("pointerdown", drag);
  box.addEventListener("pointermove", drag);
  box.before(tools);
  cut();
  choose("side");
}

// The statement.

const form = $("statement");
const photos = new Map();

function kept() {
  try { return JSON.parse(sessionStorage.getItem(`${KEPT}:${location.pathname}`)) ?? {}; } catch { return {}; }
}

function keep() {
  const words = { draft: form.elements.draft.value, body: form.elements.body.value, name: form.elements.name.value };
  try { sessionStorage.setItem(`${KEPT}:${location.pathname}`, JSON.stringify(words)); } catch { /* private mode */ }
}

function forget() { try { sessionStorage.removeItem(`${KEPT}:${location.pathname}`); } catch { /* private mode */ } }

function say(message) {
  const words = document.createElement("p");
  words.className = "notice bad";
  words.textContent = message;
  $("errors").replaceChildren(words);
  words.scrollIntoView({ block: "nearest" });
}

async function answerOf(response) {
  if (response.headers.get("Content-Type")?.includes("json")) return response.json();
  if (response.status === 429) return { message: "This was sent too often in a short time. Wait a minute, then try again." };
  return { message: "This link opens nothing any more, so this was not sent. Your words are still here: copy them, and ask whoever sent you the link for a new one." };
}

async function post(address, body) {
  let response;
  try {
    response = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" } });
  } catch {
    throw new Error("No connection, so this was not sent. It is still here: try again when you are connected.");
  }
  const told = await answerOf(response);
  if (!response.ok) throw new Error(told.message);
  return told;
}

function row(key, name) {
  const item = document.createElement("li");
  item.className = "draft";
  const words = document.createElement("span");
  words.className = "small";
  const remove = document.createElement("button");
  remove.type = "button";
  remove.className = "btn small";
  remove.textContent = "Remove";
  remove.setAttribute("aria-label", `Remove ${name}`);
  item.append(words, remove);
  const photo = { key, name, item, words, remove, state: "sending", id: null };
  remove.addEventListener("click", () => drop(photo));
  photos.set(key, photo);
  $("drafted").append(item);
  return photo;
}

function show(photo, state, message = "") {
  photo.state = state;
  photo.item.classList.toggle("is-bad", state === "bad");
  const said = { sending: "sending …", received: "sent, being checked", ready: "ready" };
  photo.words.textContent = `${photo.name}: ${state === "bad" ? message : said[state]}`;
  photo.words.classList.toggle("field-error", state === "bad");
}

function picture(photo, source) {
  const image = document.createElement("img");
  image.alt = "";
  image.src = source;
  image.addEventListener("error", () => image.remove());
  photo.item.prepend(image);
}

async function add(files) {
  const free = Number(form.dataset.most) - [...photos.values()].filter((photo) => photo.state !== "bad").length;
  if (files.length > free) say(`A statement takes ${form.dataset.most} photos. The first ${Math.max(0, free)} of these were taken.`);
  const taken = [...files].slice(0, Math.max(0, free)).map((file) => {
    const photo = row(newKey(), file.name);
    picture(photo, URL.createObjectURL(file));
    show(photo, "sending");
    return [photo, file];
  });
  for (const [photo, file] of taken) await send(photo, file);
  watch();
}

async function send(photo, file) {
  if (file.size > Number(form.dataset.mostMb) * 1e6) return show(photo, "bad", `has ${Math.ceil(file.size / 1e6)} MB; the limit is ${form.dataset.mostMb} MB.`);
  const body = new FormData();
  body.append("draft", form.elements.draft.value);
  body.append("key", photo.key);
  body.append("photo", file, file.name);
  try {
    const told = await post(form.dataset.photos, body);
    photo.id = told.id;
    update(photo, told);
  } catch (error) {
    show(photo, "bad", error.message);
    if (!photo.retry) {
      photo.retry = document.createElement("button");
      photo.retry.type = "button";
      photo.retry.className = "btn small";
      photo.retry.textContent = "Try again";
      photo.retry.addEventListener("click", () => { show(photo, "sending"); send(photo, file).then(watch); });
      photo.item.append(photo.retry);
    }
  }
}

function update(photo, told) {
  if (told.status === "unusable") return show(photo, "bad", told.message);
  photo.retry?.remove();
  show(photo, told.status);
  if (told.status === "ready" && !photo.item.querySelector("img")) picture(photo, told.thumb);
}

async function drop(photo) {
  try {
    if (photo.id) await post(`${form.dataset.photos}${photo.id}/remove/`);
  } catch (error) { return say(error.message); }
  photos.delete(photo.key);
  photo.item.remove();
  $("photos").focus();
}

// Ask how far the workers are, for two minutes at most.
let watching = null;
function watch(left = 60) {
  clearTimeout(watching);
  if (left && [...photos.values()].some((photo) => photo.state === "received")) {
    watching = setTimeout(async () => { await look(); watch(left - 1); }, 2000);
  }
}

async function look() {
  try {
    const response = await fetch(`${form.dataset.photos}?draft=${form.elements.draft.value}`, { headers: { Accept: "application/json" } });
    if (!response.ok) return;
    for (const told of (await response.json()).photos) {
      const photo = photos.get(told.key) ?? row(told.key, told.name);
      photo.id = told.id;
      update(photo, told);
    }
  } catch { /* next time */ }
}

function newKey() { return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join(""); }

async function submit(event) {
  event.preventDefault();
  if ([...photos.values()].some((photo) => photo.state === "sending")) return say("Photos are still being sent. Wait a moment, then send again.");
  $("send").disabled = true;
  $("sending").textContent = "Sending …";
  try {
    const body = new FormData(form);
    body.delete("photos");
    const told = await post(form.getAttribute("action"), body);
    forget();
    location.assign(told.address);
    location.reload();
  } catch (error) {
    say(error.message);
    $("send").disabled = false;
    $("sending").textContent = "";
  }
}

async function begin() {
  const before = kept();
  if (before.draft && !form.querySelector("[data-photo]")) {
    form.elements.draft.value = before.draft;
    if (!form.elements.body.value) form.elements.body.value = before.body ?? "";
    if (!form.elements.name.value) form.elements.name.value = before.name ?? "";
  }
  $("drafted").replaceChildren();
  keep();
  form.addEventListener("input", keep);
  form.addEventListener("submit", submit);
  $("photos").addEventListener("change", (event) => { const files = [...event.target.files]; event.target.value = ""; add(files); });
  await look();
  watch();
}

paintMasks();
for (const box of document.querySelectorAll("[data-shown]")) bareness(box);
for (const box of document.querySelectorAll("[data-compare]")) comparison(box);
if (form && $("send")) begin();
if (location.hash === "#sent") $("sent")?.focus();
