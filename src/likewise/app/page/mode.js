// One question about a picture at a time, asked once, and its answer; it can be given up, and says how long it takes.

import * as api from "./api.js";
import { complain } from "./notices.js";
import { COLOURS } from "./paint.js";
import { keyOf } from "./question.js";

/** Seconds beyond which a question is announced before it is asked. */
const LONG = 15;
/** By which a brief answer is known to be that of a whole one. */
const SAME = { count: "count", segment: "area", recognize: "label" };

export class Mode {
  constructor(bench, busy) {
    // open: what is being asked, by picture; held: questions that wait for the user's word, and why; agreed: that have it, with the seconds they take
    Object.assign(this, { bench, busy, problem: null, open: new Map(), held: new Map(), agreed: new Map(), problems: new Map() });
  }

  /** Whether the chosen picture's answer is awaited. */
  get asking() {
    return this.open.has(this.bench.selected);
  }

  /** What is known of a picture, as far as it is asked now. A mode says what its question(id) is, null where there is none. */
  answer(id = this.bench.selected) {
    return this.bench.store.answer(this.task, this.question(id)) ?? null;
  }

  /** Under which name the answer to a question is kept. */
  key(question) {
    return keyOf(question);
  }

  /** A line about all pictures, from their values in the table. */
  total() {
    return "";
  }

  /** Boxes that a person has drawn, of one of the lists in an entry. */
  boxes(list) {
    return this.bench.entry()[list];
  }

  setBoxes(list, boxes) {
    this.prompt({ [list]: boxes });
  }

  boxColour(list) {
    return COLOURS[list] ?? COLOURS.exemplars;
  }

  /** Whether there is a model to ask. */
  ready() {
    return Boolean(this.bench.model(this.task));
  }

  /** The picture is on the stage. */
  shown() {
    this.update();
  }

  /** Ask about the chosen picture what is not known yet; something else that is asked about it is given up. */
  async ask() {
    const id = this.bench.selected;
    const question = this.question();
    const key = question && JSON.stringify(question);
    if (this.open.get(id)?.key === key) return;
    this.stop(id);
    if (!question || !this.ready() || this.held.has(key) || !this.lacks(this.answer())) return;
    const asked = { key, question, control: new AbortController(), since: performance.now(), seconds: null, tiles: null };
    this.open.set(id, asked);
    this.told(id);
    const problem = await this.go(asked).catch((error) => error);
    if (this.open.get(id) !== asked) return; // given up, or something else is asked
    this.open.delete(id);
    this.told(id);
    if (problem) this.failed(id, question, problem);
    else if (this.bench.mode === this && this.bench.selected === id) {
      this.panel.update();
      this.ask();
    }
  }

  async go(asked) {
    await this.recall(asked.question);
    if (!this.lacks(this.bench.store.answer(this.task, asked.question) ?? null)) return;
    if (!(await this.mayAsk(asked))) return;
    this.keep(asked.question, await this.call(asked.question, asked.control.signal));
  }

  /** All of an answer of which only the brief is here. */
  async recall(question) {
    const brief = this.bench.store.answer(this.task, question);
    if (!brief?.brief) return;
    await this.bench.settled();
    const found = (await api.keptPicture(question.picture))[this.task];
    const own = found && found[SAME[this.task]] === brief[SAME[this.task]] ? found : {};
    this.bench.store.answered(this.task, question, { ...own, brief: false });
  }

  /** Whether it is to be asked: what takes long waits for the user's word. */
  async mayAsk(asked) {
    const told = this.forecast && !this.agreed.has(asked.key) ? await this.forecast(asked.question) : null;
    asked.seconds = told?.seconds ?? this.agreed.get(asked.key) ?? null;
    if (!told || told.seconds === null || told.seconds <= LONG) return true;
    this.held.set(asked.key, told);
    return false;
  }

  /** What the chosen picture's question waits for; undefined: for nothing. */
  waits() {
    const question = this.question();
    return question && this.lacks(this.answer()) ? this.held.get(JSON.stringify(question)) : undefined;
  }

  /** The user wants it all the same. */
  agree() {
    const key = JSON.stringify(this.question());
    this.agreed.set(key, this.held.get(key)?.seconds ?? null);
    this.held.delete(key);
    this.update();
  }

  /** The user does not want to wait. */
  giveUp(id = this.bench.selected) {
    const asked = this.open.get(id);
    if (asked) this.held.set(asked.key, { seconds: asked.seconds, stopped: true });
    this.stop(id);
  }

  stop(id) {
    if (!this.open.has(id)) return;
    this.open.get(id).control.abort();
    this.open.delete(id);
    this.told(id);
  }

  told(id) {
    if (this.bench.mode !== this || this.bench.selected !== id) return;
    this.busy(this.open.has(id));
    this.panel.update();
  }

  keep(question, found) {
    this.problems.delete(question.picture);
    this.bench.store.answered(this.task, question, { ...found, brief: false });
  }

  failed(id, question, error) {
    if (error.name === "AbortError" || this.bench.mode !== this) return;
    if (this.bench.selected === id && JSON.stringify(question) === JSON.stringify(this.question(id))) {
      this.problem = error.message;
      this.panel.update();
      this.busy(false);
    }
    if (error.status === undefined || error.status >= 500) complain(error);
  }

  /** Take in what a job found about one picture, in brief; it may be the answer to a question that is not asked any more. Gives the picture. */
  take({ picture, image, error, question: key, ...found }) {
    const question = this.question(picture);
    if (error) this.problems.set(picture, error);
    else this.problems.delete(picture);
    const known = this.answer(picture);
    if (question && !error && this.key(question) === key && (known?.brief ?? true)) this.bench.store.put(this.task, question, { ...found, brief: true });
    return picture;
  }
}
