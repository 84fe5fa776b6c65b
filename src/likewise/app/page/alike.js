// Places that look alike but may be something else, or that were passed over: shown one by one, answered with one key.

import { el } from "./dom.js";
import { halfObject, nearest } from "./corrections.js";
import { COLOURS, paintRing } from "./paint.js";

/** Of a score, the density round a point: below it the model is not sure. */
const SURE = 0.5;
const round = (value) => Math.round(value * 100) / 100;

export class Alike {
  constructor(mode) {
    Object.assign(this, { mode, bench: mode.bench, on: false, seen: null, passed: new Set() });
  }

  build() {
    this.told = el("p", { class: "quiet", id: "alike-told" });
    this.start = el("button", { id: "alike-start", "aria-pressed": "false", onclick: () => this.turn(!this.on) }, "Go through them", el("kbd", { text: "L", "aria-hidden": "true" }));
    const answer = (id, text, key, action) => el("button", { id, onclick: action }, text, el("kbd", { text: key, "aria-hidden": "true" }));
    this.answers = el("div", { class: "row", hidden: true },
      answer("alike-yes", "Yes, one", "Y", () => this.say("yes")), answer("alike-no", "No, a look-alike", "N", () => this.say("no")), answer("alike-skip", "Skip", "J", () => this.say("skip")));
    return el("div", { class: "block" }, el("h3", { text: "Where it looks alike" }), this.told, this.start, this.answers);
  }

  /** Places to ask about: faint points, and peaks that were no points; those that were answered are gone. */
  places() {
    const answer = this.mode.answer();
    const entry = this.bench.entry();
    if (!answer?.points || answer.brief) return [];
    const { kept, added } = this.bench.points();
    const half = halfObject(answer, entry) ?? 0;
    const scores = new Map(answer.points.map((point, i) => [String(point), answer.scores?.[i] ?? 1]));
    const faint = kept.filter((point) => scores.get(String(point)) < SURE).map((point) => ({ point, counted: true }));
    const other = (answer.alike ?? []).map((point) => ({ point, counted: false }));
    const said = [...entry.exemplars, ...entry.negatives].map((box) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
    return [...faint, ...other].filter(({ point }) =>
      this.mode.inRegion(point) && !this.passed.has(`${this.bench.selected} ${point}`) && !nearest([...said, ...added, ...entry.removed], point, half));
  }

  turn(on) {
    this.on = on;
    this.seen = null;
    this.mode.panel.update();
    this.bench.stage.redraw();
  }

  /** Bring the next place into view. */
  look() {
    const [next] = this.on ? this.places() : [];
    const { view } = this.bench.stage;
    if (next) {
      const half = halfObject(this.mode.answer(), this.bench.entry()) ?? 10;
      const scale = Math.min(Math.max(view.scale, 24 / half), 160 / half);
      if (scale !== view.scale) view.zoomAt(view.screenWidth / 2, view.screenHeight / 2, scale / view.scale);
      view.centre({ x: next.point[0], y: next.point[1] });
    }
    this.bench.stage.redraw();
  }

  /** Yes makes an example of the place and no a counter-example, where boxes show what is counted; else it is corrected. */
  say(word) {
    const [place] = this.places();
    if (!this.on || !place) return;
    const { exemplars, negatives, added, removed } = this.bench.entry();
    const { point, counted } = place;
    if (word === "skip") this.passed.add(`${this.bench.selected} ${point}`);
    else if (word === "yes" && exemplars.length) this.mode.prompt({ exemplars: [...exemplars, this.boxAt(point)] });
    else if (word === "no" && exemplars.length && this.mode.takesNegatives()) this.mode.prompt({ negatives: [...negatives, this.boxAt(point)] });
    else this.correct(word, place, { added, removed, counted });
    this.mode.panel.update();
    this.bench.stage.redraw();
  }

  correct(word, { point, counted }, { added, removed }) {
    this.passed.add(`${this.bench.selected} ${point}`);
    if (word === "yes" && !counted) this.bench.change({ added: [...added, point] });
    if (word === "no" && counted) this.bench.change({ removed: [...removed, point] });
  }

  boxAt([x, y]) {
    const [width, height] = this.mode.answer().object_size;
    const { view } = this.bench.stage;
    const box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
    return box.map((value, i) => round(Math.min(Math.max(value, 0), i % 2 ? view.height : view.width)));
  }

  update() {
    const places = this.places();
    if (!places.length && !this.mode.asking) this.on = false; // but an answer that is awaited may have more
    const next = this.on && places.length ? String(places[0].point) : null;
    if (next && next !== this.seen) this.look();
    this.seen = next;
    this.told.textContent = places.length
      ? `${places.length} ${places.length === 1 ? "place is" : "places are"} in doubt${this.on ? ": is what is ringed one?" : "."}`
      : "No place is in doubt here.";
    this.start.hidden = !places.length;
    this.start.setAttribute("aria-pressed", String(this.on));
    this.start.firstChild.textContent = this.on ? "Enough" : "Go through them";
    this.answers.hidden = !this.on;
  }

  paint(context, view) {
    const half = halfObject(this.mode.answer(), this.bench.entry()) ?? 10;
    if (this.on) for (const { point } of this.places().slice(0, 1)) paintRing(context, view, point, half * 1.3, COLOURS.added);
  }
}
