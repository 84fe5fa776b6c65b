// Segment mode: brush over a thing in one picture, or in a few, and find it in the others.

import * as api from "./api.js";
import { Mode } from "./mode.js";
import { SegmentPanel } from "./segment_panel.js";
import { keyOf } from "./question.js";
import { loadImage } from "./stage.js";
import { BrushTool } from "./tools.js";

const INK = "#ffc440";
const [SMALLEST, LARGEST] = [2, 400];

export class SegmentMode extends Mode {
  task = "segment";
  heads = { value: "Area", hand: "Brushed" };
  firstTool = "brush";
  largest = LARGEST;

  constructor(bench, busy) {
    super(bench, busy);
    Object.assign(this, { settings: { width: 40 }, show: { mask: true, strokes: true }, mask: null });
    this.tools = { brush: new BrushTool(bench, this.settings, false), erase: new BrushTool(bench, this.settings, true) };
    this.labels = { brush: ["Brush", "B"], erase: ["Erase", "E"] };
    this.sheet = document.createElement("canvas");
    this.panel = new SegmentPanel(this);
  }

  brushed(id = this.bench.selected) {
    return this.bench.entry(id).strokes.some((stroke) => !stroke.erase);
  }

  /** What is brushed in all pictures, worked out once for what the entries are now. */
  support() {
    const { entries, version } = this.bench.store;
    if (this.supported?.version !== version) {
      const marked = [...entries.keys()].filter((id) => this.bench.pictures.has(id) && this.brushed(id));
      this.supported = { version, support: marked.map((picture) => ({ picture, strokes: this.bench.entry(picture).strokes })) };
    }
    return this.supported.support;
  }

  /** What is asked of every picture alike. */
  asked() {
    return { support: this.support() };
  }

  /** What is brushed is what the others are asked with; it is not asked about itself. */
  question(id = this.bench.selected) {
    const support = id && !this.bench.picture(id).error && !this.brushed(id) ? this.support() : [];
    return support.length ? { picture: id, support } : null;
  }

  call(question, signal) {
    return api.segment({ ...question, keep: keyOf(question) }, signal);
  }

  /** The mask of a picture that a job went through is fetched when the picture is looked at. */
  lacks(answer) {
    return answer?.mask === undefined;
  }

  value(id) {
    const area = this.answer(id)?.area;
    const brushed = this.brushed(id);
    return {
      text: area === undefined ? "" : `${(100 * area).toFixed(1)} %`, sort: area ?? -1,
      hand: brushed ? "yes" : "", handSort: Number(brushed),
    };
  }

  total(values) {
    const found = values.map(({ sort }) => sort).filter((area) => area >= 0);
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

  /** Strokes are drawn on a sheet of their own, so that erasing takes away only them. */
  paint(context, view) {
    const strokes = this.bench.entry().strokes;
    const drawn = this.bench.tool?.stroke ? [...strokes, this.bench.tool.stroke] : strokes;
    if (drawn.length && this.show.strokes) {
      const density = window.devicePixelRatio || 1;
      this.sheet.width = Math.round(view.screenWidth * density);
      this.sheet.height = Math.round(view.screenHeight * density);
      const pen = this.sheet.getContext("2d");
      pen.scale(density, density);
      pen.lineCap = pen.lineJoin = "round";
      for (const stroke of drawn) this.trace(pen, view, stroke);
      context.save();
      context.beginPath(); // what is brushed beyond the picture's edge is not part of it
      context.rect(view.x, view.y, view.width * view.scale, view.height * view.scale);
      context.clip();
      context.globalAlpha = 0.55;
      context.drawImage(this.sheet, 0, 0, view.screenWidth, view.screenHeight);
      context.restore();
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

  setWidth(width) {
    this.settings.width = Math.min(Math.max(width, SMALLEST), LARGEST);
    this.panel.showWidth(this.settings.width);
    this.bench.stage.redraw();
  }

  scaleBrush(factor) {
    const wished = this.settings.width * factor;
    this.setWidth(factor > 1 ? Math.ceil(wished) : Math.floor(wished));
  }

  clear() {
    if (this.bench.entry().strokes.length) this.bench.change({ strokes: [] });
  }
}
