// What the three modes share: a question about the chosen picture, asked once, and its answer.

import { complain } from "./notices.js";

export class Mode {
  constructor(bench, busy) {
    Object.assign(this, { bench, busy, asking: false, problem: null });
  }

  /** What is known of a picture, as far as it is asked now. A mode says what its question(id) is, null where there is none. */
  answer(id = this.bench.selected) {
    return this.bench.store.answer(this.task, this.question(id)) ?? null;
  }

  total() {
    return "";
  }

  /** Whether there is a model to ask. */
  ready() {
    return Boolean(this.bench.model(this.task));
  }

  /** The picture is on the stage. */
  shown() {
    this.update();
  }

  /** Ask about the chosen picture what is not known yet; while one answer is awaited, only the last question counts. */
  async ask() {
    const question = this.question();
    if (!question || this.asking || !this.ready() || !this.lacks(this.answer())) return;
    this.asking = true;
    this.busy(true);
    this.panel.update();
    let problem = null;
    try {
      this.keep(question, await this.call(question));
    } catch (error) {
      problem = error;
    }
    this.asking = false;
    this.busy(false);
    if (this.bench.mode !== this) return;
    if (problem) this.failed(question, problem);
    else {
      this.panel.update();
      this.ask();
    }
  }

  keep(question, found) {
    this.bench.store.answered(this.task, question, found);
  }

  failed(question, error) {
    if (JSON.stringify(question) === JSON.stringify(this.question())) {
      this.problem = error.message;
      this.panel.update();
    } else this.ask();
    if (error.status === undefined || error.status >= 500) complain(error);
  }

  /** Take in what a job found about one picture, asked the question it had when the job began. */
  take({ picture, image, error, ...found }, question) {
    if (question && !error) this.keep(question, found);
  }
}
