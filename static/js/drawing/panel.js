// The panel beside the photo: what is selected, the list of findings, the tools' choices.

import { fieldsChanged, isOpen } from "./model.js";
import { count } from "./work.js";

const $ = (id) => document.getElementById(id);

export function make(name, props = {}, ...children) {
  const { data = {}, aria = {}, ...rest } = props;
  const made = Object.assign(document.createElement(name), rest);
  Object.assign(made.dataset, data);
  for (const [key, value] of Object.entries(aria)) made.setAttribute(`aria-${key}`, value);
  made.append(...children);
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon small");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export class Panel {
  constructor(app, edits, asks) {
    Object.assign(this, { app, edits, asks });
    this.rows = new Map();
    this.fillChoices();
    this.listen();
    app.on("change", () => this.drawAll());
    app.on("select", () => this.drawSelection());
  }

  fillChoices() {
    const option = ({ name, label }) => make("option", { value: name, textContent: label });
    $("draw-type").append(...this.app.told.types.map(option));
    $("draw-severity").append(...this.app.told.severities.map(option));
  }

  listen() {
    const withSelected = (act) => (event) => this.app.selected && act(this.app.selected, event.target);
    $("draw-type").addEventListener("change", withSelected((shape, field) => this.edits.setType(shape, field.value)));
    $("draw-severity").addEventListener("change", withSelected((shape, field) => this.edits.setSeverity(shape, field.value)));
    $("draw-colour").addEventListener("change", withSelected((shape, field) => this.edits.setColour(shape, field.value)));
    $("draw-only-box")?.addEventListener("click", withSelected((shape) => this.edits.onlyBox(shape)));
    $("draw-findings").addEventListener("click", (event) => this.pressed(event));
    $("draw-findings").addEventListener("pointerover", (event) => this.app.hover(uidOf(event)));
    $("draw-findings").addEventListener("pointerleave", () => this.app.hover(null));
  }

  pressed(event) {
    const uid = uidOf(event);
    const shape = this.app.doc.shapes.find((one) => one.uid === uid);
    if (!shape) return;
    const act = event.target.closest("[data-row-act]")?.dataset.rowAct;
    if (act === "hide") this.edits.setHidden(shape, !shape.hidden);
    else if (act === "mark" || event.shiftKey) this.app.mark(uid);
    else if (act === "back") this.edits.change(uid, { rejected: null }, "Brought back");
    else if (isOpen(shape)) this.app.select(uid, { show: true });
  }

  drawAll() {
    const { shapes } = this.app.doc;
    const rows = shapes.filter((shape) => isOpen(shape) || shape.rejected);
    const uids = new Set(rows.map((shape) => shape.uid));
    for (const [uid, { row }] of this.rows) {
      if (!uids.has(uid)) {
        row.remove();
        this.rows.delete(uid);
      }
    }
    let before = null;
    for (const shape of rows) {
      const row = this.rowOf(shape);
      const place = before ? before.nextSibling : $("draw-findings").firstChild;
      if (place !== row) $("draw-findings").insertBefore(row, place);
      before = row;
    }
    const open = this.app.open.length;
    $("draw-count").textContent = String(open);
    $("draw-none").hidden = rows.length > 0;
    $("draw-sheet-toggle").textContent = open ? `Findings ${open}` : "Findings";
    this.drawSelection();
  }

  // Made anew only if the shape is another one: 200 rows cost nothing at a stroke.
  rowOf(shape) {
    const known = this.rows.get(shape.uid);
    if (known?.shape === shape) return known.row;
    const row = this.makeRow(shape);
    known?.row.replaceWith(row);
    this.rows.set(shape.uid, { shape, row });
    return row;
  }

  makeRow(shape) {
    const { app } = this;
    const title = app.titleOf(shape);
    const swatch = makeSwatch(app.colourOf(shape), !shape.mask);
    const name = make("button", { type: "button", className: "draw-row-name" },
      swatch, make("span", { className: "draw-row-number", textContent: shape.number ?? "new" }),
      make("span", { className: "draw-row-type", textContent: app.nameOf(shape) }));
    const badges = shape.rejected ? make("span", { className: "badge bad", textContent: "deleted" })
      : fieldsChanged(shape).length ? make("span", { className: "badge warn", textContent: shape.origin ? "changed" : "new" }) : "";
    const row = make("li", { className: "draw-row", data: { uid: shape.uid } }, name, badges);
    if (shape.rejected) row.append(rowButton("back", "retry", `Bring back ${title}`));
    else {
      row.append(
        ...(app.canEdit ? [rowButton("mark", "plus", `Mark ${title} for merging`, app.marked.has(shape.uid))] : []),
        rowButton("hide", "eye", `${shape.hidden ? "Show" : "Hide"} ${title}`, !shape.hidden),
      );
    }
    row.classList.toggle("is-hidden", shape.hidden);
    row.classList.toggle("is-deleted", Boolean(shape.rejected));
    return row;
  }

  drawSelection() {
    const { app } = this;
    const { selected } = app;
    for (const [uid, { row }] of this.rows) {
      const isOne = uid === app.selectedUid;
      row.classList.toggle("is-selected", isOne);
      row.classList.toggle("is-marked", app.marked.has(uid));
      row.querySelector(".draw-row-name").setAttribute("aria-pressed", String(isOne));
      row.querySelector('[data-row-act="mark"]')?.setAttribute("aria-pressed", String(app.marked.has(uid)));
      if (isOne && this.lastShown !== uid) row.scrollIntoView({ block: "nearest" });
    }
    this.lastShown = app.selectedUid;
    $("draw-selected").hidden = !selected;
    $("draw-unselected").hidden = Boolean(selected);
    if (selected) this.drawFields(selected);
  }

  drawFields(shape) {
    const { app } = this;
    $("draw-title").textContent = shape.number ? `Finding ${shape.number}` : "New finding";
    $("draw-type").value = shape.type;
    $("draw-severity").value = shape.severity;
    $("draw-colour").value = app.colourOf(shape);
    $("draw-definition").textContent = app.types.get(shape.type)?.definition ?? "";
    $("draw-size").textContent = sizeWords(shape);
    for (const field of $("draw-selected").querySelectorAll("[data-edits]")) field.disabled = !app.canEdit;
    if (!app.canEdit) return;
    $("draw-only-box").hidden = !shape.mask;
    $("draw-merge-words").textContent = app.marked.size ? `${count(app.marked.size + 1, "finding")} marked` : "";
  }
}

function sizeWords(shape) {
  if (!shape.mask) return `Box, ${Math.round(shape.box[2])} × ${Math.round(shape.box[3])} px`;
  const { bounds, area } = shape.mask;
  return bounds ? `${area.toLocaleString("en")} px, within ${bounds.width} × ${bounds.height}` : "Empty";
}

// A colour without an inline style: a drawn square.
function makeSwatch(colour, isBox) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("class", "draw-swatch");
  svg.setAttribute("aria-hidden", "true");
  const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const look = { x: 1.5, y: 1.5, width: 9, height: 9, rx: 2, fill: isBox ? "none" : colour, stroke: colour, "stroke-width": 2, "stroke-dasharray": isBox ? "3 2" : "none" };
  for (const [name, value] of Object.entries(look)) square.setAttribute(name, value);
  svg.append(square);
  return svg;
}

function rowButton(act, name, label, isPressed) {
  const button = make("button", { type: "button", className: "btn ghost icon-only small", data: { rowAct: act }, aria: { label } }, icon(name));
  if (isPressed !== undefined) button.setAttribute("aria-pressed", String(isPressed));
  button.title = label;
  return button;
}

const uidOf = (event) => event.target.closest?.("[data-uid]")?.dataset.uid ?? null;
