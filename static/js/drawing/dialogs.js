// Questions: why a finding is deleted, and what to do where somebody else has changed it meanwhile.

import { make } from "./panel.js";

const $ = (id) => document.getElementById(id);

// Resolves with { reason, comment }, or null.
export function askWhy(app, shape) {
  const dialog = $("draw-why");
  const form = dialog.querySelector("form");
  $("draw-why-title").textContent = `Delete ${app.titleOf(shape)}?`;
  const place = $("draw-why-reasons");
  if (!place.childElementCount) {
    place.append(...app.told.reasons.map(({ name, label }, index) => make("label", { className: "check" },
      make("input", { type: "radio", name: "reason", value: name, required: true, checked: index === 0 }), label)));
  }
  form.elements.comment.value = "";
  $("draw-why-error").textContent = "";
  dialog.returnValue = "";
  dialog.showModal();
  place.querySelector("input:checked")?.focus();
  return new Promise((done) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      const [reason, comment] = [form.elements.reason.value, form.elements.comment.value.trim()];
      if (reason === "other" && !comment) {
        $("draw-why-error").textContent = "Say in a few words what it is.";
        return form.elements.comment.focus();
      }
      return dialog.close(JSON.stringify({ reason, comment }));
    };
    dialog.onclose = () => done(dialog.returnValue ? JSON.parse(dialog.returnValue) : null);
  });
}

// Resolves with the uids of which the other's word is taken, or null where nothing is decided yet.
export function askConflict(app, rows) {
  const dialog = $("draw-conflict");
  const form = dialog.querySelector("form");
  $("draw-conflict-rows").replaceChildren(...rows.map((row) => conflictRow(app, row)));
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      const chosen = rows.filter(({ mine }) => form.elements[`keep-${mine.uid}`].value === "theirs");
      dialog.close(JSON.stringify(chosen.map(({ mine }) => mine.uid)));
    };
    dialog.onclose = () => done(dialog.returnValue ? JSON.parse(dialog.returnValue) : null);
  });
}

function conflictRow(app, { mine, theirs }) {
  const choice = (value, words, said) => make("label", { className: "check draw-conflict-choice" },
    make("input", { type: "radio", name: `keep-${mine.uid}`, value, checked: value === "mine" }),
    make("span", {}, make("b", { textContent: words }), make("span", { className: "muted small", textContent: said })));
  return make("fieldset", { className: "draw-conflict-row" },
    make("legend", { textContent: app.titleOf(mine.origin ? { ...mine, type: mine.origin.type } : mine) }),
    choice("mine", "Keep mine", described(app, mine)),
    choice("theirs", "Take theirs", theirs ? described(app, theirs) : "It is gone from the unit."));
}

function described(app, shape) {
  if (shape.rejected || shape.origin?.status === "rejected") return "Deleted: no defect.";
  const severity = app.told.severities.find((one) => one.name === shape.severity)?.label ?? shape.severity;
  const outline = shape.mask ? `outline of ${shape.mask.area.toLocaleString("en")} px` : `box of ${Math.round(shape.box[2])} × ${Math.round(shape.box[3])} px`;
  return `${app.nameOf(shape)}, ${severity.toLowerCase()}, ${outline}.`;
}

// Findings of the earlier photo, to be copied here.
export function offerCopies(app, earlier, copy) {
  const dialog = $("draw-copy");
  const place = $("draw-copy-list");
  place.replaceChildren(...earlier.shapes.map((shape) => {
    const button = make("button", { type: "button", className: "btn small right" }, "Copy");
    button.setAttribute("aria-label", `Copy ${app.titleOf(shape)}`);
    button.addEventListener("click", () => {
      dialog.close();
      copy(shape);
    });
    return make("li", { className: "row" }, `${shape.number}  ${app.nameOf(shape)}`, make("span", { className: "muted small", textContent: shape.mask ? "outline" : "box" }), button);
  }));
  $("draw-copy-none").hidden = earlier.shapes.length > 0;
  dialog.showModal();
}
