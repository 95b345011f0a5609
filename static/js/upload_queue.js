// Sends files in chunks, a few at a time, and knows how each one stands. No page in here.
//
// An item goes queued → sending → waiting (whole, not read yet) → working → done, or ends as
// refused (the server says why), failed (retry may help) or lost (the page was reloaded: the file
// has to be chosen again, then it goes on where it stopped).

export const PARALLEL = 3;
export const OVER = new Set(["done", "refused", "failed", "lost"]);
const JUDGED = new Set(["review", "decided", "failed"]);
// One and a half minutes with the rests between them: a server that starts anew is back by then.
const TRIES = 8;
const LONGEST_REST = 30_000;

export class UploadQueue {
  constructor({ api, token, batch, onChange, onGone }) {
    Object.assign(this, { api, token, batch, onChange, onGone });
    this.items = new Map();
    this.fresh = [];
    this.sending = new Set();
    this.workers = 0;
  }

  // A file that is known already (same name, size and time) goes on instead of doubling; whether
  // there was anything to do is returned.
  add(file, path, options) {
    const key = this.keyFor(keyOf(file, path), options);
    const known = this.items.get(key);
    if (known && !["lost", "failed"].includes(known.state)) return false;
    const item = known ?? { key, name: path, size: file.size, sent: 0 };
    Object.assign(item, { file, options });
    this.items.set(key, item);
    this.enqueue(item);
    return true;
  }

  // Once it is over, a file may be sent again with another plan, reference or note.
  keyFor(base, options) {
    const wanted = JSON.stringify(options);
    const isOther = (item) => ["done", "refused"].includes(item?.state) && JSON.stringify(item.options) !== wanted;
    let key = base;
    for (let n = 2; isOther(this.items.get(key)); n++) key = `${base}-${n}`;
    return key;
  }

  retry(item) {
    if (item.file) this.enqueue(item);
  }

  enqueue(item) {
    Object.assign(item, { state: "queued", message: "", tries: 0, resting: false, rests: item.rests ?? 0 });
    this.fresh.push(item);
    this.changed(item);
    this.start();
  }

  changed(item) { this.onChange(item); }

  start() {
    while (this.workers < PARALLEL && (this.fresh.length || this.chunkToSend())) {
      this.workers += 1;
      this.work().finally(() => { this.workers -= 1; });
    }
  }

  chunkToSend() {
    for (const item of this.sending) if (item.todo.length && !item.resting) return item;
    return null;
  }

  async work() {
    for (;;) {
      const started = this.chunkToSend();
      const item = started ?? this.fresh.shift();
      if (!item) return;
      const { rests } = item;
      try {
        await (started ? this.sendChunk(item) : this.begin(item));
      } catch (error) {
        await this.stumble(item, error, rests);
      }
    }
  }

  async begin(item) {
    item.state = "sending";
    this.changed(item);
    const answer = await this.request("POST", "", {
      json: { batch: this.batch, client_key: item.key, name: item.name, size: item.size, ...item.options },
    });
    this.forgetTwin(item, answer.id);
    if (answer.status !== "receiving") {
      this.take(item, answer);
      return;
    }
    const count = Math.ceil(item.size / answer.chunk_bytes);
    const have = new Set(answer.received);
    item.chunk = answer.chunk_bytes;
    item.todo = Array.from({ length: count }, (_, index) => index).filter((index) => !have.has(index));
    item.sent = Math.min(item.size, have.size * item.chunk);
    item.flying = new Map();
    this.changed(item);
    if (item.todo.length === 0) return this.complete(item);
    this.sending.add(item);
    this.start();
  }

  // After a reload the server told of this file before it was chosen again: one row is enough.
  forgetTwin(item, id) {
    for (const [key, other] of this.items) {
      if (other.id === id && other !== item) {
        this.items.delete(key);
        this.onGone(other);
      }
    }
    item.id = id;
  }

  async sendChunk(item) {
    const { todo, flying } = item;
    const index = todo.shift();
    const from = index * item.chunk;
    const part = item.file.slice(from, from + item.chunk);
    flying.set(index, 0);
    try {
      await this.put(`/${item.id}/chunks/${index}`, part, (loaded) => {
        flying.set(index, Math.min(loaded, part.size));
        this.changed(item);
      });
    } catch (error) {
      todo.unshift(index);
      throw error;
    } finally {
      flying.delete(index);
    }
    if (item.flying !== flying) return; // failed and begun anew while this chunk was on its way
    item.sent += part.size;
    item.tries = 0;
    this.changed(item);
    if (!todo.length && !flying.size && this.sending.delete(item)) await this.complete(item);
  }

  async complete(item) {
    const { rests } = item;
    try {
      this.take(item, await this.request("POST", `/${item.id}/complete`, { json: {} }));
    } catch (error) {
      await this.stumble(item, error, rests);
    }
  }

  // What the server says of a file, whether in answer to us or found by asking for the batch.
  take(item, row) {
    const before = [item.state, item.message, item.inspection, item.judged, item.disposition].join();
    item.id = row.id;
    item.inspection = row.inspection ?? null;
    item.disposition = row.disposition ?? "";
    item.inspectionStatus = row.inspection_status ?? "";
    item.judged = JUDGED.has(item.inspectionStatus);
    item.parent = row.parent ?? item.parent ?? null;
    if (row.status === "refused") item.state = "refused";
    else if (row.status === "done") item.state = item.inspection && !item.judged ? "working" : "done";
    else if (row.status === "received") item.state = "waiting";
    else if (!item.file) item.state = "lost";
    item.warning = row.warnings?.[0] ?? "";
    item.message = row.message || (item.state === "lost" ? "Choose this file again: it goes on where it stopped." : "");
    if (["refused", "done", "working", "waiting"].includes(item.state)) item.sent = item.size;
    const after = [item.state, item.message, item.inspection, item.judged, item.disposition].join();
    if (before !== after) this.changed(item);
  }

  // Ask how the whole batch stands; members of archives are found here.
  async refresh() {
    const rows = await this.request("GET", `?batch=${encodeURIComponent(this.batch)}`);
    const byId = new Map([...this.items.values()].filter((item) => item.id).map((item) => [item.id, item]));
    for (const row of rows) {
      let item = byId.get(row.id);
      if (!item) {
        const key = `server-${row.id}`;
        item = { key, name: row.name, size: row.size, sent: 0, state: "" };
        this.items.set(key, item);
        byId.set(row.id, item);
      }
      // Of a file that is still on its way, this side knows more than the server.
      const isOnItsWay = row.status === "receiving" && item.state === "failed";
      if (!isOnItsWay && !["queued", "sending"].includes(item.state)) this.take(item, row);
    }
  }

  // After an error: rest and go on by itself, or say what to do. When the server is away, all
  // workers at a file fail; that is one try, and none of them goes on before the rest is over.
  async stumble(item, error, rests) {
    if (item.state === "failed") return;
    if (error.fatal) return this.fail(item, error);
    if (rests !== item.rests) return;
    item.tries += 1;
    if (item.tries >= TRIES && navigator.onLine) return this.fail(item, error);
    const rest = item.rests += 1;
    item.resting = true;
    item.message = navigator.onLine ? "The server did not answer. Trying again." : "No connection. It goes on by itself.";
    this.changed(item);
    await pause(navigator.onLine ? Math.min(LONGEST_REST, 500 * 2 ** item.tries) : LONGEST_REST);
    if (rest !== item.rests) return; // given up meanwhile, or begun anew
    item.resting = false;
    item.message = "";
    if (!this.sending.has(item)) this.fresh.unshift(item);
    this.start();
  }

  fail(item, error) {
    this.sending.delete(item);
    Object.assign(item, { state: "failed", message: error.message, resting: false, rests: item.rests + 1 });
    this.changed(item);
  }

  request(method, path, { json } = {}) {
    return this.call(method, path, json === undefined ? null : JSON.stringify(json), json === undefined ? {} : { "Content-Type": "application/json" });
  }

  put(path, blob, onProgress) {
    return this.call("PUT", path, blob, { "Content-Type": "application/octet-stream" }, onProgress);
  }

  call(method, path, body, headers, onProgress) {
    return new Promise((resolve, reject) => {
      const xhr = new XMLHttpRequest();
      xhr.open(method, this.api + path);
      xhr.timeout = 120_000;
      xhr.setRequestHeader("X-CSRFToken", this.token());
      xhr.setRequestHeader("Accept", "application/json");
      for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
      if (onProgress) xhr.upload.addEventListener("progress", (event) => onProgress(event.loaded));
      xhr.addEventListener("load", () => {
        if (xhr.status >= 200 && xhr.status < 300) resolve(xhr.status === 204 ? null : JSON.parse(xhr.responseText || "null"));
        else reject(problem(xhr));
      });
      xhr.addEventListener("error", () => reject(new Error("The connection broke. Check the network, then retry.")));
      xhr.addEventListener("timeout", () => reject(new Error("The server took too long. Retry in a minute.")));
      xhr.send(body);
    });
  }
}

function problem(xhr) {
  const error = new Error(words(xhr));
  error.fatal = xhr.status >= 400 && xhr.status < 500 && ![408, 425, 429].includes(xhr.status);
  return error;
}

function words(xhr) {
  if (xhr.status === 401) return "Your sign-in has ended. Sign in again in another tab, then retry.";
  try {
    const answer = JSON.parse(xhr.responseText);
    const said = answer.message ?? answer.detail;
    if (typeof said === "string") return said;
    if (Array.isArray(said)) return said.map((one) => one.msg).join("; ");
  } catch { /* not JSON: fall through to words of our own */ }
  if (xhr.status === 403) return "You may not upload here. Reload the page, or ask an admin for a role.";
  if (xhr.status === 413) return "The server does not take so much at once. Tell your admin.";
  return `The server could not take it (${xhr.status}). Retry in a minute.`;
}

const pause = (milliseconds) => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds);
  addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
});

// Name, size and time of a file as a short key, the same after a reload.
export function keyOf(file, path) {
  return `${hash(path)}-${file.size.toString(36)}-${file.lastModified.toString(36)}`;
}

// 53 bits of a string (cyrb53, public domain): tells the files of one batch apart.
function hash(text) {
  let h1 = 0xdeadbeef;
  let h2 = 0x41c6ce57;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    h1 = Math.imul(h1 ^ code, 2654435761);
    h2 = Math.imul(h2 ^ code, 1597334677);
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909);
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909);
  return (4294967296 * (2097151 & h2) + (h1 >>> 0)).toString(36);
}

// A random UUID also where the page is not served over HTTPS.
export function newUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
