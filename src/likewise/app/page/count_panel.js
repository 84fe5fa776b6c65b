// The panel of Count mode: the number, what it is counted by, what is shown, and what to do with it.

import { Chooser } from "./chooser.js";
import { $, el } from "./dom.js";
import { Estimate } from "./estimate.js";
import { exportBlock } from "./export_block.js";
import { KindsBlock } from "./kinds_block.js";
import { doubtsOf } from "./kinds.js";
import { Learn } from "./learn.js";
import { Scale } from "./scale.js";
import { ShowBlock } from "./show_block.js";

export class CountPanel {
  constructor(mode) {
    this.mode = mode;
    this.bench = mode.bench;
    this.byNameLast = false;
    this.kinds = new KindsBlock(mode);
    this.more = [new Chooser(mode.bench), (this.learn = new Learn(mode)), new Estimate(mode), (this.scale = new Scale(mode))];
  }

  build(actions) {
    const input = (name) => el("input", { type: "number", step: "any", required: true, "aria-label": name });
    const part = (name, ...children) => (this[name] = children.length === 1 ? children[0] : el("div", {}, ...children));
    this.numbers = ["x0", "y0", "x1", "y1"].map(input);
    this.root = el("div", { class: "block" },
      el("div", { class: "figure" },
        part("count", el("output", { class: "big", id: "count", "aria-live": "polite", text: "–" })),
        part("parts", el("p", { class: "parts", id: "parts" })), this.scale.density),
      part("doubts", el("ul", { class: "doubts", id: "doubts", "aria-label": "What speaks against the count", hidden: true })),
      part("why", el("p", { class: "note", id: "why", hidden: true })),
      part("confirm", el("button", { id: "confirm", "aria-pressed": "false", onclick: () => actions.confirm() }, el("span"), el("kbd", { text: "V", "aria-hidden": "true" }))),
      part("problem", el("p", { class: "note bad", role: "alert", hidden: true })));
    return [
      this.root,
      el("div", { class: "block" },
        el("div", { class: "choice", role: "group", "aria-label": "Count by" },
          part("byExample", el("button", { "aria-pressed": "true", onclick: () => this.choose(null), text: "By example" })),
          part("byName", el("button", { "aria-pressed": "false", onclick: () => this.choose(""), text: "By name" }))),
        this.buildExamples(), this.buildName()),
      this.buildCorrect(),
      this.mode.alike.build(),
      el("div", { class: "block" },
        el("h3", { text: "Region" }),
        el("div", { class: "row" },
          part("drawRegion", el("button", { onclick: () => this.bench.useTool("region"), text: "Count inside a region" })),
          part("dropRegion", el("button", { hidden: true, onclick: () => this.bench.changePrompt({ region: null }), text: "Count everywhere" })))),
      this.mode.regions.build(actions),
      new ShowBlock(this.mode).build(),
      el("div", { class: "block" },
        part("apply", el("button", { class: "primary wide", id: "apply", onclick: actions.apply, text: "Count in every picture" })),
        part("applyNote", el("p", { class: "quiet" }))),
      ...this.more.map(({ block }) => block),
      exportBlock(actions, this.bench.formats.count, { csv: "CSV: a table of the counts", overlays: "Overlays: every picture with its points, as a zip archive" }),
    ];
  }

  buildExamples() {
    this.samples = el("ul", { class: "samples", "aria-label": "Examples" });
    this.counterSamples = el("ul", { class: "samples negative", "aria-label": "Counter-examples" });
    this.noSamples = el("p", { class: "quiet", text: "Drag a box round one of the things in the picture." });
    this.likeNote = el("p", { class: "note", hidden: true });
    this.negativeNote = el("p", { class: "note", id: "negative-note", hidden: true });
    const fields = ["x0", "y0", "x1", "y1"].map((name, i) => el("label", {}, name, this.numbers[i]));
    this.examples = el("div", { class: "block" },
      this.kinds.build(), this.noSamples, this.likeNote, this.samples, this.counterSamples, this.negativeNote, this.kinds.more,
      el("details", {}, el("summary", { text: "A box by numbers" }),
        el("form", { class: "block", onsubmit: (event) => this.addNumbers(event) },
          el("div", { class: "numbers" }, ...fields), el("button", { text: "Add example" }))));
    return this.examples;
  }

  /** What clicks of the Correct tool may do: on a phone there is no Shift to hold. */
  buildCorrect() {
    const words = { both: ["Both", "Add and remove, both"], add: ["Add", "Only add"], remove: ["Remove", "Only remove"] };
    const pick = (clicks) => {
      this.mode.settings.clicks = clicks;
      for (const [key, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(key === clicks));
      this.bench.useTool("correct");
    };
    const buttons = Object.fromEntries(Object.entries(words).map(([key, [text, said]]) =>
      [key, el("button", { text, title: said, "aria-label": said, "aria-pressed": String(key === this.mode.settings.clicks), onclick: () => pick(key) })]));
    this.threshold = el("input", { type: "range", id: "threshold", min: 0, max: 1, step: 0.02, value: 0,
      oninput: (e) => this.mode.preview(Number(e.target.value)), onchange: (e) => this.mode.keepAbove(Number(e.target.value)) });
    this.thresholdNote = el("output", { class: "quiet", for: "threshold" });
    return el("div", { class: "block" }, el("h3", { text: "Correct" }),
      el("div", { class: "choice", role: "group", "aria-label": "What a click does" }, ...Object.values(buttons)),
      el("div", { class: "row spread" }, el("label", { for: "threshold", text: "Take away faint points" }), this.thresholdNote), this.threshold);
  }

  updateThreshold(answer) {
    const scores = (!answer?.brief && answer?.scores) || [];
    this.threshold.disabled = !scores.length;
    this.threshold.max = Math.max(1, ...scores).toFixed(2);
    const { removed } = this.mode.points();
    if (!removed.length && document.activeElement !== this.threshold) this.threshold.value = 0;
    const value = Number(this.threshold.value);
    this.thresholdNote.textContent = value ? `below ${value.toFixed(2)}` : "none";
  }

  buildName() {
    this.name = el("input", { type: "text", id: "name", maxlength: 200, placeholder: "such as strawberries", autocomplete: "off" });
    this.nameNote = el("p", { class: "note", id: "name-note", hidden: true });
    this.byNameForm = el("form", { class: "block", hidden: true, onsubmit: (event) => this.ask(event) },
      el("label", { for: "name", text: "Name of the thing" }),
      el("div", { class: "row" }, this.name),
      (this.nameButton = el("button", { class: "primary", text: "Count" })), this.nameNote,
      (this.keepFound = el("button", { type: "button", id: "keep-found", hidden: true, onclick: () => this.keep(), text: "Count by the examples it found" })));
    return this.byNameForm;
  }

  update() {
    if (!this.root) return;
    const { mode, bench } = this;
    const entry = bench.entry();
    const answer = mode.answer();
    this.updateFigure(answer);
    this.problem.hidden = !mode.problem;
    this.problem.textContent = mode.problem ?? "";
    const doubts = bench.shows ? doubtsOf(answer, mode.parts()) : [];
    this.doubts.hidden = doubts.length === 0;
    this.doubts.replaceChildren(...doubts.map((text) => el("li", { text })));
    this.updatePrompt(entry);
    this.dropRegion.hidden = !entry.region;
    this.drawRegion.textContent = entry.region ? "Draw another region" : "Count inside a region";
    this.updateApply();
    this.mode.alike.update();
    this.mode.regions.update();
    this.updateThreshold(answer);
    for (const each of this.more) each.update?.();
  }

  /** Instead of a number, as long as the chosen picture is not there. */
  unseen() {
    return this.bench.picture()?.error ?? (this.bench.unchosen() ? "choose above what of the file is the picture" : this.bench.selected ? "loading the picture …" : "nothing counted yet");
  }

  describe(answer, { added, removed }) {
    const byHand = this.mode.byHand();
    const changes = [added.length && `+${added.length}`, removed.length && `−${removed.length}`].filter(Boolean).join(" ");
    const hand = changes ? `${changes} by hand` : "confirmed by hand";
    if (!answer) return [this.mode.asking && "counting …", byHand && hand].filter(Boolean).join(" · ") || "nothing counted yet";
    const model = `${answer.count.toFixed(1)}${answer.kinds?.length ? " in all" : ""} by ${answer.model}`;
    if (byHand) return `${model} · ${this.bench.entry().confirmed && changes ? `${hand}, confirmed` : hand}`;
    if (answer.untrusted && !answer.kinds?.length) return `${model}, untrusted`;
    return typeof answer.low === "number" ? `${model}, likely ${Math.round(answer.low)} to ${Math.round(answer.high)}` : model;
  }

  /** Where the model's count and its points are not the same number, why; a person's count is always that of the points. */
  explain(answer, { kept }) {
    if (!answer?.points || answer.brief || this.mode.byHand() || Math.round(answer.count) === kept.length) return "";
    const points = `${kept.length} ${kept.length === 1 ? "point stands" : "points stand"} out`;
    return kept.length < answer.count
      ? `${points}: where things touch or are faint, the model's density counts more than it can tell apart. Once you correct or confirm, the points are the count.`
      : `${points}, more than the density adds up to: some are faint. Once you correct or confirm, the points are the count.`;
  }

  updateFigure(answer) {
    const { mode } = this;
    const count = this.bench.shows ? mode.count() : null;
    const points = mode.points();
    this.count.textContent = count === null ? "–" : String(Math.round(count));
    this.parts.textContent = this.bench.shows ? this.describe(answer, points) : this.unseen();
    this.why.textContent = this.bench.shows ? this.explain(answer, points) : "";
    this.why.hidden = !this.why.textContent;
    const { confirmed } = this.bench.entry();
    this.confirm.disabled = !this.bench.shows;
    this.confirm.setAttribute("aria-pressed", String(confirmed));
    this.confirm.firstChild.textContent = confirmed ? "Confirmed" : "Confirm the points";
  }

  updatePrompt({ negatives, text, kinds, ...entry }) {
    const byName = this.goesByName({ text, kinds, ...entry });
    const { exemplars, like } = this.mode.part().entry;
    this.kinds.update();
    this.byExample.setAttribute("aria-pressed", String(!byName));
    this.byName.setAttribute("aria-pressed", String(byName));
    this.examples.hidden = byName;
    this.byNameForm.hidden = !byName;
    this.noSamples.hidden = exemplars.length > 0 || Boolean(like);
    this.likeNote.hidden = !like || exemplars.length > 0;
    if (like) this.likeNote.textContent = `Counted by the examples in ${this.bench.picture(like.picture)?.name ?? "another picture"}. Boxes drawn here take their place.`;
    this.fill(this.samples, this.mode.list(), exemplars);
    this.fill(this.counterSamples, "negatives", negatives);
    const model = this.bench.model("count", "exemplars");
    this.negativeNote.hidden = !negatives.length || this.mode.takesNegatives();
    this.negativeNote.textContent = `${model?.name ?? "The model"} takes no counter-examples: they are kept, but the count does not heed them.`;
    const ready = this.bench.model("count", "text");
    this.nameNote.hidden = Boolean(ready);
    this.nameButton.disabled = !ready;
    if (!ready) this.nameNote.textContent = this.bench.whyNone("count", "count by name", "text");
    this.keepFound.hidden = !byName || !this.mode.found().length;
    if (text !== null && document.activeElement !== this.name) this.name.value = text;
  }

  /** A picture about which nothing was said yet is asked as the one before it, by the same name. */
  goesByName({ text, exemplars, like, kinds }) {
    if (text !== null || exemplars.length || like || kinds.length) this.byNameLast = text !== null;
    return this.byNameLast;
  }

  updateApply() {
    const job = this.mode.job();
    const others = job?.body.pictures.length ?? 0;
    this.apply.disabled = others === 0;
    const only = this.bench.entry().negatives.length && this.mode.takesNegatives() ? " Counter-examples hold for this picture only." : "";
    this.applyNote.textContent = !job ? "Show first what to count."
      : others ? `Counts the same in ${others} other ${others === 1 ? "picture" : "pictures"}. Those with boxes or corrections of their own are left alone.${only}`
      : "There are no other pictures to count in, but those with boxes or corrections of their own.";
  }

  /** Small cuttings of the boxes, each with a button that takes it away. */
  fill(list, of, boxes) {
    const key = this.bench.selected + JSON.stringify([of, boxes]);
    list.style.setProperty("--kind", of === "negatives" ? "" : this.mode.boxColour(of));
    if (list.dataset.key === key && list.dataset.drawn === "yes") return;
    list.dataset.key = key;
    list.dataset.drawn = this.bench.shows ? "yes" : "no";
    const word = of === "negatives" ? "counter-example" : "example";
    list.hidden = boxes.length === 0;
    list.replaceChildren(...boxes.map((box, i) => {
      const cutting = el("canvas", { width: 108, height: 108, role: "img", "aria-label": `${word} ${i + 1}: ${box.map(Math.round).join(", ")}` });
      this.cut(cutting, box);
      return el("li", {}, cutting, el("button", { "aria-label": `Remove ${word} ${i + 1}`, title: "Remove", text: "×", onclick: () => this.remove(of, i) }));
    }));
  }

  cut(canvas, [x0, y0, x1, y1]) {
    if (!this.bench.stage.picture) return;
    const side = Math.max(x1 - x0, y1 - y0) * 1.15;
    this.bench.stage.drawPart(canvas, (x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side);
  }

  remove(list, index) {
    for (const tool of [this.mode.tools.box, this.mode.tools.not]) tool.chosen = null;
    this.mode.setBoxes(list, this.mode.boxes(list).filter((_, i) => i !== index));
  }

  addNumbers(event) {
    event.preventDefault();
    if (!this.bench.selected) return;
    const box = this.numbers.map((field) => Number(field.value));
    this.mode.setBoxes(this.mode.list(), [...this.mode.boxes(this.mode.list()), box]);
    event.target.reset();
  }

  choose(text) {
    this.byNameLast = text !== null;
    if ((this.bench.entry().text !== null) !== this.byNameLast) this.bench.changePrompt({ text });
    else this.update();
    if (text !== null) this.name.focus();
  }

  ask(event) {
    event.preventDefault();
    const text = this.name.value.trim();
    if (text) this.bench.changePrompt({ text });
  }

  /** What the name found becomes boxes that can be moved, removed and joined by others. */
  keep() {
    this.bench.changePrompt({ exemplars: this.mode.found(), text: null, like: null, kinds: [] });
  }

  toggle(key, on) {
    this.mode.show[key] = on;
    $(`#show-${key}`).checked = on;
    this.mode.layHeat();
    this.bench.stage.redraw();
  }
}
