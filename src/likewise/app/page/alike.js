// Places that look alike but may be something else, or that were passed over: shown one by one, answered with one key.

import { el } from "./dom.js";
import { halfObject, nearest, standing } from "./corrections.js";
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

  /** Places to ask about, of the chosen kind: faint points, and peaks that were no points; those that were answered are gone. */
  places() {
    const { answer, entry } = this.mode.part();
    if (!answer?.points || answer.brief) return [];
    const { kept, added } = standing(answer, entry);
    const half = halfObject(answer, entry) ?? 0;
    const scores = new Map(answer.points.map((point, i) => [String(point), answer.scores?.[i] ?? 1]));
    const faint = kept.filter((point) => scores.get(String(point)) < SURE).map((point) => ({ point, counted: true }));
    const other = (answer.alike ?? []).map((point) => ({ point, counted: false }));
    const said = [...entry.exemplars, ...this.mode.boxes("negatives")].map((box) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
    return [...faint, ...other].filter(({ point }) =>
      this.mode.inRegion(point) && !this.passed.has(`${this.bench.selected} ${point}`) && !nearest([...said, ...added, ...entry.removed], point, half));
  }

  half() {
    const { answer, entry } = this.mode.part();
    return halfObject(answer, entry) ?? 10;
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
      const half = this.half();
      const scale = Math.min(Math.max(view.scale, 24 / half), 160 / half);
      if (scale !== view.scale) view.zoomAt(view.screenWidth / 2, view.screenHeight / 2, scale / view.scale);
      view.centre({ x: next.point[0], y: next.point[1] });
    }
    this.bench.stage.redraw();
  }

  /**
   * Yes makes an example of the place and no a counter-example, where boxes show what is counted; else it is corrected.
   * With several kinds no is always a correction: the place may be one of another kind.
   */
  say(word) {
    const [place] = this.places();
    if (!this.on || !place) return;
    const { index, entry } = this.mode.part();
    const { point } = place;
    const example = (list) => this.mode.setBoxes(list, [...this.mode.boxes(list), this.boxAt(point)]);
    if (word === "skip") this.passed.add(`${this.bench.selected} ${point}`);
    else if (word === "yes" && entry.exemplars.length) example(this.mode.list());
    else if (word === "no" && index === null && entry.exemplars.length && this.mode.takesNegatives()) example("negatives");
    else this.correct(word, place);
    this.mode.panel.update();
    this.bench.stage.redraw();
  }

  correct(word, { point, counted }) {
    const { index, entry } = this.mode.part();
    this.passed.add(`${this.bench.selected} ${point}`);
    if (word === "yes" && !counted) this.mode.correct([[index, { added: [...entry.added, point] }]]);
    if (word === "no" && counted) this.mode.correct([[index, { removed: [...entry.removed, point] }]]);
  }

  boxAt([x, y]) {
    const [width, height] = this.mode.part().answer.object_size;
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
    const half = this.half();
    if (this.on) for (const { point } of this.places().slice(0, 1)) paintRing(context, view, point, half * 1.3, COLOURS.added);
  }
}
