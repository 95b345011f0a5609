// The plan editor: rows are added from templates and taken out; fields follow the kind of answer.

let next = 1000;

function showFields(row) {
  const kind = row.querySelector("select[name$='-kind']")?.value;
  if (!kind) return;
  row.querySelector(".for-choice").hidden = kind !== "choice";
  row.querySelector(".for-number").hidden = kind !== "number";
}

document.addEventListener("click", (event) => {
  const add = event.target.closest?.("[data-add]");
  if (add) {
    const part = add.dataset.add;
    const template = document.getElementById(`new-${part}`);
    const holder = document.createElement("template");
    holder.innerHTML = template.innerHTML.replaceAll("__i__", String(next++));
    const row = holder.content.firstElementChild;
    document.querySelector(`[data-rows="${part}"]`).append(row);
    showFields(row);
    row.querySelector("input, select")?.focus();
  }
  const remove = event.target.closest?.("[data-remove]");
  if (remove) {
    const row = remove.closest(".plan-row");
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    const adder = row.closest(".panel").querySelector("[data-add]");
    row.remove();
    (neighbour?.querySelector("input") ?? adder)?.focus();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.name?.endsWith("-kind")) showFields(event.target.closest(".plan-row"));
});

for (const row of document.querySelectorAll(".plan-row")) showFields(row);
document.querySelector("[aria-invalid='true']")?.focus();

const form = document.getElementById("plan-form");
let changed = false;
form.addEventListener("input", () => { changed = true; });
form.addEventListener("submit", () => { changed = false; });
addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
