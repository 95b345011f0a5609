// Verdicts on their way to the server: kept in the browser until it has answered, sent one after the
// other in the order in which they were given. Without a connection they wait, over a reload too.
// Each carries its client_key, so that one which arrives twice counts once.
//
//   const { ok, text, note } = await post({ address, body, unit, words })
//
// The promise is settled by the server's answer, however late; one from before a reload has nobody
// who waits for it, and says so in a message only where it was refused.

import { csrf } from "./keys.js";
import { toast } from "./toast.js";

const KEY = `loupe:outbox:${document.body.dataset.person ?? ""}`;
const AGAIN_MS = 3000;
const LEFT_BEHIND_MS = 30_000;   // another page of this person must be gone by then
const TAB = (sessionStorage.tab ??= newKey());
const waiting = new Map();   // key of an entry → who hears of its answer
let isSending = false;
let banner = null;

export function newKey() {
  // Not randomUUID, which browsers keep from pages without https.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function read() {
  try { return JSON.parse(localStorage.getItem(KEY) ?? "[]"); } catch { return []; }
}

function write(entries) {
  try { localStorage.setItem(KEY, JSON.stringify(entries)); } catch { /* full: it is in memory still */ }
}

export function count() { return read().length; }

export function post({ address, body, unit = "", words = "" }) {
  const key = body.get("client_key");
  const entry = { key, tab: TAB, at: Date.now(), address, body: new URLSearchParams(body).toString(), unit, words };
  write([...read().filter((one) => one.key !== key), entry]);
  const answer = new Promise((resolve) => waiting.set(key, resolve));
  flush();
  return answer;
}

// One page of a person sends at a time.
export async function flush() {
  if (isSending) return;
  isSending = true;
  try {
    const locked = navigator.locks ? (act) => navigator.locks.request(KEY, act) : (act) => act();
    await locked(sendAll);
  } finally {
    isSending = false;
  }
  if (!banner && next()) flush();   // what was given just as the last one had been sent
}

// Each page sends what was given on it, and what pages left behind that are gone.
function next() {
  return read().find((one) => one.tab === TAB || Date.now() - one.at > LEFT_BEHIND_MS);
}

async function sendAll() {
  for (let entry = next(); entry; entry = next()) {
    const said = await send(entry);
    if (said === null) return wait();
    write(read().filter((one) => one.key !== entry.key));
    settle(entry, said);
  }
  banner?.remove();
  banner = null;
}

// null: it could not be said now, and is tried again.
async function send(entry) {
  let answer;
  try {
    const headers = { "HX-Request": "true", "Content-Type": "application/x-www-form-urlencoded", ...csrf() };
    answer = await fetch(entry.address, { method: "POST", body: entry.body, headers });
  } catch {
    return null;
  }
  if (answer.headers.get("HX-Redirect")) return signInFirst(answer.headers.get("HX-Redirect"));
  if (answer.status >= 502) return null;
  const text = await answer.text();
  const message = answer.headers.get("X-Message") || "";
  if (answer.status === 200) return { ok: true, text, note: message };
  return { ok: false, text: message || `Not saved (${answer.status}). Reload the page and try again.` };
}

// The session has ended: what was given is kept and sent after signing in.
function signInFirst(address) {
  location.href = address;
  return null;
}

function settle(entry, said) {
  const hears = waiting.get(entry.key);
  waiting.delete(entry.key);
  if (hears) return hears(said);
  if (!said.ok) toast(`${entry.words || "A verdict"} was not saved: ${said.text}`, "error");
}

function wait() {
  const number = read().length;
  const words = `No connection. ${number === 1 ? "A verdict waits" : `${number} verdicts wait`} in this browser and will be sent by itself.`;
  banner ??= toast(words, "warning");
  banner.querySelector("p").textContent = words;
  setTimeout(flush, AGAIN_MS);
}

window.addEventListener("online", flush);
if (next()) flush();
