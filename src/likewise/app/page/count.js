// Count mode: what is asked about each picture, the answer, and what a person corrected.

import * as api from "./api.js";
import { Alike } from "./alike.js";
import { CorrectTool } from "./correct.js";
import { byHand, halfObject, inside, settled, standing } from "./corrections.js";
import { Counts } from "./counts.js";
import { CountPanel } from "./count_panel.js";
import { shown } from "./dom.js";
import { fitting, inColours } from "./heat.js";
import { KIND_COLOURS, isShown, newKind, parts, several } from "./kinds.js";
import { Mode } from "./mode.js";
import { COLOURS, paintBox, paintCrosses, paintPoints, paintPolygon } from "./paint.js";
import { keyOf } from "./question.js";
import { Regions } from "./regions.js";
import { loadImage } from "./stage.js";
import { BoxTool, RegionTool } from "./tools.js";

export class CountMode extends Mode {
  task = "count";
  heads = { value: "Count", hand: "By hand" };
  firstTool = "box";

  constructor(bench, busy) {
    super(bench, busy);
    this.show = { heat: true, points: true, boxes: true };
    this.settings = { clicks: "both" };
    this.colours = localStorage.getItem("likewise-heat") ?? "auto";
    this.kind = 0; // which of several kinds is drawn and added to
    const lists = () => [this.list(), ...this.marks().kinds.keys(), "negatives"].filter((list, at, all) => all.indexOf(list) === at);
    this.tools = { box: new BoxTool(bench, { lists, hint: "Drag a box tightly round one of the things, Shift-drag round one not to count." }),
      not: new BoxTool(bench, { lists: () => lists().reverse(), hint: "Drag a box round a look-alike that is not to be counted." }), region: new RegionTool(bench), correct: new CorrectTool(bench, this.settings) };
    this.labels = { box: ["Box", "B"], not: ["Not this", "N"], region: ["Region", "R"], correct: ["Correct", "C"] };
    this.counts = new Counts();
    this.alike = new Alike(this);
    this.regions = new Regions(this);
    this.panel = new CountPanel(this);
  }

  /** What is asked about a picture, in the words of the API; null: nothing shows yet what to count. */
  question(id = this.bench.selected) {
    const { exemplars, negatives, text, region, like, kinds, coarse, model, seen } = this.bench.entry(id);
    const where = { picture: id, ...(seen && { seen }), ...(region && { region }), ...(coarse < 1 && { coarse }), ...(model && { model }) };
    if (text !== null) return text ? { ...where, text } : null;
    const not = negatives.length && this.takesNegatives() ? { negatives } : {};
    const asked = kinds.filter(isShown).map((kind) => (kind.exemplars.length ? { exemplars: kind.exemplars } : { like: [kind.like] }));
    if (kinds.length) return asked.length ? { ...where, kinds: asked, ...not } : null;
    if (exemplars.length) return { ...where, exemplars, ...not };
    return like ? { ...where, like: [like] } : null;
  }

  takesNegatives() {
    return Boolean(this.bench.model("count", "exemplars")?.prompts.includes("negatives"));
  }

  /** Names are no part of a question, so that another name asks for no other answer: they are told with it. */
  named({ kinds, ...question }) {
    if (!kinds) return question;
    const names = this.bench.entry(question.picture).kinds.filter(isShown).map(({ name }) => name);
    return { ...question, kinds: kinds.map((kind, i) => ({ name: names[i] ?? `Kind ${i + 1}`, ...kind })) };
  }

  /** What was said of a picture; where that is nothing yet, it is asked for the kinds of the one before it. */
  marks(id = this.bench.selected) {
    const entry = this.bench.entry(id);
    const blank = !entry.kinds.length && !entry.exemplars.length && !entry.like && entry.text === null && !byHand(entry);
    if (id !== this.bench.selected || !blank || !this.last?.length) return entry;
    if (this.offered?.entry !== entry || this.offered.last !== this.last) this.offered = { entry, last: this.last, marks: { ...entry, kinds: this.last.map(newKind) } };
    return this.offered.marks;
  }

  /** Each kind with what was said and found of it; the one thing, where there is one. */
  parts(id = this.bench.selected) {
    return parts(this.marks(id), this.answer(id));
  }

  /** The part that boxes and points are added to. */
  part() {
    const found = this.parts();
    return found[Math.min(this.kind, found.length - 1)];
  }

  /** Where its boxes are: see boxes. */
  list() {
    const { length } = this.marks().kinds;
    return length ? Math.min(this.kind, length - 1) : "exemplars";
  }

  boxes(list) {
    return typeof list === "number" ? this.marks().kinds[list].exemplars : super.boxes(list);
  }

  setBoxes(list, boxes) {
    if (typeof list !== "number") return super.setBoxes(list, boxes);
    this.bench.changePrompt({ kinds: this.kindsWith([[list, { exemplars: boxes, like: null }]]), text: null });
  }

  boxColour(list) {
    return typeof list === "number" ? KIND_COLOURS[list] : super.boxColour(list);
  }

  kindsWith(patches) {
    const patched = new Map(patches);
    return this.marks().kinds.map((kind, i) => ({ ...kind, ...patched.get(i) }));
  }

  /** Corrections of some parts, one step: pairs of a part's number and what changes of it. */
  correct(patches) {
    const alone = patches.find(([index]) => index === null);
    this.bench.change(alone ? alone[1] : { kinds: this.kindsWith(patches) });
  }

  /** Draw and add to another kind. */
  choose(index) {
    if (index >= this.marks().kinds.length) return;
    this.kind = index;
    this.panel.update();
    this.bench.stage.redraw();
  }

  points(id = this.bench.selected) {
    return this.counts.points(this.parts(id));
  }

  /** The boxes that a name found and was counted by. */
  found(id = this.bench.selected) {
    return this.bench.entry(id).text === null ? [] : this.answer(id)?.found ?? [];
  }

  /** That of all kinds together; null: none is known. */
  count(id = this.bench.selected) {
    return this.counts.total(this.parts(id));
  }

  /** Other boxes are another question, and examples that are drawn take the place of a name or of another picture's. */
  prompt(patch) {
    this.bench.changePrompt({ ...patch, ...(patch.exemplars && { text: null, like: null }) });
  }

  inRegion(place) {
    const { region } = this.bench.entry();
    return !region || inside(region, place);
  }

  byHand(id = this.bench.selected) {
    return byHand(this.bench.entry(id));
  }

  /** Show what a threshold would take away, before it does. */
  preview(score) {
    this.previewed = score;
    this.panel.updateThreshold(this.answer());
    this.bench.stage.redraw();
  }

  /** Take away the points of lower scores: corrections like any others, in one step. What a click removed stays so. */
  keepAbove(score) {
    const answer = this.answer();
    this.previewed = 0;
    if (!answer?.scores || answer.brief) return;
    const last = this.faint?.answer === answer ? this.faint.score : 0;
    const patches = this.parts().filter((part) => part.answer).map(({ index, entry, answer: own }) => {
      const gone = new Set(entry.removed.map(String));
      return [index, { removed: own.points.filter((point, i) => own.scores[i] < score || (own.scores[i] >= last && gone.has(String(point)))) }];
    });
    this.faint = { answer, score };
    const before = this.parts().filter((part) => part.answer).map(({ entry }) => entry.removed);
    if (String(patches.map(([, { removed }]) => removed)) !== String(before)) this.correct(patches);
  }

  /** Say that the points are right as they are, or take that back. */
  confirm() {
    this.bench.change({ confirmed: !this.bench.entry().confirmed });
  }

  value(id) {
    return this.counts.value(this.parts(id), this.bench.entry(id));
  }

  total(values) {
    return this.counts.sums(values);
  }

  /** Once another answer is here, what was corrected before holds for the points that it has. */
  settle() {
    const found = this.parts().filter(({ entry, answer }) => entry.carried && answer?.points && !answer.brief);
    if (!found.length) return;
    const patches = found.map(({ index, entry, answer }) => [index, settled(answer, entry)]);
    this.bench.store.settle(this.bench.selected, found[0].index === null ? patches[0][1] : { kinds: this.kindsWith(patches) });
  }

  update() {
    this.problem = null;
    this.remember();
    this.settle();
    this.ask();
    this.layHeat();
    this.panel.update();
    this.bench.stage.redraw();
  }

  /** The next picture is asked for the same kinds. */
  remember() {
    const { kinds, exemplars, like, text } = this.bench.entry();
    if (kinds.length || exemplars.length || like || text !== null) this.last = several(this.bench.entry()) ? kinds.map(({ name }) => name) : null;
  }

  /** Which model is needed depends on the question: the answer says what is missing. */
  ready() {
    return true;
  }

  call(question, signal) {
    return api.count({ ...this.named(question), heat: true, keep: keyOf(question) }, signal);
  }

  forecast(question) {
    return api.forecast(this.named(question));
  }

  lacks(answer) {
    return answer?.heat === undefined;
  }

  /** What a file or a job has said by now stands; only the heat is missing there. */
  keep(question, { picture, image, heat, ...found }) {
    const told = this.bench.store.answer("count", question)?.points ? {} : found;
    super.keep(question, heat === undefined ? told : { ...told, heat });
  }

  async layHeat() {
    const { stage } = this.bench;
    const heat = this.show.heat ? this.answer()?.heat : null;
    const wanted = heat && `${this.colours} ${heat}`;
    if (this.heat === wanted && stage.layer) return;
    this.heat = wanted;
    const layer = heat ? await loadImage(heat) : null;
    if (this.heat !== wanted || this.bench.mode !== this || !stage.picture) return; // the next picture may be on its way
    stage.layer = layer && inColours(layer, this.colours === "auto" ? fitting(stage.picture) : this.colours);
    stage.redraw();
  }

  paint(context, view) {
    const { region } = this.bench.entry();
    const tool = this.bench.tool;
    if (region) paintPolygon(context, view, (tool === this.tools.region && tool.draft) || region, { outside: true });
    this.regions.paint(context, view);
    if (this.show.points) this.paintPoints(context, view);
    if (this.show.boxes) this.paintBoxes(context, view);
    this.alike.paint(context, view);
    tool?.paint(context, view);
  }

  paintBoxes(context, view) {
    const tool = this.bench.tool instanceof BoxTool ? this.bench.tool : null;
    const is = (held, list, index) => held?.list === list && held.index === index;
    const byName = this.bench.entry().text !== null;
    for (const list of ["exemplars", ...this.marks().kinds.keys(), "negatives"])
      this.boxes(list).forEach((box, index) => {
        const faint = byName || (list === "negatives" && !this.takesNegatives());
        if (!(tool?.draft && is(tool.held, list, index))) paintBox(context, view, box, this.boxColour(list), { chosen: is(tool?.chosen, list, index), faint });
      });
    for (const box of this.found()) paintBox(context, view, box, COLOURS.exemplars);
  }

  paintPoints(context, view) {
    for (const { index, colour, entry, answer } of this.parts()) {
      const { kept, removed, added } = standing(answer, entry);
      const half = halfObject(answer, entry);
      const side = half === null ? null : 2 * half;
      const low = new Set((this.previewed && answer?.points?.filter((_, i) => answer.scores[i] < this.previewed).map(String)) || []);
      paintPoints(context, view, kept.filter((point) => !low.has(String(point))), colour, side);
      paintCrosses(context, view, kept.filter((point) => low.has(String(point))), COLOURS.negatives);
      paintPoints(context, view, added, index === null ? COLOURS.added : colour, side);
      paintCrosses(context, view, removed, COLOURS.negatives);
    }
  }

  /** Whether a person has shown something in a picture, or corrected it: jobs leave it alone. */
  own(id) {
    const { exemplars, kinds } = this.bench.entry(id);
    return exemplars.length > 0 || kinds.some((kind) => kind.exemplars.length) || this.byHand(id);
  }

  /** The job that asks the same about every other picture; null where nothing is shown yet. */
  job() {
    if (!this.bench.selected) return null;
    const from = this.bench.selected;
    const asked = this.shownElsewhere();
    if (!asked) return null;
    const others = [...this.bench.pictures.values()].filter((p) => p.id !== from && !p.error && !this.own(p.id));
    const { text = null, like = null, kinds = [], model } = { ...asked, model: this.bench.entry().model };
    const shownIn = new Set([like, ...kinds.map((kind) => kind.like)].map((each) => each?.picture));
    const pictures = others.map((picture) => picture.id).filter((id) => !shownIn.has(id));
    const by = kinds.length ? { kinds: kinds.filter(isShown).map(({ name, like: shown }) => ({ name, like: [shown] })) } : like ? { like: [like] } : { text };
    const body = this.within(pictures, { ...by, ...(model && { model }) });
    return { body, patch: { text, exemplars: [], like, kinds, model } };
  }

  /** What is asked of the other pictures: the same name, the same kinds, or what the examples of this one show. */
  shownElsewhere() {
    const { exemplars, text, like, kinds, seen } = this.bench.entry();
    const from = { picture: this.bench.selected, ...(seen && { seen }) };
    if (text !== null || !kinds.length) {
      const shownAs = exemplars.length ? { ...from, exemplars } : like;
      return text ? { text } : shownAs && { like: shownAs };
    }
    const others = kinds.map((kind) => ({ ...newKind(kind.name), like: kind.exemplars.length ? { ...from, exemplars: kind.exemplars } : kind.like }));
    return others.some(isShown) ? { kinds: others } : null;
  }

  /** The body of a job: each picture is counted in its own region, where it has one. */
  within(pictures, shown) {
    const bounded = pictures.map((id) => [id, this.bench.entry(id).region]).filter(([, region]) => region);
    return { task: "count", pictures, ...shown, ...this.bench.seenOf(pictures), ...(bounded.length && { regions: Object.fromEntries(bounded) }) };
  }
}
