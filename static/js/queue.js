// Reviewing one unit after the other. While one is looked at, the next is taken from the queue and
// fetched with its photo, so that after a decision it is there at once; without JavaScript, or where
// nothing was fetched yet, the link "Next" does the same with a page load.

import { csrf } from "./keys.js";
import { toast } from "./toast.js";
import { onUnit, unit } from "./unit.js";

const RENEW_MS = 60_000;
const RETRY_MS = 4000;
const PATIENCE_MS = 8000;
const $ = (id) => document.getElementById(id);
let ahead = null;       // { task, unit, address, page, photo }
let fetching = null;
let isEmpty = false;

export function isReviewing() { return $("queue-bar")?.dataset.query !== undefined; }

function currentTask() { return $("queue-bar")?.dataset.task ?? ""; }

async function ask(address, values) {
  const answer = await fetch(address, { method: "POST", body: new URLSearchParams(values), headers: csrf() });
  if (!answer.ok || answer.redirected) throw new Error(`error ${answer.status}`);
  return answer.json();
}

// Two units ahead would be taken from others for longer than they need to be; one is enough.
async function fetchAhead() {
  if (ahead || isEmpty || !isReviewing()) return;
  const wanted = [...new URLSearchParams($("queue-bar").dataset.query)];
  const next = await ask("/queue/fetch/", [...wanted, ["have", currentTask()]]);
  if (!next.task) { isEmpty = true; return; }
  const answer = await fetch(next.address);
  if (!answer.ok) throw new Error(`error ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  ahead = { ...next, page, photo: await loadedPhoto(page) };
}

async function loadedPhoto(page) {
  const [first] = JSON.parse(page.getElementById("overlay-data")?.textContent || "{}").photos ?? [];
  if (!first) return null;
  const photo = new Image();
  photo.src = first.url;
  try { await photo.decode(); } catch { /* the viewer tells of a photo that does not load */ }
  return photo;
}

function keepAhead() {
  fetching ??= fetchAhead()
    .catch(() => setTimeout(keepAhead, RETRY_MS))
    .finally(() => { fetching = null; });
  return fetching;
}

// Whether the next unit is shown; else the caller goes on by a page load.
export function showAhead() {
  if (!ahead) return false;
  const { page, address } = ahead;
  ahead = null;
  for (const part of page.querySelectorAll("[data-unit-part]")) swap(part);
  $("workbench").dataset.inspection = page.getElementById("workbench").dataset.inspection;
  document.title = page.title;
  history.pushState({}, "", address);
  document.dispatchEvent(new CustomEvent("loupe:shown"));
  keepAhead();
  return true;
}

function swap(part) {
  const old = $(part.id);
  if (!old) return;
  const fresh = document.importNode(part, true);
  old.replaceWith(fresh);
  htmx.process(fresh);
}

// `sent`: settled when the verdict that was just given has arrived; a page that is left cuts it off.
export async function goOn(sent) {
  if (showAhead()) return;
  if (!isEmpty) await Promise.race([keepAhead(), pause(PATIENCE_MS)]);
  if (showAhead()) return;
  if (isEmpty) { toast("That was the last one in this part of the queue. Well done."); return; }
  await Promise.race([sent, pause(PATIENCE_MS)]);
  const link = $("next-link");
  if (link) location.href = link.href;
}

function pause(ms) { return new Promise((resolve) => setTimeout(resolve, ms)); }

// A unit whose page was left stays with this person until the lease ends, and then goes to others.
async function renew() {
  const tasks = [currentTask(), ahead?.task].filter(Boolean);
  if (!tasks.length || document.hidden) return;
  try {
    const { tasks: kept } = await ask("/queue/renew/", tasks.map((task) => ["task", task]));
    if (ahead && !kept.includes(ahead.task)) ahead = null;
    const said = $("queue-said");
    if (said && currentTask() && !kept.includes(currentTask())) said.textContent = "This review is done, or somebody else has it now.";
  } catch { /* without a connection the lease runs on; it is asked for again */ }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#next-link");
  if (!link || !isReviewing() || event.ctrlKey || event.metaKey || !ahead) return;
  event.preventDefault();
  pass();
  showAhead();
});

// Put aside: others get it at once, this person not for a while.
function pass() { if (currentTask()) ask("/queue/pass/", [["task", currentTask()]]).catch(() => {}); }

window.addEventListener("popstate", () => location.reload());
setInterval(renew, RENEW_MS);
onUnit(() => { if (isReviewing()) requestIdleCallback?.(keepAhead) ?? setTimeout(keepAhead); });
window.loupeQueue = { isReady: () => ahead !== null, unit };
