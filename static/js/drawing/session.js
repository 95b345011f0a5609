// What goes to the server and comes from it: findings, drafts with every stroke, the save. Nothing
// that was drawn depends on a connection: drafts lie in the browser too until the server has them.

import { csrf } from "../keys.js";

const DEBOUNCE_MS = 350;
const RETRY_MS = 4000;
const SIGNED_OUT = "You are signed out. Sign in in another tab, then go on here: what you drew is kept.";
const NO_CONNECTION = "No connection to Loupe. Go on drawing: it is kept in this browser, and sent when the connection is back.";

export function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class AwayError extends Error {}

let token = null;

async function freshToken() {
  const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  return JSON.parse(page.body.getAttribute("hx-headers") || "{}")["X-CSRFToken"];
}

// A request with JSON; { status, told, retryAfter }. AwayError where no answer came that counts.
export async function ask(url, { method = "GET", body, signal, again = true } = {}) {
  const headers = { ...(token ? { "X-CSRFToken": token } : csrf()), ...(body && { "Content-Type": "application/json" }) };
  let answer;
  try {
    answer = await fetch(url, { method, headers, signal, body: body && JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new AwayError(NO_CONNECTION);
  }
  if (answer.redirected) throw new AwayError(SIGNED_OUT);
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  // Signed in again in another tab: the token of this page is an old one.
  if (answer.status === 403 && !isJson && again) {
    token = await freshToken().catch(() => null);
    if (token) return ask(url, { method, body, signal, again: false });
  }
  if (!isJson) {
    if (answer.status >= 500) throw new AwayError(`Loupe does not answer just now (${answer.status}). What you drew is kept in this browser.`);
    throw new Error(`Loupe refused that (${answer.status}). Reload the page: what you drew is kept.`);
  }
  return { status: answer.status, told: await answer.json(), retryAfter: Number(answer.headers.get("Retry-After")) || 0 };
}

// The drafts of one photo. `say(state, words)`: "kept", "sending", "away", "elsewhere", "saved".
export class Drafts {
  constructor({ url, key, say }) {
    Object.assign(this, { url, key, say, session: randomName(), sequence: 0, replaces: null });
    this.waiting = null;
    this.timer = null;
    this.busy = null;
    addEventListener("online", () => this.flush());
    addEventListener("pagehide", () => this.flush());
  }

  // The newer of what the server and this browser have; null where nothing is unsaved.
  begin(fromServer) {
    const here = this.readHere();
    const isNewer = here && here.isWaiting && (!fromServer || (here.session === fromServer.session
      ? here.sequence > fromServer.sequence : here.at > Date.parse(fromServer.updated_at)));
    const found = isNewer ? here : fromServer;
    if (fromServer && fromServer.session !== found?.session) this.replaces = fromServer.session;
    if (found) [this.session, this.sequence] = [found.session, found.sequence];
    if (isNewer) this.put(here.content);
    else if (!fromServer) this.forgetHere();
    return found && { content: found.content, isFromHere: Boolean(isNewer) };
  }

  put(content) {
    this.sequence += 1;
    this.waiting = { session: this.session, sequence: this.sequence, finding: null, content };
    this.keepHere(true);
    this.say("sending");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), DEBOUNCE_MS);
  }

  keepHere(isWaiting) {
    const { session, sequence, waiting } = this;
    try {
      if (waiting) localStorage.setItem(this.key, JSON.stringify({ session, sequence, content: waiting.content, at: Date.now(), isWaiting }));
      this.isHereFull = false;
    } catch {
      // Full, or not allowed: then the server's draft is the only one.
      this.isHereFull = true;
    }
  }

  readHere() {
    try {
      return JSON.parse(localStorage.getItem(this.key) ?? "null");
    } catch {
      return null;
    }
  }

  forgetHere() {
    try { localStorage.removeItem(this.key); } catch { /* then there is none */ }
  }

  async flush() {
    clearTimeout(this.timer);
    if (this.busy) return this.busy;
    if (!this.waiting || this.isElsewhere) return undefined;
    this.busy = this.send(this.waiting);
    await this.busy;
    this.busy = null;
    return this.waiting && !this.isElsewhere ? this.schedule(this.isAway ? RETRY_MS : 0) : undefined;
  }

  schedule(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), wait);
  }

  async send(draft) {
    const body = this.replaces ? { ...draft, replaces: this.replaces } : draft;
    try {
      const { status, told } = await ask(this.url, { method: "PUT", body });
      this.isAway = false;
      if (status === 409) return this.stopFor(told.draft);
      if (status >= 400) return this.giveUp(told.error);
      this.replaces = null;
      return this.sent(draft);
    } catch (error) {
      this.isAway = true;
      if (!(error instanceof AwayError)) return this.giveUp(error.message);
      return this.say("away", error.message);
    }
  }

  sent(draft) {
    if (this.waiting !== draft) return;
    this.keepHere(false);
    this.waiting = null;
    this.say("kept");
  }

  giveUp(words) {
    this.waiting = null;
    this.say("refused", words);
  }

  stopFor(other) {
    this.isElsewhere = true;
    this.other = other?.session ?? null;
    this.say("elsewhere");
  }

  // Go on here, though another window has begun something.
  takeOver() {
    this.isElsewhere = false;
    this.replaces = this.other;
    return this.flush();
  }

  // It is saved: the server has ended the draft with the save.
  end() {
    clearTimeout(this.timer);
    this.waiting = null;
    this.forgetHere();
  }

  get mark() { return { session: this.session, sequence: this.sequence }; }

  async throwAway() {
    const { session, sequence } = this;
    this.end();
    await ask(`${this.url}?session=${session}&sequence=${sequence}`, { method: "DELETE" });
  }
}

// The save: what was sent is sent again as it was, with its key, until it is known what became of it.
export class Saves {
  constructor(url) {
    this.url = url;
    this.open = null;
  }

  // { status, told, doc } of what was sent; `doc` is the drawing as it was then.
  async send(doc, changes, draft) {
    this.open ??= { doc, body: { client_key: randomName(), changes, draft } };
    const { doc: then, body } = this.open;
    const { status, told } = await ask(this.url, { method: "POST", body });
    this.open = null;
    return { status, told, doc: then };
  }
}
