// From the drawing to the server and back: drafts with every step, the save, and what to do when
// somebody else has changed the same finding meanwhile.

import { changedShapes, changesOf, documentOf, find, hasWork, packed, rebased, received, unpacked } from "./model.js";
import { ask, AwayError, Drafts, Saves } from "./session.js";

const SOON_MS = 3000;

export class Work {
  // `shown`: { status(state, words), notice({words, kind, acts}), conflict(conflicts) -> uids to give up or null }
  constructor(app, shown) {
    Object.assign(this, { app, shown, urls: app.told.session_urls, isSaving: false });
    const key = `loupe-drawing:${app.told.user}:${app.told.photo.id}`;
    this.saves = new Saves(this.urls.save);
    this.drafts = new Drafts({ url: this.urls.draft, key, say: (state, words) => this.heard(state, words) });
    app.on("change", () => this.changed());
  }

  async load() {
    const { status, told } = await ask(this.urls.state);
    if (status !== 200) throw new Error(told.error || "The findings could not be loaded. Reload the page.");
    this.isLoading = true;
    this.app.reset(documentOf(told.findings.map(received)));
    if (this.app.canEdit) this.restore(told.draft);
    this.isLoading = false;
    return told;
  }

  restore(fromServer) {
    const begun = this.drafts.begin(fromServer);
    if (!begun || !hasWork(begun.content)) return;
    const { doc, stale, lost } = unpacked(this.app.doc, begun.content);
    this.app.commit(doc, "Restored drawing", null);
    const words = [`What you had not saved is back: ${count(changedShapes(doc).length, "finding")}.`];
    if (stale.length) words.push(`${count(stale.length, "of them has", "of them have")} been changed by somebody meanwhile: look before you save.`);
    if (lost) words.push(`${count(lost, "finding is", "findings are")} gone from the unit; your outline is kept as a new one.`);
    this.shown.notice({
      words: words.join(" "), kind: stale.length || lost ? "warn" : "info",
      acts: [["Start afresh", () => this.startAfresh()]],
    });
  }

  changed() {
    if (this.isLoading || !this.app.canEdit) return;
    this.drafts.put(packed(this.app.doc));
  }

  heard(state, words) {
    this.shown.status(state, words);
    if (state !== "elsewhere") return;
    this.shown.notice({
      words: "You are drawing on this photo in another window. Go on in one of them.", kind: "warn",
      acts: [["Go on here", () => this.drafts.takeOver()]],
    });
  }

  get count() { return changedShapes(this.app.doc).length; }

  // True once nothing is left to be saved.
  async save() {
    const { app } = this;
    if (!app.canEdit || this.isSaving) return false;
    app.stage.tool?.cancel?.();
    if (!this.count && !this.saves.open) {
      app.say("Nothing has changed.");
      return true;
    }
    const { doc } = app;
    const unnamed = changedShapes(doc).find((shape) => !shape.rejected && !app.types.has(shape.type) && !shape.origin);
    if (unnamed) return this.refuse("Choose a class for the new finding first.", unnamed.uid);
    this.isSaving = true;
    this.shown.status("saving");
    try {
      return await this.settle(await this.saves.send(doc, changesOf(doc), this.drafts.mark));
    } catch (error) {
      if (!(error instanceof AwayError)) this.saves.open = null;
      this.shown.status(error instanceof AwayError ? "away" : "refused", error.message);
      this.shown.notice({ words: `Not saved yet. ${error.message}`, kind: "bad", acts: [["Save again", () => this.save()]] });
      return false;
    } finally {
      this.isSaving = false;
    }
  }

  refuse(words, uid) {
    if (uid) this.app.select(uid, { show: true });
    this.shown.notice({ words, kind: "bad", acts: [] });
    return false;
  }

  async settle({ status, told, doc: sent }) {
    if (status === 200) return this.saved(sent, told.findings);
    if (status === 409 && told.conflicts?.length) return this.conflict(told);
    const uid = told.index === undefined ? null : changedShapes(sent)[told.index]?.uid;
    this.shown.status("refused");
    return this.refuse(told.error || `Not saved (${status}). Try again.`, uid);
  }

  saved(sent, findings) {
    const { app } = this;
    const uid = app.selectedUid;
    const place = app.doc.shapes.findIndex((shape) => shape.uid === uid);
    const next = rebased(app.doc, sent, findings);
    this.drafts.end();
    this.isLoading = true;
    app.reset(next);
    if (uid && !find(next, uid) && next.shapes[place]) app.select(next.shapes[place].uid);
    this.isLoading = false;
    this.shown.notice(null);
    if (this.count) this.changed();
    this.shown.status(this.count ? "sending" : "saved");
    app.say(this.count ? "Saved. What you drew meanwhile is kept, and not saved yet." : "Saved.");
    return !this.count;
  }

  async conflict({ conflicts, findings }) {
    const { app } = this;
    this.shown.status("refused");
    const theirs = findings.map(received);
    const rows = conflicts.map((id) => ({ mine: find(app.doc, id), theirs: theirs.find((shape) => shape.id === id) ?? null }));
    const given = await this.shown.conflict(rows.filter((row) => row.mine));
    this.isSaving = false;
    if (given === null) return false;
    app.commit(rebased(app.doc, null, findings, given), "Brought up to date");
    return this.count ? this.save() : (this.drafts.end(), this.shown.status("saved"), true);
  }

  async startAfresh() {
    const { app } = this;
    const shapes = app.doc.shapes.filter((shape) => shape.origin).map((shape) => received({ ...shape.origin, mask: shape.origin.mask?.sent ?? null }));
    this.shown.notice(null);
    app.commit(documentOf(shapes), "Started afresh", null);
    app.say("As it was saved last. Undo brings your drawing back.");
  }

  // Tiles of an old photo are made when it is first wanted: asked for until they are there.
  async waitForTiles(found) {
    for (let round = 0; round < 40; round++) {
      const { told } = await ask(`${this.urls.state}?masks=0`);
      if (told.tiles) return found(told.tiles);
      await new Promise((done) => { setTimeout(done, SOON_MS); });
    }
    return undefined;
  }
}

export function count(number, one, many = `${one}s`) { return `${number} ${number === 1 ? one : many}`; }
