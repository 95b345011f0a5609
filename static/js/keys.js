// The keys of a page: every act has a name, the keys it has from the start, and perhaps others that
// the person chose, which the server keeps. The list of keys (?) is made from what is registered.
//
//   register([{ id: "mask.brush", group: "Mask", label: "Brush", keys: ["p"], run: (event) => … }])
//
// A key is written as it is pressed: "j", "Shift+j", "Mod+z" (Ctrl, or Cmd on a Mac), "Alt+Enter",
// "ArrowLeft", "Space", "?". More of an act: `when()` says whether it can be done now; `context`
// (default "page"): in another context the same key may mean something else, and of acts that can
// be done now the one registered last wins; `repeats`: also while the key is held down; `typing`:
// also inside a text field; `fixed`: can't be changed.
// `<kbd data-key-of="mask.brush">p</kbd>` anywhere on a page shows the key that is in force.

import { toast } from "./toast.js";

const acts = new Map();
const MODIFIERS = ["Control", "Shift", "Alt", "Meta", "AltGraph", "CapsLock", "Dead", "Process", "Unidentified"];
const OF_THE_BROWSER = ["Mod+w", "Mod+t", "Mod+n", "Mod+r", "Mod+l", "Mod+Shift+t", "Mod+Shift+n", "F5", "F11", "F12", "Tab", "Shift+Tab", "Escape"];
const NAMES = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", " ": "Space" };
const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);

let chosen = readChosen();
let listening = null;

function readChosen() {
  const text = document.getElementById("key-bindings")?.textContent;
  return text ? JSON.parse(text) : {};
}

export function register(list) {
  for (const act of list) acts.set(act.id, { context: "page", group: "Other", ...act });
  paintHints();
  if (dialog()?.open) drawList();
}

export function forget(ids) { for (const id of ids) acts.delete(id); }

export function keysOf(id) { return chosen[id] ?? acts.get(id)?.keys ?? []; }

export function comboOf(event) {
  const { key } = event;
  if (!key || MODIFIERS.includes(key)) return "";
  const composed = event.getModifierState?.("AltGraph");
  const isLetter = key.length === 1 && key.toLowerCase() !== key.toUpperCase();
  const parts = [];
  if ((event.ctrlKey || event.metaKey) && !composed) parts.push("Mod");
  if (event.altKey && !composed) parts.push("Alt");
  if (event.shiftKey && (isLetter || key.length > 1)) parts.push("Shift");
  parts.push(key === " " ? "Space" : key.length === 1 ? key.toLowerCase() : key);
  return parts.join("+");
}

// A key as people read it. "+" itself is a key too, hence not a plain split.
export function shown(combo) {
  const [, before, key] = /^((?:(?:Mod|Alt|Shift)\+)*)(.+)$/s.exec(combo) ?? [null, "", combo];
  const modifiers = before.replace("Mod", IS_MAC ? "⌘" : "Ctrl");
  return modifiers + (NAMES[key] ?? (before && key.length === 1 ? key.toUpperCase() : key));
}

export function paintHints(root = document) {
  for (const hint of root.querySelectorAll("kbd[data-key-of]")) {
    const [first] = keysOf(hint.dataset.keyOf);
    if (first && hint.textContent !== shown(first)) hint.textContent = shown(first);
  }
}

export function isTyping(element) {
  return Boolean(element?.matches?.("input:not([type=range],[type=checkbox],[type=radio],[type=button],[type=submit]), textarea, select, [contenteditable]"));
}

function findAct(combo, event) {
  const typing = isTyping(event.target);
  const can = (act) => keysOf(act.id).includes(combo)
    && (!typing || act.typing) && (!event.repeat || act.repeats) && (!act.when || act.when());
  return [...acts.values()].filter(can).at(-1);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || listening) return;
  if (document.querySelector("dialog[open]")) return;
  const combo = comboOf(event);
  if (["Enter", "Space"].includes(combo) && event.target.matches?.("button, a, summary")) return;
  const act = combo && findAct(combo, event);
  if (!act) return;
  event.preventDefault();
  act.run(event);
});

// The list of keys, and changing them.

function dialog() { return document.getElementById("keys"); }

export function openHelp() {
  drawList();
  dialog()?.showModal();
}

function element(name, props = {}, ...children) {
  const made = Object.assign(document.createElement(name), props);
  made.append(...children);
  return made;
}

function drawList() {
  const list = document.getElementById("keys-list");
  if (!list) return;
  const groups = new Map();
  for (const act of acts.values()) {
    groups.set(act.group, [...(groups.get(act.group) ?? []), act]);
  }
  list.replaceChildren(...[...groups].map(([name, members]) => drawGroup(name, members)));
  const reset = document.getElementById("keys-reset");
  if (reset) reset.hidden = Object.keys(chosen).length === 0;
}

function drawGroup(name, members) {
  const rows = members.map(drawRow);
  return element("section", { className: "keys-group" }, element("h3", { textContent: name }), element("dl", {}, ...rows));
}

function drawRow(act) {
  const keys = keysOf(act.id).map((combo) => element("kbd", { textContent: shown(combo) }));
  const row = element("div", { className: "keys-row" }, element("dt", {}, ...keys.flatMap((key) => [key, " "])), element("dd", { textContent: act.label }));
  row.dataset.act = act.id;
  if (act.fixed || !dialog().dataset.save) return row;
  const change = element("button", { type: "button", className: "btn ghost small", textContent: "Change" });
  change.setAttribute("aria-label", `Change the key for: ${act.label}`);
  change.addEventListener("click", () => listen(act, row));
  row.append(change);
  return row;
}

function listen(act, row) {
  stopListening();
  row.classList.add("is-listening");
  row.querySelector("dt").textContent = "Press a key";
  say(`Press the new key for “${act.label}”. Escape keeps the old one.`);
  const onKey = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.key === "Escape") return stopListening("");
    const combo = comboOf(event);
    if (combo) take(act, combo);
  };
  // Keys alone; a button pressed by mouse meanwhile gives up.
  const onClick = (event) => { if (!row.contains(event.target)) stopListening(""); };
  document.addEventListener("keydown", onKey, true);
  document.addEventListener("pointerdown", onClick, true);
  listening = () => {
    document.removeEventListener("keydown", onKey, true);
    document.removeEventListener("pointerdown", onClick, true);
  };
}

function stopListening(words) {
  if (!listening) return;
  listening();
  listening = null;
  drawList();
  if (words !== undefined) say(words);
}

function take(act, combo) {
  if (OF_THE_BROWSER.includes(combo)) return say(`${shown(combo)} belongs to the browser. Press another key.`);
  const other = [...acts.values()].find((one) => one.id !== act.id && one.context === act.context && keysOf(one.id).includes(combo));
  if (other) return say(`${shown(combo)} is “${other.label}” already. Press another key.`);
  const spare = act.keys.filter((key) => key.startsWith("Mod+") && key !== combo);
  const next = { ...chosen, [act.id]: [combo, ...spare] };
  stopListening();
  return save(next, `“${act.label}” is on ${shown(combo)} now.`);
}

async function save(next, words) {
  const before = chosen;
  chosen = next;
  refresh();
  try {
    const body = new URLSearchParams({ bindings: JSON.stringify(next) });
    const answer = await fetch(dialog().dataset.save, { method: "POST", body, headers: csrf() });
    if (!answer.ok) throw new Error(answer.headers.get("X-Message") || `error ${answer.status}`);
    say(words);
  } catch (error) {
    chosen = before;
    refresh();
    say(`Not saved (${error.message}). Try again when there is a connection.`);
    toast("The key was not saved.", "error");
  }
}

function refresh() {
  drawList();
  paintHints();
}

export function csrf() {
  const headers = JSON.parse(document.body.getAttribute("hx-headers") || "{}");
  return { "X-CSRFToken": headers["X-CSRFToken"] ?? "" };
}

function say(words) {
  const place = document.getElementById("keys-said");
  if (place) place.textContent = words;
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.("#keys-reset")) save({}, "All keys are as they were at first.");
  // Before page.js shows it: the list is made when it is wanted.
  if (event.target.closest?.('[data-open-dialog="keys"]')) drawList();
}, true);
document.addEventListener("close", (event) => { if (event.target.id === "keys") stopListening(""); }, true);

register([{ id: "help", group: "Page", label: "This list", keys: ["?"], run: openHelp }]);
