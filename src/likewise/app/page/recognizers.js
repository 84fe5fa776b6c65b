// Which model recognises: the ones that ship, and those that named pictures taught; one for all pictures.

import { el } from "./dom.js";

export class Recognizers {
  constructor(mode) {
    Object.assign(this, { mode, bench: mode.bench });
    this.list = el("select", { id: "recognizer", onchange: () => this.mode.useModel(this.list.value) });
    this.note = el("p", { class: "quiet", id: "recognizer-note" });
    this.block = el("div", { class: "block" }, el("label", { for: "recognizer", class: "title", text: "Recognised by" }), this.list, this.note);
  }

  fitting() {
    return this.bench.models.filter((m) => m.task === "recognize" && m.ready);
  }

  update() {
    const fitting = this.fitting();
    const names = fitting.map((m) => m.name).join("\n");
    if (this.names !== names) this.list.replaceChildren(...fitting.map((m) => el("option", { value: m.name, text: m.name })));
    this.names = names;
    this.list.value = this.mode.model ?? fitting[0]?.name ?? "";
    this.block.hidden = fitting.length < 2;
    this.note.textContent = fitting.find((m) => m.name === this.list.value)?.notes[0] ?? "";
  }
}
