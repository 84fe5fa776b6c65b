// The panel of Segment mode: how much of the picture shows the thing, the brush, and what to do with it.

import { $, el } from "./dom.js";
import { exportBlock } from "./export_block.js";

export class SegmentPanel {
  constructor(mode) {
    this.mode = mode;
    this.bench = mode.bench;
  }

  build(actions) {
    const { mode } = this;
    this.area = el("output", { class: "big", id: "area", "aria-live": "polite", text: "–" });
    this.parts = el("p", { class: "parts", id: "area-parts" });
    this.note = el("p", { class: "note", hidden: true, id: "segment-note" });
    this.slider = el("input", { type: "range", min: 2, max: mode.largest, value: mode.settings.width, id: "brush-size", oninput: (e) => mode.setWidth(Number(e.target.value)) });
    this.width = el("output", { class: "quiet", for: "brush-size" });
    this.showWidth(mode.settings.width);
    this.clear = el("button", { onclick: () => mode.clear(), text: "Clear what is brushed here" });
    this.teach = el("button", { id: "teach", hidden: true, "aria-pressed": "false", onclick: () => mode.teach(), text: "Use it as an example for the others" });
    this.apply = el("button", { class: "primary wide", id: "apply", onclick: actions.apply, text: "Find it in every other picture" });
    this.applyNote = el("p", { class: "quiet" });
    const check = (key, label) =>
      el("label", { class: "check" },
        el("input", { type: "checkbox", checked: mode.show[key], id: `show-${key}`, onchange: (e) => this.toggle(key, e.target.checked) }), label);
    return [
      el("div", { class: "block" }, el("div", { class: "figure" }, this.area, this.parts), this.note),
      el("div", { class: "block" },
        el("div", { class: "row spread" }, el("label", { for: "brush-size", text: "Size of the brush" }), this.width),
        this.slider, this.teach, this.clear),
      el("div", { class: "block" },
        el("h3", { text: "Show" }),
        el("div", { class: "row" }, check("mask", "What was found"), check("strokes", "What is by hand"))),
      el("div", { class: "block" }, this.apply, this.applyNote),
      exportBlock(actions, this.bench.formats.segment, { csv: "CSV: a table of the areas", overlays: "Overlays: every mask, and every picture with its mask, as a zip archive" }),
    ];
  }

  update() {
    if (!this.area) return;
    const { mode, bench } = this;
    const ready = bench.model("segment");
    const answer = bench.shows ? mode.answer() : null;
    const brushed = new Set(mode.support().map((each) => each.picture)).size;
    const entry = bench.entry();
    const area = bench.shows ? mode.area() : null;
    const others = mode.job()?.body.pictures.length ?? 0;
    this.area.textContent = area === null ? "–" : `${(100 * area).toFixed(1)} %`;
    this.parts.textContent = this.describe(answer);
    const note = ready ? mode.problem : bench.whyNone("segment", "segment");
    this.note.hidden = !note;
    this.note.textContent = note ?? "";
    this.clear.disabled = !mode.marked();
    this.clear.textContent = entry.base ? "Back to what was found" : "Clear what is shown here";
    this.teach.hidden = !entry.base;
    this.teach.setAttribute("aria-pressed", String(entry.example));
    this.apply.disabled = !ready || others === 0;
    this.applyNote.textContent = brushed
      ? `${brushed} ${brushed === 1 ? "picture shows" : "pictures show"} it; looks for the same in ${others} ${others === 1 ? "picture" : "pictures"}. Where it is wrong, brush or erase: what was found is mended.`
      : "Brush over the thing in one picture first, or box it, then look at another.";
  }

  describe(answer) {
    const { mode } = this;
    if (mode.brushed() && this.bench.entry().base)
      return this.bench.entry().example ? "of the picture, mended by you: an example for the others" : "of the picture, found and mended by you";
    if (mode.brushed()) return "of the picture, brushed by you: an example for the others";
    if (!answer) return mode.asking ? "looking …" : mode.question() ? "not looked for yet" : "nothing brushed yet";
    const parts = answer.boxes?.length ?? 0;
    return answer.area ? `of the picture, in ${parts} ${parts === 1 ? "part" : "parts"}, by ${answer.model}` : `not found here, says ${answer.model}`;
  }

  showWidth(width) {
    if (!this.slider) return;
    this.slider.value = width;
    this.width.textContent = `${width} pixels`;
  }

  toggle(key, on) {
    this.mode.show[key] = on;
    $(`#show-${key}`).checked = on;
    this.mode.layMask();
    this.bench.stage.redraw();
  }
}
