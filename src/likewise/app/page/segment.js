// Segment mode: brush over a thing in one picture, or in a few, and find it in the others.

import * as api from "./api.js";
import { el } from "./dom.js";
import { loadImage } from "./stage.js";
import { BrushTool } from "./tools.js";

const INK = "#40e0ff";

export class SegmentMode {
  task = "segment";
  heads = { value: "Area", hand: "Brushed" };
  firstTool = "brush";

  constructor(bench, busy) {
    Object.assign(this, { bench, busy, settings: { width: 40 }, asking: false, problem: null, mask: null });
    this.tools = { brush: new BrushTool(bench, this.settings, false), erase: new BrushTool(bench, this.settings, true) };
    this.labels = { brush: ["Brush", "B"], erase: ["Erase", "E"] };
    this.sheet = document.createElement("canvas");
    this.panel = { build: (actions) => this.build(actions), update: () => this.updatePanel() };
  }

  support() {
    const marked = [...this.bench.pictures.keys()].filter((id) => this.bench.entry(id).strokes.some((s) => !s.erase));
    return marked.map((picture) => ({ picture, strokes: this.bench.entry(picture).strokes }));
  }

  question(id = this.bench.selected) {
    const support = this.support();
    return support.length && !support.some((each) => each.picture === id) ? { picture: id, support } : null;
  }

  answer(id = this.bench.selected) {
    return this.bench.store.answer("segment", this.question(id)) ?? null;
  }

  value(id) {
    const area = this.answer(id)?.area;
    const strokes = this.bench.entry(id).strokes.length;
    return {
      text: area === undefined ? "" : `${(100 * area).toFixed(1)} %`, sort: area ?? -1,
      hand: strokes ? "yes" : "", handSort: strokes,
    };
  }

  total() {
    return "";
  }

  shown() {
    this.update();
  }

  update() {
    const { stage, selected } = this.bench;
    if (this.sized !== selected && stage.picture) {
      this.sized = selected;
      this.setWidth(Math.max(2, Math.round(Math.max(stage.view.width, stage.view.height) / 25)));
    }
    this.layMask();
    this.updatePanel();
    this.bench.stage.redraw();
  }

  async ask() {
    const question = this.question();
    if (!question || this.asking) return;
    this.asking = true;
    this.problem = null;
    this.busy(true);
    try {
      this.bench.store.answered("segment", question, await api.segment(question));
    } catch (error) {
      this.problem = error.message;
    } finally {
      this.asking = false;
      this.busy(false);
      this.updatePanel();
    }
  }

  /** The mask of a picture that a job went through is fetched when the picture is looked at. */
  async layMask() {
    const answer = this.answer();
    if (answer && answer.mask === undefined && !this.problem) this.ask();
    const mask = answer?.mask ?? null;
    if (this.mask === mask && this.bench.stage.layer) return;
    this.mask = mask;
    const layer = mask ? await loadImage(mask) : null;
    if (this.mask !== mask || this.bench.mode !== this) return;
    this.bench.stage.layer = layer;
    this.bench.stage.redraw();
  }

  /** Strokes are drawn on a sheet of their own, so that erasing takes away only them. */
  paint(context, view) {
    const strokes = this.bench.entry().strokes;
    const drawn = this.bench.tool?.stroke ? [...strokes, this.bench.tool.stroke] : strokes;
    if (drawn.length) {
      this.sheet.width = view.screenWidth;
      this.sheet.height = view.screenHeight;
      const pen = this.sheet.getContext("2d");
      pen.lineCap = pen.lineJoin = "round";
      for (const stroke of drawn) this.trace(pen, view, stroke);
      context.globalAlpha = 0.55;
      context.drawImage(this.sheet, 0, 0);
      context.globalAlpha = 1;
    }
    this.bench.tool?.paint(context, view);
  }

  trace(pen, view, { points, width, erase }) {
    pen.globalCompositeOperation = erase ? "destination-out" : "source-over";
    pen.strokeStyle = INK;
    pen.lineWidth = width * view.scale;
    pen.beginPath();
    const places = points.map(([x, y]) => view.toScreen(x, y));
    pen.moveTo(places[0].x, places[0].y);
    for (const { x, y } of places.length > 1 ? places.slice(1) : [{ x: places[0].x + 0.01, y: places[0].y }]) pen.lineTo(x, y);
    pen.stroke();
  }

  job() {
    const support = this.support();
    const marked = new Set(support.map((each) => each.picture));
    const pictures = [...this.bench.pictures.values()].filter((p) => !p.error && !marked.has(p.id)).map((p) => p.id);
    return support.length ? { body: { task: "segment", pictures, support }, patch: null } : null;
  }

  take({ picture, error, ...found }) {
    if (!error) this.bench.store.answered("segment", this.question(picture), found);
  }

  setWidth(width) {
    this.settings.width = width;
    if (this.slider) this.slider.value = width;
    this.bench.stage.redraw();
  }

  build(actions) {
    this.area = el("output", { class: "big", "aria-live": "polite", text: "–" });
    this.parts = el("p", { class: "parts" });
    this.note = el("p", { class: "note", hidden: true, id: "segment-note" });
    this.slider = el("input", { type: "range", min: 2, max: 400, value: this.settings.width, id: "brush-size", oninput: (e) => this.setWidth(Number(e.target.value)) });
    this.apply = el("button", { class: "primary wide", onclick: actions.apply, text: "Find it in every other picture" });
    this.applyNote = el("p", { class: "quiet" });
    this.here = el("button", { class: "wide", onclick: () => this.ask(), text: "Find it in this picture" });
    return [
      el("div", { class: "block" }, el("div", { class: "figure" }, this.area, this.parts), this.note),
      el("div", { class: "block" },
        el("label", { for: "brush-size", text: "Size of the brush" }), this.slider,
        el("button", { onclick: () => this.bench.change({ strokes: [] }), text: "Clear what is brushed here" })),
      el("div", { class: "block" }, this.here, this.apply, this.applyNote),
      el("div", { class: "block" }, el("h3", { text: "Export" }),
        el("button", { onclick: actions.csv, text: "CSV", "aria-label": "Export areas as CSV" })),
    ];
  }

  updatePanel() {
    if (!this.area) return;
    const ready = this.bench.model("segment");
    const answer = this.answer();
    const support = this.support();
    const others = this.job()?.body.pictures.length ?? 0;
    this.area.textContent = answer ? `${(100 * answer.area).toFixed(1)} %` : "–";
    this.parts.textContent = answer ? `of the picture, by ${answer.model}` : this.asking ? "looking …"
      : this.bench.entry().strokes.length ? "brushed by you: an example for the others" : "nothing found yet";
    const note = ready ? this.problem : this.bench.whyNone("segment", "segment");
    this.note.hidden = !note;
    this.note.textContent = note ?? "";
    this.here.disabled = !ready || !this.question();
    this.apply.disabled = !ready || others === 0;
    this.applyNote.textContent = support.length ? `Brushed in ${support.length}; looks for it in ${others} others.` : "Brush over the thing in one picture first.";
  }
}
