// Recognise mode: what a picture shows, the five likeliest, and the places that told.

import * as api from "./api.js";
import { el } from "./dom.js";
import { exportBlock } from "./export_block.js";
import { Mode } from "./mode.js";
import { Names } from "./names.js";
import { COLOURS, paintPoints } from "./paint.js";
import { keyOf } from "./question.js";
import { Recognizers } from "./recognizers.js";

export class RecognizeMode extends Mode {
  task = "recognize";
  heads = { value: "Label", hand: "Sure", words: true };
  firstTool = null;

  constructor(bench, busy) {
    super(bench, busy);
    // wanted: the model that was chosen; several: pictures of the table can be marked
    Object.assign(this, { tools: {}, labels: {}, show: { points: true }, wanted: null, several: true });
    this.names = new Names(this);
    this.recognizers = new Recognizers(this);
    this.panel = { build: (actions) => this.build(actions), update: () => this.updatePanel(), toggle: (key, on) => this.toggle(key, on) };
  }

  question(id = this.bench.selected) {
    return id && !this.bench.picture(id).error ? { picture: id, ...this.asked(), ...(this.bench.entry(id).seen && { seen: this.bench.entry(id).seen }) } : null;
  }

  /** The model that was chosen; null: the first, also where the chosen one is not here any more. */
  get model() {
    return this.recognizers.fitting().some(({ name }, i) => i && name === this.wanted) ? this.wanted : null;
  }

  /** What is asked of every picture alike. */
  asked() {
    return this.model ? { model: this.model } : {};
  }

  useModel(name) {
    this.wanted = name;
    this.bench.store.tell([...this.bench.pictures.keys()]);
  }

  /** Give the name of that number. */
  choose(index) {
    this.names.choose(index);
  }

  key() {
    return keyOf(this.asked());
  }

  async call(question, signal) {
    await this.bench.settled(); // an answer about what is not yet known to be seen would not be kept
    return api.recognize({ ...question, keep: this.key() }, signal);
  }

  /** The evidence of a picture that a job went through is fetched when the picture is looked at. */
  lacks(answer) {
    return answer?.peaks === undefined;
  }

  value(id) {
    const answer = this.answer(id);
    const { label } = this.bench.entry(id);
    if (label) return { text: label, sort: label, hand: "hand", handSort: 101 };
    const sure = answer && !this.none(answer) ? Math.round(100 * answer.probability) : 0;
    return { text: answer?.label ?? "", sort: answer?.label ?? "", hand: !answer || this.none(answer) ? "" : `${sure} %`, handSort: sure };
  }

  total(values) {
    const labels = values.map(({ sort }) => sort).filter(Boolean);
    const kinds = new Set(labels).size;
    return labels.length > 1 ? `${kinds} ${kinds === 1 ? "label" : "labels"} in ${labels.length} pictures` : "";
  }

  update() {
    this.bench.stage.layer = null;
    this.problem = null;
    this.ask();
    this.updatePanel();
    this.bench.stage.redraw();
  }

  paint(context, view) {
    if (this.show.points) paintPoints(context, view, this.answer()?.peaks ?? [], COLOURS.peak, 24);
  }

  job() {
    const pictures = [...this.bench.pictures.values()].filter((p) => !p.error).map((p) => p.id);
    return { body: { task: "recognize", pictures, ...this.asked(), ...this.bench.seenOf(pictures) }, patch: null };
  }

  toggle(key, on) {
    this.show[key] = on;
    this.check.checked = on;
    this.bench.stage.redraw();
  }

  build(actions) {
    this.label = el("output", { class: "big words", id: "label", "aria-live": "polite", text: "–" });
    this.parts = el("p", { class: "parts" });
    this.note = el("p", { class: "note", hidden: true, id: "recognize-note" });
    this.bars = el("ol", { class: "bars", "aria-label": "The likeliest labels" });
    this.evidence = el("div", { class: "evidence" });
    this.check = el("input", { type: "checkbox", checked: this.show.points, onchange: (e) => this.toggle("points", e.target.checked) });
    this.apply = el("button", { class: "primary wide", id: "apply", onclick: actions.apply, text: "Recognise every picture" });
    return [
      el("div", { class: "block" }, el("div", { class: "figure" }, this.label, this.parts), this.note),
      el("div", { class: "block" }, this.apply), // what stays as it is comes before what is other in each picture
      this.recognizers.block, this.names.block,
      (this.likeliest = el("div", { class: "block" }, el("h3", { text: "The likeliest" }), this.bars)),
      (this.looked = el("div", { class: "block" }, el("h3", { text: "What it looked at" }), this.evidence,
        el("label", { class: "check" }, this.check, "Points it responded to"))),
      exportBlock(actions, this.bench.formats.recognize, { csv: "CSV: a table of the labels", overlays: "Overlays: every picture with its labels and evidence, as a zip archive" }),
    ];
  }

  updatePanel() {
    if (!this.label) return;
    const ready = this.bench.model("recognize");
    const answer = this.bench.shows ? this.answer() : null;
    this.label.textContent = answer?.label ?? "–";
    const hand = this.bench.selected && this.bench.entry().label;
    this.parts.textContent = [answer ? `${this.how(answer)}, by ${answer.model}` : this.asking ? "looking …" : "nothing recognised yet", hand && `you say ${hand}`].filter(Boolean).join("; ");
    this.recognizers.update();
    this.names.update();
    const note = ready ? this.problem : this.bench.whyNone("recognize", "recognise");
    this.note.hidden = !note;
    this.note.textContent = note ?? "";
    this.apply.disabled = !ready || this.bench.pictures.size === 0;
    this.likeliest.hidden = !answer;
    this.looked.hidden = !answer?.magnified?.length;
    this.bars.replaceChildren(...(answer?.top ?? []).slice(0, 5).map(([label, probability]) => this.bar(label, probability)));
    this.evidence.replaceChildren(...(answer?.magnified ?? []).map(({ what, image }) =>
      el("figure", {}, el("img", { src: image, alt: `magnified: ${what}` }), el("figcaption", { text: what }))));
  }

  /** Whether the picture shows none of the labels that the model knows. */
  none(answer) {
    return (answer.nearest ?? answer.label) !== answer.label;
  }

  how(answer) {
    return this.none(answer) ? `the nearest is ${answer.nearest}` : `${Math.round(100 * answer.probability)} % sure`;
  }

  bar(label, probability) {
    const fill = el("i");
    fill.style.width = `${100 * probability}%`;
    return el("li", {},
      el("div", { class: "row spread" }, el("span", { text: label }), el("span", { class: "quiet", text: `${(100 * probability).toFixed(1)} %` })),
      el("div", { class: "track" }, fill));
  }
}
