// Segment mode: show a thing in one picture, or in a few, by brush, box or click; it is found in the others, and mended.

import * as api from "./api.js";
import { BrushTool } from "./brush.js";
import { areaOf, drawMarks } from "./mask.js";
import { Mode } from "./mode.js";
import { COLOURS, paintBox, paintDisc } from "./paint.js";
import { SegmentPanel } from "./segment_panel.js";
import { keyOf } from "./question.js";
import { loadImage } from "./stage.js";
import { BoxTool, ClickTool } from "./tools.js";

const [SMALLEST, LARGEST] = [2, 400];

export class SegmentMode extends Mode {
  task = "segment";
  heads = { value: "Area", hand: "By hand" };
  firstTool = "brush";
  largest = LARGEST;

  constructor(bench, busy) {
    super(bench, busy);
    Object.assign(this, { settings: { width: 40 }, show: { mask: true, strokes: true }, mask: null });
    this.tools = { brush: new BrushTool(bench, this.settings, false), erase: new BrushTool(bench, this.settings, true),
      frame: new BoxTool(bench, { lists: () => ["boxed"], hint: "Drag a box round the thing." }), click: new ClickTool(bench) };
    this.labels = { brush: ["Brush", "B"], erase: ["Erase", "E"], frame: ["Box", "X"], click: ["Click", "K"] };
    this.sheet = document.createElement("canvas");
    this.panel = new SegmentPanel(this);
  }

  /** Whether a picture's mask is a person's: brushed, or found and mended. */
  brushed(id = this.bench.selected) {
    const { base, strokes } = this.bench.entry(id);
    return base !== null || strokes.some((stroke) => !stroke.erase);
  }

  /** Whether its mask is an example for the others: a mended one only where that is wished, as they are asked anew. */
  teaches(id = this.bench.selected) {
    return this.brushed(id) && (this.bench.entry(id).base === null || this.bench.entry(id).example);
  }

  /** What is brushed in all pictures, worked out once for what the entries are now. */
  support() {
    const { entries, version } = this.bench.store;
    if (this.supported?.version !== version) {
      const here = [...entries.keys()].filter((id) => this.bench.pictures.has(id));
      this.supported = { version, support: here.flatMap((id) => this.shownIn(id)) };
    }
    return this.supported.support;
  }

  /** How a picture shows the thing: by its mask, or by boxes and clicks; mostly not at all. */
  shownIn(picture) {
    const { strokes, base, boxed, clicked, seen } = this.bench.entry(picture);
    const from = { picture, ...(seen && { seen }) };
    if (this.teaches(picture)) return [{ ...from, strokes, ...(base && { base }) }];
    return [...boxed.map((box) => ({ ...from, box })), ...(clicked.length ? [{ ...from, clicks: clicked }] : [])];
  }

  /** What is asked of every picture alike. */
  asked() {
    return { support: this.support() };
  }

  /** A person's own mask is not asked about; boxes and clicks only say where the thing is, so their picture is. */
  question(id = this.bench.selected) {
    const support = id && !this.bench.picture(id).error && !this.brushed(id) ? this.support() : [];
    const { seen } = this.bench.entry(id);
    return support.length ? { picture: id, ...(seen && { seen }), support } : null;
  }

  /** A stroke on what was found mends it: the mask is kept, and what the others were asked with stays as it is. */
  add(stroke) {
    const { strokes } = this.bench.entry();
    const found = this.brushed() ? null : this.answer()?.segmentation;
    this.bench.change({ strokes: found ? [stroke] : [...strokes, stroke], ...(found && { base: found }) });
  }

  prompt(patch) {
    this.bench.change(patch);
  }

  /** The share of a picture that is covered; null where nothing is known. */
  area(id = this.bench.selected) {
    const { width, height } = this.bench.picture(id) ?? {};
    return this.brushed(id) ? areaOf(this.bench.entry(id), width, height) : this.answer(id)?.area ?? null;
  }

  key() {
    return keyOf(this.asked());
  }

  async call(question, signal) {
    await this.bench.settled(); // an answer about what is not yet known to be seen would not be kept
    return api.segment({ ...question, keep: this.key() }, signal);
  }

  /** The mask of a picture that a job went through is fetched when the picture is looked at. */
  lacks(answer) {
    return answer?.mask === undefined;
  }

  value(id) {
    const area = this.area(id);
    const { boxed, clicked } = this.bench.entry(id);
    const teaches = this.teaches(id) || boxed.length + clicked.length > 0;
    const hand = teaches ? "example" : this.brushed(id) ? "mended" : "";
    return { text: area === null ? "" : `${(100 * area).toFixed(1)} %`, sort: area ?? -1, hand, handSort: hand.length };
  }

  total(values) {
    const found = values.filter(({ sort, hand }) => sort >= 0 && hand !== "example").map(({ sort }) => sort);
    if (!found.length) return "";
    return `Found in ${found.filter((area) => area > 0).length} of the ${found.length} looked at`;
  }

  update() {
    const { stage, selected } = this.bench;
    if (this.sized !== selected && stage.picture) {
      this.sized = selected;
      this.setWidth(Math.round(Math.max(stage.view.width, stage.view.height) / 25));
    }
    this.problem = null;
    this.ask();
    this.layMask();
    this.panel.update();
    stage.redraw();
  }

  async layMask() {
    const mask = (this.show.mask && this.answer()?.mask) || null;
    if (this.mask === mask && this.bench.stage.layer) return;
    this.mask = mask;
    const layer = mask ? await loadImage(mask) : null;
    if (this.mask !== mask || this.bench.mode !== this) return;
    this.bench.stage.layer = layer;
    this.bench.stage.redraw();
  }

  /** Strokes and the mask they mend are drawn on a sheet of their own, so that erasing takes away only them. */
  paint(context, view) {
    const { strokes, boxed, clicked, base } = this.bench.entry();
    const { tool } = this.bench;
    const drawn = tool?.stroke ? [...strokes, tool.stroke] : strokes;
    const mended = base ?? (tool?.stroke && !this.brushed() ? this.answer()?.segmentation : null);
    if (mended) this.bench.stage.layer = null; // the mask is on the sheet now
    if ((drawn.length || mended) && this.show.strokes) {
      const density = window.devicePixelRatio || 1;
      this.sheet.width = Math.round(view.screenWidth * density);
      this.sheet.height = Math.round(view.screenHeight * density);
      const pen = this.sheet.getContext("2d");
      pen.scale(density, density);
      drawMarks(pen, mended, drawn, view);
      context.save();
      context.beginPath(); // what is brushed beyond the picture's edge is not part of it
      context.rect(view.x, view.y, view.width * view.scale, view.height * view.scale);
      context.clip();
      context.globalAlpha = 0.55;
      context.drawImage(this.sheet, 0, 0, view.screenWidth, view.screenHeight);
      context.restore();
    }
    boxed.forEach((box, index) => {
      if (tool?.draft && tool.held?.index === index) return;
      paintBox(context, view, box, COLOURS.exemplars, { chosen: tool?.chosen?.index === index });
    });
    for (const place of clicked) paintDisc(context, view, place, COLOURS.exemplars);
    tool?.paint(context, view);
  }

  job() {
    const support = this.support();
    const pictures = [...this.bench.pictures.values()].filter((p) => !p.error && !this.brushed(p.id)).map((p) => p.id);
    return support.length ? { body: { task: "segment", pictures, support, ...this.bench.seenOf(pictures) }, patch: null } : null;
  }

  setWidth(width) {
    this.settings.width = Math.min(Math.max(width, SMALLEST), LARGEST);
    this.panel.showWidth(this.settings.width);
    this.bench.stage.redraw();
  }

  scaleBrush(factor) {
    const wished = this.settings.width * factor;
    this.setWidth(factor > 1 ? Math.ceil(wished) : Math.floor(wished));
  }

  /** Whether anything is shown or mended in the chosen picture. */
  marked() {
    const { strokes, base, boxed, clicked } = this.bench.entry();
    return base !== null || strokes.length + boxed.length + clicked.length > 0;
  }

  clear() {
    const { base } = this.bench.entry();
    this.bench.change({ strokes: [], base: null, example: false, ...(!base && { boxed: [], clicked: [] }) });
  }

  /** Make a mended mask an example for the other pictures, or take that back. */
  teach() {
    this.bench.change({ example: !this.bench.entry().example });
  }
}
