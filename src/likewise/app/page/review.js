// Review: the pictures in the order of doubt, those first of whose count the model is least sure, and a mark on those confirmed.

import { $ } from "./dom.js";

export class Review {
  constructor(bench, table) {
    Object.assign(this, { bench, table, on: false });
    this.button = $("#review");
    this.button.addEventListener("click", () => this.turn(!this.on));
  }

  turn(on) {
    this.on = on;
    this.table.sortBy(on ? "doubt" : "name");
    if (on) this.next(-1);
    this.update();
  }

  /** The points of the chosen picture are right; in a review the next is shown. */
  confirm() {
    if (!this.bench.shows || !this.bench.mode.confirm) return;
    this.bench.mode.confirm();
    if (this.on && this.bench.entry().confirmed) this.next(this.table.order.indexOf(this.bench.selected));
  }

  /** Choose the first picture after a place that nobody has confirmed yet. */
  next(at) {
    const open = this.table.order.slice(at + 1).find((id) => !this.bench.entry(id).confirmed && !this.bench.picture(id).error);
    if (open) this.bench.select(open);
  }

  update() {
    const all = [...this.bench.pictures.values()].filter((picture) => !picture.error);
    const done = all.filter(({ id }) => this.bench.entry(id).confirmed).length;
    this.button.hidden = !this.bench.mode.confirm || all.length === 0;
    this.button.textContent = this.on || done ? `Review: ${done} of ${all.length}` : "Review";
    this.button.setAttribute("aria-pressed", String(this.on));
  }
}
