// Asks SAM on the server, and puts what it answers into the drawing. While the photo is being
// looked at for the first time (202) it is asked again, with the progress said; the last prompt wins.

import { Mask } from "./mask.js";
import { find, withNew, withShape } from "./model.js";
import { ask, AwayError, randomName } from "./session.js";
import { union } from "./runs.js";

const wait = (seconds, signal) => new Promise((done, stop) => {
  const timer = setTimeout(done, seconds * 1000);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    stop(new DOMException("", "AbortError"));
  });
});

export class Outliner {
  constructor(app, url, showProgress) {
    Object.assign(this, { app, url, showProgress, pending: null, running: null, isReady: false });
  }

  // So that the first click is quick: the photo is looked at when the page opens.
  async warm() {
    const control = new AbortController();
    this.warming = control;
    try {
      const answer = await this.until({ key: "", box: null, points: [] }, control.signal, "Getting ready to outline");
      this.isReady = answer.status === 200;
    } catch { /* said at the first click */ }
    if (!this.pending) this.showProgress(null);
  }

  async outline(prompt) {
    this.stop();
    const control = new AbortController();
    this.running = control;
    this.pending = { ...prompt, key: prompt.key ?? randomName() };
    this.app.redraw("tool");
    try {
      const { key, box, points } = this.pending;
      const answer = await this.until({ key, box, points, choose: "best" }, control.signal, "Looking at the photo");
      this.take(this.pending, answer);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.app.say(error instanceof AwayError ? "SAM needs a connection. Brush and polygon go on without." : error.message, "error");
    }
    this.pending = this.running = null;
    this.showProgress(null);
    this.app.redraw("tool");
  }

  async until(body, signal, words) {
    for (;;) {
      const answer = await ask(this.url, { method: "POST", body, signal });
      if (answer.status !== 202) return answer;
      this.showProgress(answer.told.progress ?? 0, answer.told.words || words);
      await wait(Math.max(0.2, answer.retryAfter || 0.5), signal);
    }
  }

  take(prompt, { status, told }) {
    if (status !== 200) throw new Error(told.error || `SAM did not answer (${status}). Try again, or use the brush.`);
    this.isReady = true;
    const [best] = told.masks;
    const found = best && Mask.received(best.mask);
    if (!found?.bounds) return this.app.say("Nothing stands out there. Click elsewhere, or draw a box around it.");
    const { app } = this;
    const base = app.options.sam === "replace" ? null : prompt.base;
    const mask = base ? Mask.of(union(base.runs, found.runs), app.frame) : found;
    const known = prompt.uid && find(app.doc, prompt.uid);
    const shape = known ? { ...known, mask } : app.newShape({ mask });
    const doc = known ? withShape(app.doc, shape.uid, shape) : withNew(app.doc, shape);
    return app.commit({ ...doc, prompt: { ...prompt, uid: shape.uid } }, prompt.points.length > 1 ? "Click for SAM" : "Outlined by SAM", shape.uid);
  }

  stop() {
    this.running?.abort();
    this.running = this.pending = null;
    this.showProgress(null);
  }
}
