// A click adds a thing that was missed, or removes a point that is wrong; the mouse shows beforehand which it will be.

import { halfObject, nearest, settled } from "./corrections.js";
import { COLOURS, paintPlan } from "./paint.js";

/** Pixels of the screen: how near is near where nothing says how large a thing is, and the least where it is tiny. */
const [NEAR, LEAST] = [11, 3];
const WORDS = {
  add: "A click adds a thing here.", remove: "A click removes this point.", takeBack: "A click takes back what was added.",
  restore: "A click puts this point back.", nothing: "A click does nothing here.",
};
const CURSORS = { add: "copy", nothing: "not-allowed" };
const round = (value) => Math.round(value * 100) / 100;

export class CorrectTool {
  drags = false;
  hint = "Click a thing that was missed to add it; click a wrong point to remove it. With Shift a click only adds.";

  /** settings.clicks: what they may do, "both", "add" or "remove". */
  constructor(bench, settings) {
    Object.assign(this, { bench, settings, planned: null });
  }

  down(at, event) {
    const plan = this.plan(at, event);
    const entry = this.bench.entry();
    const { added, removed, ...rest } = settled(this.bench.mode.answer(), entry);
    const without = (points) => points.filter((each) => String(each) !== String(plan.point));
    const patch = {
      add: { added: [...added, plan.point] }, remove: { removed: [...removed, plan.point] },
      takeBack: { added: without(added) }, restore: { removed: without(removed) },
    }[plan.what];
    if (patch) this.bench.change({ added, removed, ...rest, ...patch });
    this.planned = null;
  }

  move() {}

  up() {}

  hover(at, event) {
    this.planned = this.plan(at, event);
    this.bench.hint(WORDS[this.planned.what]);
    return CURSORS[this.planned.what] ?? "pointer";
  }

  leave() {
    this.planned = null;
    this.bench.hint(this.hint);
    this.bench.stage.redraw();
  }

  cancel() {
    this.planned = null;
  }

  /** What a click at a place will do: the nearest point within half an object is meant, else a thing that was missed. */
  plan(at, event) {
    const only = event?.shiftKey ? "add" : this.settings.clicks;
    const hit = only === "add" ? null : this.find(at);
    if (hit) return hit;
    const { width, height } = this.bench.stage.view;
    const place = [round(at.x), round(at.y)];
    const there = at.x >= 0 && at.y >= 0 && at.x <= width && at.y <= height && this.bench.mode.inRegion(place);
    return { what: there && only !== "remove" ? "add" : "nothing", point: place };
  }

  find(at) {
    const { kept, removed, added } = this.bench.points();
    const reach = this.reach();
    const place = [at.x, at.y];
    const found = Object.entries({ remove: kept, restore: removed, takeBack: added })
      .map(([what, points]) => ({ what, point: nearest(points, place, reach) })).filter(({ point }) => point);
    const apart = ({ point: [x, y] }) => Math.hypot(x - at.x, y - at.y);
    return found.sort((a, b) => apart(a) - apart(b))[0] ?? null;
  }

  /** Half an object, as the picture is zoomed, in its pixels. */
  reach() {
    const { scale } = this.bench.stage.view;
    const half = halfObject(this.bench.mode.answer(), this.bench.entry());
    return half === null ? NEAR / scale : Math.max(half, LEAST / scale);
  }

  paint(context, view) {
    if (this.planned) paintPlan(context, view, this.planned, COLOURS[this.planned.what === "remove" ? "negatives" : "added"]);
  }
}
