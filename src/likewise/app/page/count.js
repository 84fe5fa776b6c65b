// Count mode: what is asked about each picture, the answer, and what a person corrected.

import * as api from "./api.js";
import { Alike } from "./alike.js";
import { CorrectTool } from "./correct.js";
import { byHand, halfObject, inside, settled, standing } from "./corrections.js";
import { CountPanel } from "./count_panel.js";
import { shown } from "./dom.js";
import { fitting, inColours } from "./heat.js";
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
    const [box, not] = [["exemplars", "negatives"], ["negatives", "exemplars"]];
    this.tools = { box: new BoxTool(bench, { kinds: box, hint: "Drag a box tightly round one of the things, Shift-drag round one not to count." }),
      not: new BoxTool(bench, { kinds: not, hint: "Drag a box round a look-alike that is not to be counted." }), region: new RegionTool(bench), correct: new CorrectTool(bench, this.settings) };
    this.labels = { box: ["Box", "B"], not: ["Not this", "N"], region: ["Region", "R"], correct: ["Correct", "C"] };
    this.alike = new Alike(this);
    this.regions = new Regions(this);
    this.panel = new CountPanel(this);
  }

  /** What is asked about a picture, in the words of the API; null: nothing shows yet what to count. */
  question(id = this.bench.selected) {
    const { exemplars, negatives, text, region, like, coarse, model } = this.bench.entry(id);
    const where = { picture: id, ...(region && { region }), ...(coarse < 1 && { coarse }), ...(model && { model }) };
    if (text !== null) return text ? { ...where, text } : null;
    const not = negatives.length && this.takesNegatives() ? { negatives } : {};
    if (exemplars.length) return { ...where, exemplars, ...not };
    return like ? { ...where, like: [like] } : null;
  }

  takesNegatives() {
    return Boolean(this.bench.model("count", "exemplars")?.prompts.includes("negatives"));
  }

  points(id = this.bench.selected) {
    const answer = this.answer(id);
    const entry = this.bench.entry(id);
    return answer?.brief ? { kept: [], removed: entry.removed, added: entry.added, outside: [] } : standing(answer, entry);
  }

  /** The boxes that a name found and was counted by. */
  found(id = this.bench.selected) {
    return this.bench.entry(id).text === null ? [] : this.answer(id)?.found ?? [];
  }

  /** The model's own, or, once a person corrected or confirmed it, the number of points he sees; null: neither, or not yet. */
  count(id = this.bench.selected) {
    const answer = this.answer(id);
    if (!this.byHand(id)) return answer?.count ?? null;
    if (!answer && this.question(id)) return null; // what was corrected is no count without what it corrects
    const { kept, added, removed } = this.points(id);
    return answer?.brief ? Math.max(0, (answer.dots ?? Math.round(answer.count)) - removed.length) + added.length : kept.length + added.length;
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
    const before = this.bench.entry().removed;
    const gone = new Set(before.map(String));
    const last = this.faint?.answer === answer ? this.faint.score : 0;
    const removed = answer.points.filter((point, i) => answer.scores[i] < score || (answer.scores[i] >= last && gone.has(String(point))));
    this.faint = { answer, score };
    if (String(removed) !== String(before)) this.bench.change({ removed });
  }

  /** Say that the points are right as they are, or take that back. */
  confirm() {
    this.bench.change({ confirmed: !this.bench.entry().confirmed });
  }

  value(id) {
    const count = this.count(id);
    const { added, removed } = this.points(id);
    const { confirmed } = this.bench.entry(id);
    const hand = [confirmed && "✓", added.length && `+${added.length}`, removed.length && `−${removed.length}`].filter(Boolean).join(" ");
    const handSort = added.length + removed.length + (confirmed ? 0.5 : 0);
    return { text: count === null ? "" : shown(count), sort: count ?? -1, hand, handSort, doubt: confirmed ? -1 : this.doubt(id) };
  }

  /** How far off the model's count may be, as a share of it; what cannot be trusted comes before all else. */
  doubt(id) {
    const answer = this.answer(id);
    if (!answer) return 0;
    if (answer.untrusted) return 100;
    const width = typeof answer.low === "number" ? (answer.high - answer.low) / Math.max(1, answer.count) : 0;
    return width + (answer.dots === undefined ? 0 : Math.abs(answer.count - answer.dots) / Math.max(1, answer.count));
  }

  total(values) {
    const counts = values.map(({ sort }) => sort).filter((count) => count >= 0);
    if (counts.length < 2) return "";
    const sum = counts.reduce((a, b) => a + b, 0);
    return `${shown(sum)} in ${counts.length} pictures, ${shown(sum / counts.length)} on average`;
  }

  /** Once another answer is here, what was corrected before holds for the points that it has. */
  settle() {
    const [answer, entry] = [this.answer(), this.bench.entry()];
    if (answer?.points && !answer.brief && entry.carried) this.bench.store.settle(this.bench.selected, settled(answer, entry));
  }

  update() {
    this.problem = null;
    this.settle();
    this.ask();
    this.layHeat();
    this.panel.update();
    this.bench.stage.redraw();
  }

  /** Which model is needed depends on the question: the answer says what is missing. */
  ready() {
    return true;
  }

  call(question, signal) {
    return api.count({ ...question, heat: true, keep: keyOf(question) }, signal);
  }

  forecast(question) {
    return api.forecast(question);
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
    const { exemplars, negatives, text, region } = this.bench.entry();
    const tool = this.bench.tool;
    if (region) paintPolygon(context, view, (tool === this.tools.region && tool.draft) || region, { outside: true });
    this.regions.paint(context, view);
    if (this.show.points) this.paintPoints(context, view);
    for (const [kind, boxes] of Object.entries({ exemplars, negatives }))
      boxes.forEach((box, index) => {
        const held = tool instanceof BoxTool && tool.draft && tool.held.kind === kind && tool.held.index === index;
        const chosen = tool instanceof BoxTool && tool.chosen?.kind === kind && tool.chosen.index === index;
        const faint = text !== null || (kind === "negatives" && !this.takesNegatives());
        if (this.show.boxes && !held) paintBox(context, view, box, COLOURS[kind], { chosen, faint });
      });
    if (this.show.boxes) for (const box of this.found()) paintBox(context, view, box, COLOURS.exemplars);
    this.alike.paint(context, view);
    tool?.paint(context, view);
  }

  paintPoints(context, view) {
    const { kept, removed, added } = this.points();
    const half = halfObject(this.answer(), this.bench.entry());
    const side = half === null ? null : 2 * half;
    const low = new Set((this.previewed && this.answer()?.points.filter((_, i) => this.answer().scores[i] < this.previewed).map(String)) || []);
    paintPoints(context, view, kept.filter((point) => !low.has(String(point))), COLOURS.point, side);
    paintCrosses(context, view, kept.filter((point) => low.has(String(point))), COLOURS.negatives);
    paintPoints(context, view, added, COLOURS.added, side);
    paintCrosses(context, view, removed, COLOURS.negatives);
  }

  /** Whether a person has shown something in a picture, or corrected it: jobs leave it alone. */
  own(id) {
    return this.bench.entry(id).exemplars.length > 0 || this.byHand(id);
  }

  /** The job that asks the same about every other picture; null where nothing is shown yet. */
  job() {
    if (!this.bench.selected) return null;
    const { exemplars, text, like, model } = this.bench.entry();
    const by = model ? { model } : {};
    const from = this.bench.selected;
    const others = [...this.bench.pictures.values()].filter((p) => p.id !== from && !p.error && !this.own(p.id));
    const pictures = others.map((picture) => picture.id);
    if (text) return { body: this.within(pictures, { text, ...by }), patch: { text, exemplars: [], like: null, model } };
    const shownAs = exemplars.length ? { picture: from, exemplars } : like;
    if (!shownAs) return null;
    const body = this.within(pictures.filter((id) => id !== shownAs.picture), { like: [shownAs], ...by });
    return { body, patch: { text: null, exemplars: [], like: shownAs, model } };
  }

  /** The body of a job: each picture is counted in its own region, where it has one. */
  within(pictures, shown) {
    const bounded = pictures.map((id) => [id, this.bench.entry(id).region]).filter(([, region]) => region);
    return { task: "count", pictures, ...shown, ...(bounded.length && { regions: Object.fromEntries(bounded) }) };
  }
}
