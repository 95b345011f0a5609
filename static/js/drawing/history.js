// What can be undone: states that are never changed in place, each with the words for the step to it.

export class History {
  constructor(state, most = 200) {
    this.most = most;
    this.reset(state);
  }

  reset(state) {
    this.states = [{ state, words: "" }];
    this.at = 0;
  }

  get state() { return this.states[this.at].state; }
  get canUndo() { return this.at > 0; }
  get canRedo() { return this.at < this.states.length - 1; }
  get undoWords() { return this.canUndo ? this.states[this.at].words : ""; }
  get redoWords() { return this.canRedo ? this.states[this.at + 1].words : ""; }

  // `focus`: what the step was done to.
  get focus() { return this.states[this.at].focus ?? null; }

  push(state, words, focus = null) {
    this.states.splice(this.at + 1, Infinity, { state, words, focus });
    if (this.states.length > this.most) this.states.shift();
    this.at = this.states.length - 1;
  }

  undo() {
    const words = this.undoWords;
    if (this.canUndo) this.at -= 1;
    return words;
  }

  redo() {
    const words = this.redoWords;
    if (this.canRedo) this.at += 1;
    return words;
  }
}
