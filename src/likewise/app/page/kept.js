// What is kept on disk: every change is sent as it is made, the changed pictures only; and the way back to it.

import * as api from "./api.js";
import { keyOf } from "./question.js";

/** Milliseconds in which changes are gathered, and after which it is tried again. */
const [GATHER, AGAIN] = [20, 1500];
/** Characters of one request, about. */
const MOST = 1 << 20;
const TASKS = ["count", "segment", "recognize"];

export class Kept {
  /** told(state, why) hears "kept", "keeping" or "lost". Nothing is sent before the tab is set: it is not known who writes. */
  constructor(bench, modes, told) {
    Object.assign(this, { bench, modes, told, tab: "", dirty: new Set(), sending: null, sent: new Map(), brought: new Set(), asked: {} });
  }

  /** Some pictures may have changed. */
  mark(ids) {
    if (this.bench.store.locked || !this.tab) return;
    for (const id of ids) if (this.entryOf(id) !== this.sent.get(id)) this.dirty.add(id);
    if (this.dirty.size || this.newlyAsked()) this.flush();
  }

  get busy() {
    return this.dirty.size > 0 || this.sending !== null;
  }

  /** Resolves when all that was said is on disk, or cannot be kept. */
  flush() {
    if (!this.tab) return Promise.resolve();
    this.sending ??= this.send().finally(() => (this.sending = null));
    return this.sending;
  }

  async send() {
    this.told("keeping");
    await new Promise((resolve) => setTimeout(resolve, GATHER));
    while (this.dirty.size || this.newlyAsked()) {
      const { body, ids } = this.next();
      try {
        const { unknown } = await api.change(body);
        if (unknown.length) return this.told("lost", `Not here any more, so what was said of it is not kept: ${unknown.map((id) => this.bench.picture(id)?.name).join(", ")}. Add it again.`);
      } catch (error) {
        for (const id of ids) this.sent.delete(id);
        if (error.status !== undefined) return this.told("lost", error.message);
        this.told("lost", `${error.message} It is tried again.`);
        for (const id of ids) this.dirty.add(id);
        this.asked = {};
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
    this.told("kept");
  }

  /** The next request, of as many changed pictures as it holds. */
  next() {
    const pictures = [];
    const ids = [];
    let size = 0;
    for (const id of this.dirty) {
      const change = this.changeOf(id);
      const length = JSON.stringify(change).length;
      if (pictures.length && size + length > MOST) break;
      size += length;
      pictures.push(change);
      ids.push(id);
      this.dirty.delete(id);
      this.sent.set(id, this.entryOf(id));
    }
    const asked = this.newlyAsked() ?? {};
    Object.assign(this.asked, asked);
    const bringing = pictures.some((change) => change.found);
    const chosen = asked.recognize && { recognizer: this.modes.recognize.model ?? "" };
    return { ids, body: { tab: this.tab, pictures, asked: bringing ? { ...this.asked } : asked, ...chosen } };
  }

  entryOf(id) {
    return this.bench.store.entries.get(id);
  }

  changeOf(id) {
    const entry = Object.fromEntries(Object.entries(this.bench.entry(id)).filter(([, value]) => value !== null));
    const question = this.modes.count.question(id);
    const change = { picture: id, entry, question: question && keyOf(question) };
    if (this.brought.delete(id)) change.found = Object.fromEntries(TASKS.map((task) => [task, strip(task, this.modes[task].answer(id))]).filter(([, found]) => found));
    return change;
  }

  /** What is asked of all pictures, where that is something else than it was; null: it is not. */
  newlyAsked() {
    const now = { recognize: keyOf(this.modes.recognize.asked()) };
    const support = this.modes.segment.support();
    if (support.length) now.segment = keyOf(this.modes.segment.asked());
    const changed = Object.entries(now).filter(([task, key]) => this.asked[task] !== key);
    return changed.length ? Object.fromEntries(changed) : null;
  }

  /** Bring all that is kept to the page. */
  async open() {
    const found = await api.keptProject();
    this.modes.recognize.wanted = found.recognizer;
    for (const each of found.pictures) this.bench.store.load(each.picture, each.entry);
    for (const each of found.pictures) this.putAnswers(each, { brief: true });
    for (const each of found.pictures) this.sent.set(each.picture, this.entryOf(each.picture));
    // nothing is written as long as nothing is said: what is asked of all pictures is told with the first change
    this.asked = found.pictures.length ? {} : { recognize: keyOf(this.modes.recognize.asked()) };
    return found;
  }

  /** The same of one picture. */
  async openOne(id) {
    const found = await api.keptPicture(id);
    this.bench.store.load(id, found.entry);
    this.putAnswers(found, { brief: false });
    this.sent.set(id, this.entryOf(id));
    this.bench.store.tell([id]);
  }

  putAnswers(found, more) {
    for (const task of TASKS) {
      const question = found[task] && this.modes[task].question(found.picture);
      if (question) this.bench.store.put(task, question, { ...found[task], ...more });
    }
  }
}

const PARTS = {
  count: ["model", "count", "low", "high", "untrusted", "warnings", "points", "found", "scores", "seconds", "kinds", "confusions"],
  segment: ["model", "area", "boxes", "segmentation", "seconds"],
  recognize: ["model", "label", "nearest", "probability", "top", "seconds"],
};

/** Of an answer what a project file holds. */
function strip(task, answer) {
  if (!answer || answer.brief) return null;
  return Object.fromEntries(PARTS[task].filter((name) => answer[name] !== undefined).map((name) => [name, answer[name]]));
}
