// Recognise mode: what a picture shows, the five likeliest, and the places that told.

import * as api from "./api.js";
import { el } from "./dom.js";
import { COLOURS, paintPoints } from "./paint.js";

export class RecognizeMode {
  task = "recognize";
  heads = { value: "Label", hand: "Sure" };
  firstTool = null;

  constructor(bench, busy) {
    Object.assign(this, { bench, busy, tools: {}, labels: {}, asking: false, problem: null });
    this.panel = { build: (actions) => this.build(actions), update: () => this.updatePanel() };
  }

  question(id = this.bench.selected) {
    return id ? { picture: id } : null;
  }

  answer(id = this.bench.selected) {
    return this.bench.store.answer("recognize", this.question(id)) ?? null;
  }

  value(id) {
    const answer = this.answer(id);
    const sure = answer ? Math.round(100 * answer.probability) : 0;
    return { text: answer?.label ?? "", words: true, sort: answer?.label ?? "", hand: answer ? `${sure} %` : "", handSort: sure };
  }

  total() {
    return "";
  }

  shown() {
    this.update();
  }

  update() {
    this.bench.stage.layer = null;
    this.problem = null;
    this.ask();
    this.updatePanel();
    this.bench.stage.redraw();
  }

  async ask() {
    const question = this.question();
    if (!question || this.asking || this.answer()?.peaks || !this.bench.model("recognize")) return;
    this.asking = true;
    this.busy(true);
    try {
      this.bench.store.answered("recognize", question, await api.recognize(question));
    } catch (error) {
      this.problem = error.message;
    } finally {
      this.asking = false;
      this.busy(false);
      this.updatePanel();
    }
    if (!this.problem && this.bench.mode === this) this.ask();
  }

  paint(context, view) {
    paintPoints(context, view, this.answer()?.peaks ?? [], COLOURS.peak, 24);
  }

  job() {
    const pictures = [...this.bench.pictures.values()].filter((p) => !p.error).map((p) => p.id);
    return { body: { task: "recognize", pictures }, patch: null };
  }

  take({ picture, error, ...found }) {
    if (!error) this.bench.store.answered("recognize", { picture }, found);
  }

  build(actions) {
    this.label = el("output", { class: "big words", "aria-live": "polite", text: "–" });
    this.parts = el("p", { class: "parts" });
    this.note = el("p", { class: "note", hidden: true, id: "recognize-note" });
    this.bars = el("ol", { class: "bars", "aria-label": "The likeliest labels" });
    this.evidence = el("div", { class: "evidence" });
    this.apply = el("button", { class: "primary wide", onclick: actions.apply, text: "Recognise every picture" });
    return [
      el("div", { class: "block" }, el("div", { class: "figure" }, this.label, this.parts), this.note),
      el("div", { class: "block" }, el("h3", { text: "The likeliest" }), this.bars),
      el("div", { class: "block" }, el("h3", { text: "What told" }), this.evidence),
      el("div", { class: "block" }, this.apply),
      el("div", { class: "block" }, el("h3", { text: "Export" }),
        el("button", { onclick: actions.csv, text: "CSV", "aria-label": "Export labels as CSV" })),
    ];
  }

  updatePanel() {
    if (!this.label) return;
    const ready = this.bench.model("recognize");
    const answer = this.answer();
    this.label.textContent = answer?.label ?? "–";
    this.parts.textContent = answer ? `${Math.round(100 * answer.probability)} % by ${answer.model}` : this.asking ? "looking …" : "nothing recognised yet";
    const note = ready ? this.problem : this.bench.whyNone("recognize", "recognise");
    this.note.hidden = !note;
    this.note.textContent = note ?? "";
    this.apply.disabled = !ready || this.bench.pictures.size === 0;
    this.bars.replaceChildren(...(answer?.top ?? []).slice(0, 5).map(([label, probability]) => this.bar(label, probability)));
    this.evidence.replaceChildren(...(answer?.magnified ?? []).map(({ what, image }) =>
      el("figure", {}, el("img", { src: image, alt: `magnified: ${what}` }), el("figcaption", { text: what }))));
  }

  bar(label, probability) {
    const fill = el("i");
    fill.style.width = `${100 * probability}%`;
    return el("li", {},
      el("div", { class: "row spread" }, el("span", { text: label }), el("span", { class: "quiet", text: `${(100 * probability).toFixed(1)} %` })),
      el("div", { class: "track" }, fill));
  }
}
