// From the photo of a unit to the page that draws on it.

import { register } from "./keys.js";
import { unit } from "./unit.js";

const inspection = () => unit.id ?? document.getElementById("workbench")?.dataset.inspection;
const photo = () => unit.viewer?.photo?.id ?? unit.photo;

function open() {
  if (photo()) location.assign(`/inspections/${inspection()}/photos/${photo()}/draw/`);
}

document.addEventListener("click", (event) => { if (event.target.closest?.("#draw-open")) open(); });
register([{ id: "draw.open", group: "Photo", label: "Draw on this photo", keys: ["Shift+d"], when: () => Boolean(photo()), run: open }]);
