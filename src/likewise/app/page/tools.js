// What a press on the picture does, by tool. Places are in pixels of the picture.

import { COLOURS, paintBox, paintPolygon } from "./paint.js";

const NEAR = 9;
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
const clamp = (value, most) => Math.min(Math.max(value, 0), most);
const round = (value) => Math.round(value * 100) / 100;

/** Draw, move, resize and choose boxes; with Shift a counter-example. */
export class BoxTool {
  drags = true;
  hint = "Drag a box tightly round one of the things, Shift-drag round one not to count.";

  constructor(bench) {
    Object.assign(this, { bench, draft: null, held: null, chosen: null });
  }

  down(at, event) {
    this.held = this.find(at) ?? { kind: event.shiftKey ? "negatives" : "exemplars", corner: [2, 3], new: true };
    this.chosen = this.held.new ? null : { kind: this.held.kind, index: this.held.index };
    this.start = at;
    this.box = this.held.new ? [at.x, at.y, at.x, at.y] : this.bench.entry()[this.held.kind][this.held.index];
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
    if (!held || !draft || draft[2] - draft[0] < 2 || draft[3] - draft[1] < 2) return;
    const boxes = [...this.bench.entry()[held.kind]];
    if (held.new) boxes.push(draft);
    else boxes[held.index] = draft;
    this.chosen = { kind: held.kind, index: held.new ? boxes.length - 1 : held.index };
    this.bench.changePrompt({ [held.kind]: boxes, ...(held.kind === "exemplars" && { text: null, like: null }) });
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

  find(at) {
    const near = NEAR / this.bench.stage.view.scale;
    for (const kind of ["exemplars", "negatives"]) {
      for (const [index, box] of [...this.bench.entry()[kind].entries()].reverse()) {
        for (const corner of [[0, 1], [2, 1], [0, 3], [2, 3]])
          if (distance(at, { x: box[corner[0]], y: box[corner[1]] }) < near) return { kind, index, corner };
        if (at.x > box[0] && at.x < box[2] && at.y > box[1] && at.y < box[3]) return { kind, index, corner: null };
      }
    }
    return null;
  }

  hover(at) {
    const found = this.find(at);
    if (!found) return "crosshair";
    if (!found.corner) return "move";
    return (found.corner[0] === 0) === (found.corner[1] === 1) ? "nwse-resize" : "nesw-resize";
  }

  remove() {
    if (!this.chosen) return;
    const { kind, index } = this.chosen;
    this.chosen = null;
    this.bench.changePrompt({ [kind]: this.bench.entry()[kind].filter((_, i) => i !== index) });
  }

  paint(context, view) {
    if (this.draft) paintBox(context, view, this.draft, COLOURS[this.held.kind.slice(0, -1)], { chosen: true });
  }
}

/** A polygon, corner by corner. */
export class RegionTool {
  drags = false;
  hint = "Click the corners of the region; click the first again, or press Enter twice, to close it. Escape starts anew.";

  constructor(bench) {
    Object.assign(this, { bench, corners: [], at: null });
  }

  down(at) {
    const { width, height, scale } = this.bench.stage.view;
    const corner = [round(clamp(at.x, width)), round(clamp(at.y, height))];
    const near = (other) => other && Math.hypot(other[0] - corner[0], other[1] - corner[1]) * scale < NEAR;
    if (this.corners.length > 2 && (near(this.corners[0]) || near(this.corners.at(-1)))) this.close();
    else if (!near(this.corners.at(-1))) this.corners.push(corner);
  }

  move() {}

  up() {}

  hover(at) {
    this.at = at;
    return "crosshair";
  }

  cancel() {
    this.corners = [];
  }

  close() {
    const region = this.corners;
    this.corners = [];
    this.bench.changePrompt({ region });
    this.bench.useTool("box");
  }

  paint(context, view) {
    if (this.corners.length === 0) return;
    const next = this.at ? [[this.at.x, this.at.y]] : [];
    paintPolygon(context, view, [...this.corners, ...next], { open: true });
  }
}

/** A click adds a thing that was missed, or removes a point that is wrong; a second click takes it back. */
export class CorrectTool {
  drags = false;
  hint = "Click a thing that was missed to add it; click a wrong point to remove it.";

  constructor(bench) {
    Object.assign(this, { bench });
  }

  down(at) {
    const { width, height } = this.bench.stage.view;
    if (at.x < 0 || at.y < 0 || at.x > width || at.y > height) return;
    const { added, removed } = this.bench.entry();
    const hit = this.find(at);
    const without = (points, point) => points.filter((each) => each !== point);
    if (!hit) this.bench.change({ added: [...added, [round(at.x), round(at.y)]] });
    else if (hit.kind === "added") this.bench.change({ added: without(added, hit.point) });
    else if (hit.kind === "removed") this.bench.change({ removed: without(removed, hit.point) });
    else this.bench.change({ removed: [...removed, hit.point] });
  }

  move() {}

  up() {}

  hover(at) {
    return this.find(at) ? "pointer" : "copy";
  }

  /** The nearest point close by, and of which kind it is. */
  find(at) {
    const { kept, removed, added } = this.bench.points();
    let best = null;
    let least = 11 / this.bench.stage.view.scale;
    for (const [kind, points] of Object.entries({ kept, removed, added }))
      for (const point of points) {
        const apart = Math.hypot(point[0] - at.x, point[1] - at.y);
        if (apart < least) [best, least] = [{ kind, point }, apart];
      }
    return best;
  }

  paint() {}
}

/** Brush a mask, or erase it. */
export class BrushTool {
  drags = true;

  constructor(bench, settings, erase) {
    Object.assign(this, { bench, settings, erase, stroke: null, at: null });
    this.hint = erase ? "Brush over what does not belong to the thing." : "Brush over the thing to find in the others.";
  }

  down(at) {
    this.stroke = { points: [[round(at.x), round(at.y)]], width: round(this.settings.width), erase: this.erase };
  }

  move(at) {
    this.at = at;
    const last = this.stroke?.points.at(-1);
    if (last && Math.hypot(last[0] - at.x, last[1] - at.y) > this.settings.width / 8)
      this.stroke.points.push([round(at.x), round(at.y)]);
  }

  up() {
    const { stroke } = this;
    this.stroke = null;
    if (stroke) this.bench.change({ strokes: [...this.bench.entry().strokes, stroke] });
  }

  cancel() {
    this.stroke = null;
  }

  hover(at) {
    this.at = at;
    return "none";
  }

  leave() {
    this.at = null;
  }

  paint(context, view) {
    if (!this.at) return;
    const { x, y } = view.toScreen(this.at.x, this.at.y);
    for (const [colour, width] of [["#0a0c14", 3.5], [this.erase ? "#ff5858" : "#ffffff", 1.5]]) {
      context.beginPath();
      context.arc(x, y, Math.max(2, (this.settings.width / 2) * view.scale), 0, 7);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }
}
