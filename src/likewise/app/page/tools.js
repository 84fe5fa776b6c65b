// What a press on the picture does, by tool. Places are in pixels of the picture.

import { clickRadius, paintBox, paintPolygon } from "./paint.js";

/** Pixels of the screen: how near is near, how far outside of a box that still holds, and what is too short to be meant. */
const [NEAR, OUTSIDE, SLIP] = [9, 4, 8];
const CORNERS = [[0, 1], [2, 1], [0, 3], [2, 3]];
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
const clamp = (value, most) => Math.min(Math.max(value, 0), most);
const round = (value) => Math.round(value * 100) / 100;

/** Draw, move, resize and choose boxes. */
export class BoxTool {
  drags = true;

  /** lists(): the mode's lists of boxes: that to which a drag adds, others, and at last that to which it does with Shift. */
  constructor(bench, { lists, hint }) {
    Object.assign(this, { bench, lists, hint, draft: null, held: null, chosen: null });
  }

  down(at, event) {
    const drawn = this.lists().at(event.shiftKey ? -1 : 0);
    this.held = this.find(at) ?? { list: drawn, corner: [2, 3], new: true };
    this.chosen = this.held.new ? null : { list: this.held.list, index: this.held.index };
    this.start = at;
    this.box = this.held.new ? [at.x, at.y, at.x, at.y] : this.bench.mode.boxes(this.held.list)[this.held.index];
    this.draft = null;
  }

  move(at) {
    if (!this.held) return;
    if (!this.draft && distance(at, this.start) * this.bench.stage.view.scale < 3) return;
    const box = [...this.box];
    const [dx, dy] = [at.x - this.start.x, at.y - this.start.y];
    for (const i of this.held.corner ?? [0, 1, 2, 3]) box[i] += i % 2 ? dy : dx;
    this.draft = this.inside(box, !this.held.corner);
  }

  up(at) {
    this.move(at);
    const { held, draft } = this;
    this.cancel();
    if (!held || !draft || this.slipped(held, draft)) return;
    const boxes = [...this.bench.mode.boxes(held.list)];
    if (held.new) boxes.push(draft);
    else boxes[held.index] = draft;
    this.chosen = { list: held.list, index: held.new ? boxes.length - 1 : held.index };
    this.bench.mode.setBoxes(held.list, boxes);
  }

  /** A hand that shook draws no example: nothing shows in less than two pixels, and nobody means so short a drag. */
  slipped(held, [x0, y0, x1, y1]) {
    const { scale } = this.bench.stage.view;
    const [short, long] = [Math.min(x1 - x0, y1 - y0), Math.max(x1 - x0, y1 - y0)];
    if (short >= 2 && (!held.new || (long * scale >= SLIP && short * scale >= 3))) return false;
    this.bench.hint("Too small for an example: drag a box round all of one thing.");
    return true;
  }

  cancel() {
    this.held = this.draft = null;
  }

  /** Corners in order and within the picture; moved whole, a box keeps its size. */
  inside([x0, y0, x1, y1], whole) {
    const { width, height } = this.bench.stage.view;
    if (whole) {
      const [w, h] = [x1 - x0, y1 - y0];
      [x0, y0] = [clamp(x0, width - w), clamp(y0, height - h)];
      return [x0, y0, x0 + w, y0 + h].map(round);
    }
    const [xs, ys] = [[clamp(x0, width), clamp(x1, width)], [clamp(y0, height), clamp(y1, height)]];
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)].map(round);
  }

  /** The box at a place: its corner, its edge, or all of it; the last drawn first. */
  find(at) {
    for (const list of this.lists())
      for (const [index, box] of [...this.bench.mode.boxes(list).entries()].reverse()) {
        const corner = this.grip(at, box);
        if (corner) return { list, index, corner };
        if (at.x > box[0] && at.x < box[2] && at.y > box[1] && at.y < box[3]) return { list, index, corner: null };
      }
    return null;
  }

  /** Which coordinates a drag from a place moves; the middle half of a box, however small, moves all of it. */
  grip(at, box) {
    const { scale } = this.bench.stage.view;
    const place = [at.x, at.y];
    const grips = [0, 1, 2, 3].filter((i) => {
      const axis = i % 2;
      const beyond = (box[i] - place[axis]) * (i < 2 ? 1 : -1);
      const within = place[1 - axis] > box[1 - axis] - OUTSIDE / scale && place[1 - axis] < box[3 - axis] + OUTSIDE / scale;
      return within && beyond < OUTSIDE / scale && -beyond < Math.min(NEAR / scale, (box[axis + 2] - box[axis]) / 4);
    });
    return grips.length ? grips : null;
  }

  hover(at) {
    const found = this.find(at);
    if (!found) return "crosshair";
    const { corner } = found;
    if (!corner) return "move";
    if (corner.length === 1) return corner[0] % 2 ? "ns-resize" : "ew-resize";
    return CORNERS.slice(1, 3).some((each) => each.every((i) => corner.includes(i))) ? "nesw-resize" : "nwse-resize";
  }

  remove() {
    if (!this.chosen) return;
    const { list, index } = this.chosen;
    this.chosen = null;
    this.bench.mode.setBoxes(list, this.bench.mode.boxes(list).filter((_, i) => i !== index));
  }

  paint(context, view) {
    if (this.draft) paintBox(context, view, this.draft, this.bench.mode.boxColour(this.held.list), { chosen: true });
  }
}

/** A polygon, corner by corner; the corners of one that is there are dragged. */
export class RegionTool {
  hint = "Click the corners of the region; click the first again, or press Enter twice, to close it. Escape starts anew.";

  constructor(bench) {
    Object.assign(this, { bench, corners: [], at: null, held: null, draft: null });
  }

  /** With the keyboard's cross, a corner that was taken is let go by another press. */
  get drags() {
    return this.held !== null;
  }

  down(at) {
    const corner = this.place(at);
    this.held = this.corners.length ? null : this.find(corner);
    if (this.held !== null) return;
    const near = (other) => other && this.near(other, corner);
    if (this.corners.length > 2 && (near(this.corners[0]) || near(this.corners.at(-1)))) this.close();
    else if (!near(this.corners.at(-1))) this.corners.push(corner);
  }

  move(at) {
    if (this.held === null) return;
    this.draft = this.bench.entry().region.map((each, i) => (i === this.held ? this.place(at) : each));
  }

  up() {
    const { draft } = this;
    this.held = this.draft = null;
    if (draft) this.bench.changePrompt({ region: draft });
  }

  hover(at) {
    this.at = at;
    return !this.corners.length && this.find(this.place(at)) !== null ? "move" : "crosshair";
  }

  cancel() {
    this.corners = [];
    this.held = this.draft = null;
  }

  close() {
    const region = this.corners;
    this.corners = [];
    this.bench.changePrompt({ region });
    this.bench.useTool("box");
  }

  place(at) {
    const { width, height } = this.bench.stage.view;
    return [round(clamp(at.x, width)), round(clamp(at.y, height))];
  }

  near(one, other) {
    return Math.hypot(one[0] - other[0], one[1] - other[1]) * this.bench.stage.view.scale < NEAR;
  }

  /** The corner of the region at a place, by its number; null: none. */
  find(place) {
    const index = (this.bench.entry().region ?? []).findIndex((corner) => this.near(corner, place));
    return index < 0 ? null : index;
  }

  paint(context, view) {
    const { region } = this.bench.entry();
    if (region && !this.corners.length) paintPolygon(context, view, this.draft ?? region, { corners: true });
    if (this.corners.length === 0) return;
    const next = this.at ? [[this.at.x, this.at.y]] : [];
    paintPolygon(context, view, [...this.corners, ...next], { open: true, corners: true });
  }
}

/** A click shows the thing; a click on one that is there takes it back. */
export class ClickTool {
  drags = false;
  hint = "Click the thing, in a few places if it is large; a second click takes it back.";

  constructor(bench) {
    Object.assign(this, { bench });
  }

  down(at) {
    const { width, height } = this.bench.stage.view;
    if (at.x < 0 || at.y < 0 || at.x > width || at.y > height) return;
    const { clicked } = this.bench.entry();
    const hit = this.find(at);
    this.bench.mode.prompt({ clicked: hit ? clicked.filter((each) => each !== hit) : [...clicked, [round(at.x), round(at.y)]] });
  }

  move() {}

  up() {}

  hover(at) {
    return this.find(at) ? "pointer" : "copy";
  }

  find(at) {
    const radius = clickRadius(this.bench.stage.view);
    return this.bench.entry().clicked.find(([x, y]) => Math.hypot(x - at.x, y - at.y) < radius);
  }

  paint() {}
}
