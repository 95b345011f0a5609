// Dashboards work without this: it adds the button that prints.
const button = document.querySelector("[data-print]");
if (button) {
  button.hidden = false;
  button.addEventListener("click", () => {
    for (const details of document.querySelectorAll(".signals")) details.open = true;
    print();
  });
}
