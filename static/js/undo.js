// Taking back what one said last: by its key, or by the button in the message. Kept for the tab, so
// that it works on the next unit of the queue too.

import { register } from "./keys.js";
import { newKey, post } from "./outbox.js";
import { toast } from "./toast.js";

const KEY = "loupe:undo";
const MOST = 50;
let shown = null;

function read() {
  try { return JSON.parse(sessionStorage.getItem(KEY) ?? "[]"); } catch { return []; }
}

function write(acts) { sessionStorage.setItem(KEY, JSON.stringify(acts.slice(-MOST))); }

// `of`: the client_key of the verdict; `page`: where its unit is seen.
export function remember(act) {
  write([...read(), act]);
  shown?.remove();
  shown = toast(act.words);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn small";
  button.textContent = "Undo";
  button.addEventListener("click", () => { shown?.remove(); undo(); });
  shown.insertBefore(button, shown.lastElementChild);
}

export function forgetAct(of) { write(read().filter((act) => act.of !== of)); }

async function undo() {
  const act = read().at(-1);
  if (!act) return toast("There is nothing to undo.");
  forgetAct(act.of);
  shown?.remove();
  const body = new URLSearchParams({ of: act.of, client_key: newKey() });
  const { ok, text, note } = await post({ address: `/inspections/${act.unit}/undo/`, body, unit: act.unit, words: "Undo" });
  if (!ok) return toast(text, "error");
  toast(note ? `Taken back. ${note}` : `Taken back: ${act.words}`, note ? "warning" : "");
  document.dispatchEvent(new CustomEvent("loupe:undone", { detail: { unit: act.unit, page: act.page, html: text } }));
}

register([{ id: "undo", group: "Decision", label: "Undo the last verdict", keys: ["z", "Mod+z"], run: undo }]);
