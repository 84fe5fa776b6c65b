// Which model counts: the ones that ship, and those that corrected pictures taught.

import { el } from "./dom.js";

/** A block with the choice; update() brings it to the picture that is looked at. */
export class Chooser {
  constructor(bench) {
    this.bench = bench;
    this.list = el("select", { id: "model", onchange: () => this.choose() });
    this.note = el("p", { class: "quiet", id: "model-note" });
    this.block = el("div", { class: "block" }, el("label", { for: "model", class: "title", text: "Counted by" }), this.list, this.note);
  }

  fitting() {
    const prompt = this.bench.entry().text === null ? "exemplars" : "text";
    return this.bench.models.filter((m) => m.task === "count" && m.ready && m.prompts.includes(prompt));
  }

  update() {
    const fitting = this.fitting();
    const names = fitting.map((m) => m.name).join("\n");
    if (this.names !== names) this.list.replaceChildren(...fitting.map((m) => el("option", { value: m.name, text: m.name })));
    this.names = names;
    const chosen = this.bench.entry().model ?? this.bench.preferred ?? fitting[0]?.name;
    if (fitting.some((m) => m.name === chosen)) this.list.value = chosen;
    this.block.hidden = fitting.length < 2;
    this.note.textContent = fitting.find((m) => m.name === this.list.value)?.notes[0] ?? "";
  }

  /** For this picture, and for those that are shown something from now on. */
  choose() {
    const first = this.fitting()[0]?.name;
    const model = this.list.value === first ? null : this.list.value;
    this.bench.preferred = model;
    if (this.bench.selected) this.bench.changePrompt({ model });
  }
}
