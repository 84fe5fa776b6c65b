// The panel of Count mode: the number, what it is counted by, what is shown, and what to do with it.

import { Chooser } from "./chooser.js";
import { $, el, shown } from "./dom.js";
import { Estimate } from "./estimate.js";
import { exportBlock } from "./export_block.js";
import { Learn } from "./learn.js";

export class CountPanel {
  constructor(mode) {
    this.mode = mode;
    this.bench = mode.bench;
    this.byNameLast = false;
    this.more = [new Chooser(mode.bench), (this.learn = new Learn(mode)), new Estimate(mode)];
  }

  build(actions) {
    const input = (name) => el("input", { type: "number", step: "any", required: true, "aria-label": name });
    const part = (name, ...children) => (this[name] = children.length === 1 ? children[0] : el("div", {}, ...children));
    const check = (key, label) =>
      el("label", { class: "check" },
        el("input", { type: "checkbox", checked: this.mode.show[key], id: `show-${key}`, onchange: (e) => this.toggle(key, e.target.checked) }),
        label);
    this.numbers = ["x0", "y0", "x1", "y1"].map(input);
    this.root = el("div", { class: "block" },
      el("div", { class: "figure" },
        part("count", el("output", { class: "big", id: "count", "aria-live": "polite", text: "–" })),
        part("parts", el("p", { class: "parts", id: "parts" }))),
      part("doubts", el("ul", { class: "doubts", id: "doubts", "aria-label": "What speaks against the count", hidden: true })),
      part("problem", el("p", { class: "note bad", role: "alert", hidden: true })));
    return [
      this.root,
      el("div", { class: "block" },
        el("div", { class: "choice", role: "group", "aria-label": "Count by" },
          part("byExample", el("button", { "aria-pressed": "true", onclick: () => this.choose(null), text: "By example" })),
          part("byName", el("button", { "aria-pressed": "false", onclick: () => this.choose(""), text: "By name" }))),
        this.buildExamples(), this.buildName()),
      el("div", { class: "block" },
        el("h3", { text: "Region" }),
        el("div", { class: "row" },
          part("drawRegion", el("button", { onclick: () => this.bench.useTool("region"), text: "Count inside a region" })),
          part("dropRegion", el("button", { hidden: true, onclick: () => this.bench.changePrompt({ region: null }), text: "Count everywhere" })))),
      el("div", { class: "block" },
        el("h3", { text: "Show" }),
        el("div", { class: "row spread" }, check("heat", "Heat"), check("points", "Points"), check("boxes", "Boxes")),
        el("label", {}, "Strength of the heat",
          el("input", { type: "range", min: 10, max: 100, value: 100, oninput: (e) => this.strength(e.target.value) }))),
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
      this.noSamples, this.likeNote, this.samples, this.counterSamples, this.negativeNote,
      el("details", {}, el("summary", { text: "A box by numbers" }),
        el("form", { class: "block", onsubmit: (event) => this.addNumbers(event) },
          el("div", { class: "numbers" }, ...fields), el("button", { text: "Add example" }))));
    return this.examples;
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
    const count = bench.shows ? mode.count() : null;
    this.count.textContent = count === null ? "–" : String(Math.round(count));
    this.parts.textContent = bench.shows ? this.describe(answer, mode.points()) : this.unseen();
    this.problem.hidden = !mode.problem;
    this.problem.textContent = mode.problem ?? "";
    const doubts = (bench.shows && answer?.warnings) || [];
    this.doubts.hidden = doubts.length === 0;
    this.doubts.replaceChildren(...doubts.map((text) => el("li", { text })));
    this.updatePrompt(entry);
    this.dropRegion.hidden = !entry.region;
    this.drawRegion.textContent = entry.region ? "Draw another region" : "Count inside a region";
    this.updateApply();
    for (const each of this.more) each.update?.();
  }

  /** Instead of a number, as long as the chosen picture is not there. */
  unseen() {
    return this.bench.picture()?.error ?? (this.bench.selected ? "loading the picture …" : "nothing counted yet");
  }

  describe(answer, { added, removed }) {
    if (!answer && !added.length) return this.mode.asking ? "counting …" : "nothing counted yet";
    const hand = added.length + removed.length ? ` · ${[added.length && `+${added.length}`, removed.length && `−${removed.length}`].filter(Boolean).join(" ")} by hand` : "";
    const likely = answer?.untrusted ? ", untrusted"
      : typeof answer?.low === "number" ? `, likely ${Math.round(answer.low)} to ${Math.round(answer.high)}` : "";
    return answer ? `${answer.count.toFixed(1)}${likely}, by ${answer.model}${hand}` : `${shown(added.length)} by hand`;
  }

  updatePrompt({ exemplars, negatives, text, like }) {
    const byName = this.goesByName({ text, exemplars, like });
    this.byExample.setAttribute("aria-pressed", String(!byName));
    this.byName.setAttribute("aria-pressed", String(byName));
    this.examples.hidden = byName;
    this.byNameForm.hidden = !byName;
    this.noSamples.hidden = exemplars.length > 0 || Boolean(like);
    this.likeNote.hidden = !like || exemplars.length > 0;
    if (like) this.likeNote.textContent = `Counted by the examples in ${this.bench.picture(like.picture)?.name ?? "another picture"}. Boxes drawn here take their place.`;
    this.fill(this.samples, "exemplars", exemplars);
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
  goesByName({ text, exemplars, like }) {
    if (text !== null || exemplars.length || like) this.byNameLast = text !== null;
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
  fill(list, kind, boxes) {
    const key = this.bench.selected + JSON.stringify(boxes);
    if (list.dataset.key === key && list.dataset.drawn === "yes") return;
    list.dataset.key = key;
    list.dataset.drawn = this.bench.shows ? "yes" : "no";
    const word = kind === "exemplars" ? "example" : "counter-example";
    list.hidden = boxes.length === 0;
    list.replaceChildren(...boxes.map((box, i) => {
      const cutting = el("canvas", { width: 108, height: 108, role: "img", "aria-label": `${word} ${i + 1}: ${box.map(Math.round).join(", ")}` });
      this.cut(cutting, box);
      return el("li", {}, cutting, el("button", { "aria-label": `Remove ${word} ${i + 1}`, title: "Remove", text: "×", onclick: () => this.remove(kind, i) }));
    }));
  }

  cut(canvas, [x0, y0, x1, y1]) {
    const { picture, view } = this.bench.stage;
    if (!picture) return;
    const side = Math.max(x1 - x0, y1 - y0) * 1.15;
    const factor = picture.naturalWidth / view.width;
    const [left, top] = [(x0 + x1 - side) / 2, (y0 + y1 - side) / 2];
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, left * factor, top * factor, side * factor, side * factor, 0, 0, canvas.width, canvas.height);
  }

  remove(kind, index) {
    this.mode.tools.box.chosen = null;
    this.bench.changePrompt({ [kind]: this.bench.entry()[kind].filter((_, i) => i !== index) });
  }

  addNumbers(event) {
    event.preventDefault();
    if (!this.bench.selected) return;
    const box = this.numbers.map((field) => Number(field.value));
    this.bench.changePrompt({ exemplars: [...this.bench.entry().exemplars, box], text: null, like: null });
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
    this.bench.changePrompt({ exemplars: this.mode.found(), text: null, like: null });
  }

  toggle(key, on) {
    this.mode.show[key] = on;
    $(`#show-${key}`).checked = on;
    this.mode.layHeat();
    this.bench.stage.redraw();
  }

  strength(percent) {
    this.bench.stage.layerOpacity = percent / 100;
    this.bench.stage.redraw();
  }
}
