// The order of a layout's parts: buttons that move a part, and words for who can't see it move.

const parts = document.getElementById("parts");
const moved = document.getElementById("moved");

parts.addEventListener("click", (event) => {
  const button = event.target.closest("[data-move]");
  if (!button) return;
  const row = button.closest("li");
  const isUp = button.dataset.move === "up";
  const other = isUp ? row.previousElementSibling : row.nextElementSibling;
  if (!other) return;
  if (isUp) other.before(row);
  else other.after(row);
  const isLast = isUp ? !row.previousElementSibling : !row.nextElementSibling;
  (isLast ? row.querySelector(`[data-move="${isUp ? "down" : "up"}"]`) : button).focus();
  const place = [...parts.children].indexOf(row) + 1;
  moved.textContent = `${row.querySelector("b").textContent} is now number ${place}.`;
});
