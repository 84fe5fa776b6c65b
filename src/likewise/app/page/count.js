// Count mode: what is asked about each picture, the answer, and what a person corrected.

import * as api from "./api.js";
import { CountPanel } from "./count_panel.js";
import { shown } from "./dom.js";
import { Mode } from "./mode.js";
import { COLOURS, paintBox, paintCrosses, paintPoints, paintPolygon } from "./paint.js";
import { keyOf } from "./question.js";
import { loadImage } from "./stage.js";
import { BoxTool, CorrectTool, RegionTool } from "./tools.js";

export class CountMode extends Mode {
  task = "count";
  heads = { value: "Count", hand: "By hand" };
  firstTool = "box";

  constructor(bench, busy) {
    super(bench, busy);
    this.show = { heat: true, points: true, boxes: true };
    this.tools = { box: new BoxTool(bench), region: new RegionTool(bench), correct: new CorrectTool(bench) };
    this.labels = { box: ["Box", "B"], region: ["Region", "R"], correct: ["Correct", "C"] };
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
    const { added, removed } = this.bench.entry(id);
    const answer = this.answer(id);
    if (answer?.brief) return { kept: [], removed, added };
    const gone = new Set(removed.map(String));
    const kept = [];
    const struck = [];
    for (const point of answer?.points ?? []) (gone.has(String(point)) ? struck : kept).push(point);
    // the tool compares by identity: give it the stored points
    return { kept, removed: removed.filter((p) => struck.some((s) => String(s) === String(p))), added };
  }

  /** The boxes that a name found and was counted by. */
  found(id = this.bench.selected) {
    return this.bench.entry(id).text === null ? [] : this.answer(id)?.found ?? [];
  }

  /** Prediction and corrections together; null where there is neither. */
  count(id = this.bench.selected) {
    const answer = this.answer(id);
    const { added, removed } = this.points(id);
    if (!answer) return added.length || null;
    return Math.max(0, answer.count + added.length - removed.length);
  }

  value(id) {
    const count = this.count(id);
    const { added, removed } = this.points(id);
    const hand = [added.length && `+${added.length}`, removed.length && `−${removed.length}`].filter(Boolean).join(" ");
    return { text: count === null ? "" : shown(count), sort: count ?? -1, hand, handSort: added.length + removed.length };
  }

  total(values) {
    const counts = values.map(({ sort }) => sort).filter((count) => count >= 0);
    if (counts.length < 2) return "";
    const sum = counts.reduce((a, b) => a + b, 0);
    return `${shown(sum)} in ${counts.length} pictures, ${shown(sum / counts.length)} on average`;
  }

  update() {
    this.problem = null;
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
    if (this.heat === heat && stage.layer) return;
    this.heat = heat;
    const layer = heat ? await loadImage(heat) : null;
    if (this.heat !== heat || this.bench.mode !== this) return;
    stage.layer = layer;
    stage.redraw();
  }

  paint(context, view) {
    const { exemplars, negatives, text, region } = this.bench.entry();
    const tool = this.bench.tool;
    if (region) paintPolygon(context, view, region, { outside: true });
    if (this.show.points) this.paintPoints(context, view);
    for (const [kind, boxes] of Object.entries({ exemplars, negatives }))
      boxes.forEach((box, index) => {
        const held = tool === this.tools.box && tool.draft && tool.held.kind === kind && tool.held.index === index;
        const chosen = tool === this.tools.box && tool.chosen?.kind === kind && tool.chosen.index === index;
        const faint = text !== null || (kind === "negatives" && !this.takesNegatives());
        if (this.show.boxes && !held) paintBox(context, view, box, COLOURS[kind.slice(0, -1)], { chosen, faint });
      });
    if (this.show.boxes) for (const box of this.found()) paintBox(context, view, box, COLOURS.exemplar);
    tool?.paint(context, view);
  }

  paintPoints(context, view) {
    const { kept, removed, added } = this.points();
    const size = this.answer()?.object_size;
    const side = size ? Math.sqrt(size[0] * size[1]) : null;
    paintPoints(context, view, kept, COLOURS.point, side);
    paintPoints(context, view, added, COLOURS.added, side);
    paintCrosses(context, view, removed, COLOURS.negative);
  }

  /** Whether a person has shown something in a picture, or corrected it: jobs leave it alone. */
  own(id) {
    const { exemplars, added, removed } = this.bench.entry(id);
    return exemplars.length + added.length + removed.length > 0;
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
