// Why a finding is no defect (x, then the key of a reason), and the defect catalogue beside the photo.

import { forget, register } from "./keys.js";
import { onNews, onUnit, unit } from "./unit.js";

const $ = (id) => document.getElementById(id);
let menu = null;

// The reasons of the finding that is rejected right now. Their keys are acts only while it is open.

function opener() { return menu && document.querySelector(`[data-reasons="${menu.id}"]`); }

function open(button) {
  close();
  menu = $(button.dataset.reasons);
  if (!menu) return;
  menu.hidden = false;
  button.setAttribute("aria-expanded", "true");
  menu.scrollIntoView({ block: "nearest" });
  register(acts());
}

function close() {
  if (!menu) return;
  forget(acts().map((act) => act.id));
  menu.hidden = true;
  opener()?.setAttribute("aria-expanded", "false");
  menu = null;
}

function acts() {
  const reasons = [...menu.querySelectorAll("[data-reason-key]")].map((button) => ({
    id: `reason.${button.value}`,
    group: "Reasons",
    context: "reasons",
    label: button.textContent.trim().slice(1),
    keys: [button.dataset.reasonKey],
    fixed: true,
    run: () => button.click(),
  }));
  return [...reasons, { id: "reason.leave", group: "Reasons", context: "reasons", label: "Not rejected after all", keys: ["Escape", "x"], fixed: true, run: leave }];
}

function leave() {
  const button = opener();
  close();
  button?.focus();
}

// "Other" says nothing by itself: what was typed goes with it, and where nothing was, it is asked for.
function asksForWords(button) {
  const comment = button.form?.elements.comment;
  if (button.value !== "other" || !comment || comment.value.trim()) return false;
  comment.placeholder = "What is it? Then Enter";
  comment.dataset.reason = "other";
  comment.focus();
  return true;
}

document.addEventListener("click", (event) => {
  const reason = event.target.closest?.("[data-reason-key]");
  if (reason && asksForWords(reason)) {
    event.preventDefault();
    return;
  }
  const button = event.target.closest?.("[data-reasons]");
  if (button) return menu?.id === button.dataset.reasons ? leave() : open(button);
  if (menu && !menu.contains(event.target)) close();
});

document.addEventListener("keydown", (event) => {
  const comment = event.target;
  if (!comment.dataset?.reason) return;
  if (event.key === "Escape") delete comment.dataset.reason;
  if (event.key !== "Enter" || !comment.value.trim()) return;
  event.preventDefault();
  comment.form.querySelector(`[name=reason][value=${comment.dataset.reason}]`)?.click();
});

// After the handlers of the verdict itself, which need the button where it is.
document.addEventListener("submit", () => setTimeout(close));
onNews(() => { if (menu && !menu.isConnected) { forget(acts().map((act) => act.id)); menu = null; } });

// The catalogue, with the class of the selected finding first.

async function openCatalogue() {
  const dialog = $("catalogue");
  if (!dialog || !unit.id) return;
  const type = unit.selected ? $(`type-${unit.selected}`)?.value ?? "" : "";
  const body = $("catalogue-body");
  body.setAttribute("aria-busy", "true");
  dialog.showModal();
  try {
    const answer = await fetch(`/inspections/${unit.id}/catalogue/?type=${encodeURIComponent(type)}`);
    if (!answer.ok) throw new Error(String(answer.status));
    body.innerHTML = await answer.text();
  } catch {
    body.textContent = "The catalogue did not load. Close this and try again.";
  }
  body.removeAttribute("aria-busy");
  dialog.scrollTop = 0;
}

document.addEventListener("keydown", (event) => {
  // Not the press that has opened it.
  if (event.defaultPrevented || !$("catalogue")?.open || event.key !== "d" || event.ctrlKey || event.metaKey) return;
  $("catalogue").close();
});
document.addEventListener("click", (event) => { if (event.target.closest?.("[data-open-catalogue]")) openCatalogue(); });

onUnit(() => close());
register([{ id: "catalogue", group: "Findings", label: "Defect catalogue", keys: ["d"], run: openCatalogue }]);
