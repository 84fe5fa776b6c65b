// What corrections are good for beside the table: a model that learns from them, and the total of all pictures.

import * as api from "./api.js";
import { el } from "./dom.js";
import { complain, say } from "./notices.js";

export class Learn {
  constructor(mode) {
    this.mode = mode;
    this.bench = mode.bench;
    this.about = el("p", { class: "quiet", id: "learn-about" });
    this.name = el("input", { type: "text", id: "learn-name", maxlength: 60, pattern: "[\\w][\\w\\-]*", required: true, value: "mine", "aria-label": "Name of what is learnt" });
    this.button = el("button", { id: "learn", text: "Learn from these" });
    this.form = el("form", { class: "row", onsubmit: (event) => this.start(event) }, this.name, this.button);
    this.told = el("p", { class: "note", id: "learnt", role: "status", hidden: true });
    this.block = el("details", { class: "block" }, el("summary", { text: "Learn from corrections" }), this.about, this.form, this.told);
  }

  /** Pictures that were corrected by hand. */
  corrected() {
    return [...this.bench.store.entries].filter(([id, { added, removed }]) => this.bench.pictures.has(id) && added.length + removed.length).map(([id]) => id);
  }

  update() {
    const number = this.corrected().length;
    this.button.disabled = number < 3;
    this.about.textContent = number < 3 ? `${number} of at least 3 pictures are corrected; five to twenty are better.`
      : `${number} pictures are corrected. What they teach is kept as a file that can be chosen above.`;
  }

  async start(event) {
    event.preventDefault();
    await this.bench.settled();
    await api.learn({ name: this.name.value }).then(() => this.tell("Learning …"), complain);
  }

  /** How far it is, and what came of it. */
  tell(text) {
    this.told.hidden = false;
    this.told.textContent = text;
  }

  heard({ words }) {
    this.tell(words);
  }

  async ended(record) {
    if (record.error) return this.tell(record.error);
    this.tell(record.learnt);
    const { models } = await api.listModels();
    this.bench.models = models;
    say(`${record.model} is learnt: choose it above.`);
    this.mode.panel.update();
  }
}
