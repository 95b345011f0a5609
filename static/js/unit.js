// The unit on the page, for the modules that work on it. A review goes from unit to unit without
// loading the page anew, so a module doesn't keep what belongs to one unit: it asks here, and hears
//
//   onUnit(({ id, address }) => …)   at once where a unit is there already, and after each change
//   onNews(() => …)                  when what is shown of the same unit was brought up to date
//
// Elements with `data-unit-part` and an id are what is replaced when the next unit comes.

export const unit = {
  id: null,          // of the inspection
  address: "",       // of its page, with the queue that it is reviewed in
  viewer: null,      // PhotoViewer
  photo: null,       // id of the photo that is shown
  selected: null,    // id of the finding that is selected
  data: { photos: [], findings: [] },
};

const bus = new EventTarget();
export const UNIT = "loupe:unit";
export const NEWS = "loupe:news";

export function onUnit(listener) {
  bus.addEventListener(UNIT, () => listener(unit));
  if (unit.id) listener(unit);
}

export function onNews(listener) { bus.addEventListener(NEWS, () => listener(unit)); }

export function tell(what) { bus.dispatchEvent(new Event(what)); }
