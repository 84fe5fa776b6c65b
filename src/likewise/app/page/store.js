// What the user has said about each picture, with undo and redo, and the answers, which are kept apart from it.

const BLANK = Object.freeze({
  exemplars: [], negatives: [], text: null, region: null, like: null, added: [], removed: [], strokes: [],
});
/** Changing one of these asks for another answer, which corrections of the old one do not fit. */
const PROMPT = ["exemplars", "text", "region", "like"];
const STEPS = 500;

export class Store {
  constructor() {
    Object.assign(this, { entries: new Map(), past: [], future: [], saved: 0, listeners: [] });
    this.prompt = new Set(PROMPT);
    // The answer to every question that was asked, by the question: undo finds them again.
    this.answers = { count: new Map(), segment: new Map(), recognize: new Map() };
  }

  of(id) {
    return this.entries.get(id) ?? BLANK;
  }

  /** One undo step; gives how many corrections by hand were set aside because the prompt changed. */
  change(id, patch) {
    return this.changeMany([[id, patch]]);
  }

  changeMany(patches) {
    let setAside = 0;
    const step = patches.map(([id, patch]) => {
      const before = this.of(id);
      const corrections = before.added.length + before.removed.length;
      if (corrections && Object.keys(patch).some((key) => this.prompt.has(key))) {
        setAside += corrections;
        patch = { ...patch, added: [], removed: [] };
      }
      return { id, before, after: Object.freeze({ ...before, ...patch }) };
    });
    this.past.push(step);
    if (this.past.length > STEPS) this.past.shift();
    this.future = [];
    this.apply(step, "after");
    return setAside;
  }

  /** Gives the pictures that changed. */
  undo() {
    return this.step(this.past, this.future, "before");
  }

  redo() {
    return this.step(this.future, this.past, "after");
  }

  step(from, to, which) {
    const step = from.pop();
    if (!step) return [];
    to.push(step);
    this.apply(step, which);
    return step.map(({ id }) => id);
  }

  apply(step, which) {
    for (const each of step) this.entries.set(each.id, each[which]);
    this.saved += 1;
    this.tell(step.map(({ id }) => id));
  }

  /** Everything anew, as from a file; not to be undone. */
  load(entries) {
    this.entries = new Map(entries);
    this.past = [];
    this.future = [];
    this.tell([...this.entries.keys()]);
  }

  answered(task, question, answer) {
    const key = JSON.stringify(question);
    this.answers[task].set(key, { ...this.answers[task].get(key), ...answer });
    this.tell([question.picture]);
  }

  answer(task, question) {
    return question && this.answers[task].get(JSON.stringify(question));
  }

  tell(ids) {
    for (const listener of this.listeners) listener(ids);
  }
}
