// A message at the edge of the page; errors stay until they are dismissed.

export function toast(text, kind = "") {
  const box = document.createElement("div");
  box.className = `toast ${kind}`;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn ghost icon-only small";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  box.append(words, close);
  document.getElementById("toasts")?.append(box);
  if (kind !== "error") setTimeout(() => box.remove(), 5000);
  return box;
}
