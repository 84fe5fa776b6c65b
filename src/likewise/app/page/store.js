// What the user has said about each picture, with undo and redo, and the answers, which are kept apart from it.

import { UNTOUCHED, carryOver } from "./corrections.js";
import { showing, whole } from "./kinds.js";

const BLANK = Object.freeze({
  exemplars: [], negatives: [], text: null, region: null, like: null, kinds: [], regions: [], coarse: 1, model: null, micrometres: null, seen: null, label: null,
  strokes: [], base: null, example: false, boxed: [], clicked: [],
  ...UNTOUCHED,
});
/** Changing one of these asks for another answer. */
const PROMPT = ["exemplars", "text", "region", "like", "coarse", "model", "seen"];
const STEPS = 500;

export class Store {
  constructor() {
    // version: of all entries, for what is worked out of them; locked: why nothing can be changed, or null
    Object.assign(this, { entries: new Map(), past: [], future: [], version: 0, listeners: [], locked: null, onlocked: () => {} });
    this.prompt = new Set(PROMPT);
    // The answer to every question that was asked, by the question: undo finds them again.
    this.answers = { count: new Map(), segment: new Map(), recognize: new Map() };
  }

  of(id) {
    return this.entries.get(id) ?? BLANK;
  }

  /** One undo step; gives how many corrections by hand were set aside because another thing is asked for. */
  change(id, patch) {
    return this.changeMany([[id, patch]]);
  }

  changeMany(patches) {
    let setAside = 0;
    const step = patches.map(([id, patch]) => {
      const before = this.of(id);
      const asks = Object.keys(patch).some((key) => this.prompt.has(key)) || (patch.kinds && showing(patch.kinds) !== showing(before.kinds));
      const carried = asks ? carryOver(before, patch) : { patch, setAside: 0 };
      setAside += carried.setAside;
      return { id, before, after: Object.freeze({ ...before, ...carried.patch }) };
    });
    return this.take(step) ? setAside : 0;
  }

  /** What was said is brought into another form: no step of its own. */
  settle(id, patch) {
    this.entries.set(id, Object.freeze({ ...this.of(id), ...patch }));
    this.tell([id]);
  }

  /** Other entries, whole, for some pictures: one undo step. */
  replaceMany(entries) {
    return this.take(entries.map(([id, entry]) => ({ id, before: this.of(id), after: Object.freeze({ ...BLANK, ...whole(entry) }) })));
  }

  take(step) {
    if (this.locked) {
      this.onlocked(this.locked);
      return false;
    }
    this.past.push(step);
    if (this.past.length > STEPS) this.past.shift();
    this.future = [];
    this.apply(step, "after");
    return true;
  }

  /** Gives the pictures that changed. */
  undo() {
    return this.step(this.past, this.future, "before");
  }

  redo() {
    return this.step(this.future, this.past, "after");
  }

  step(from, to, which) {
    const step = this.locked ? null : from.pop();
    if (!step) return [];
    to.push(step);
    this.apply(step, which);
    return step.map(({ id }) => id);
  }

  apply(step, which) {
    for (const each of step) this.entries.set(each.id, each[which]);
    this.version += 1;
    this.tell(step.map(({ id }) => id));
  }

  /** What is kept on disk, without a word to anybody: not to be undone. */
  load(id, entry) {
    this.entries.set(id, Object.freeze({ ...BLANK, ...whole(entry) }));
    this.version += 1;
  }

  answered(task, question, answer) {
    this.put(task, question, answer);
    this.tell([question.picture]);
  }

  put(task, question, answer) {
    const key = JSON.stringify(question);
    this.answers[task].set(key, { ...this.answers[task].get(key), ...answer });
  }

  answer(task, question) {
    return question && this.answers[task].get(JSON.stringify(question));
  }

  tell(ids) {
    for (const listener of this.listeners) listener(ids);
  }
}
