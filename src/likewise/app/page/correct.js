// A click adds a thing that was missed, or removes a point that is wrong; the mouse shows beforehand which it will be.

import { halfObject, nearest, settled, standing } from "./corrections.js";
import { COLOURS, paintPlan } from "./paint.js";

/** Pixels of the screen: how near is near where nothing says how large a thing is, and the least where it is tiny. */
const [NEAR, LEAST] = [11, 3];
const WORDS = {
  add: "A click adds a NAME here.", turn: "A click makes this a NAME.", remove: "A click removes this point.", takeBack: "A click takes back what was added.",
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
    const { what, point, part, of } = this.plan(at, event);
    const { mode } = this.bench;
    if (what === "turn") mode.correct([this.patch(of, part, point), this.patch("add", mode.part(), point)]);
    else if (what !== "nothing") mode.correct([this.patch(what, part, point)]);
    this.planned = null;
  }

  /** What changes of a part. */
  patch(what, { index, entry, answer }, point) {
    const { added, removed, ...rest } = settled(answer, entry);
    const without = (points) => points.filter((each) => String(each) !== String(point));
    const own = { add: { added: [...added, point] }, remove: { removed: [...removed, point] }, takeBack: { added: without(added) }, restore: { removed: without(removed) } }[what];
    return [index, { added, removed, ...rest, ...own }];
  }

  move() {}

  up() {}

  hover(at, event) {
    this.planned = this.plan(at, event);
    const { name } = this.bench.mode.part();
    this.bench.hint(WORDS[this.planned.what].replace("NAME", name ?? "thing"));
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

  /** What a click at a place will do: the nearest point within half an object is meant, else a thing that was missed. Of several kinds, a point of another becomes one of the chosen kind. */
  plan(at, event) {
    const only = event?.shiftKey ? "add" : this.settings.clicks;
    const hit = only === "add" ? null : this.find(at);
    const part = this.bench.mode.part();
    const other = hit && hit.part.index !== part.index && hit.what !== "restore" && only === "both";
    if (hit) return other ? { ...hit, what: "turn", of: hit.what } : hit;
    const { width, height } = this.bench.stage.view;
    const place = [round(at.x), round(at.y)];
    const there = at.x >= 0 && at.y >= 0 && at.x <= width && at.y <= height && this.bench.mode.inRegion(place);
    return { what: there && only !== "remove" ? "add" : "nothing", point: place, part };
  }

  find(at) {
    const found = this.bench.mode.parts().flatMap((part) => {
      const { kept, removed, added } = standing(part.answer, part.entry);
      return Object.entries({ remove: kept, restore: removed, takeBack: added })
        .map(([what, points]) => ({ what, part, point: nearest(points, [at.x, at.y], this.reach(part)) })).filter(({ point }) => point);
    });
    const apart = ({ point: [x, y] }) => Math.hypot(x - at.x, y - at.y);
    return found.sort((a, b) => apart(a) - apart(b))[0] ?? null;
  }

  /** Half an object, as the picture is zoomed, in its pixels. */
  reach({ answer, entry }) {
    const { scale } = this.bench.stage.view;
    const half = halfObject(answer, entry);
    return half === null ? NEAR / scale : Math.max(half, LEAST / scale);
  }

  colour() {
    const { index, colour } = this.bench.mode.part();
    return index === null ? COLOURS.added : colour;
  }

  paint(context, view) {
    if (this.planned) paintPlan(context, view, this.planned, this.planned.what === "remove" ? COLOURS.negatives : this.colour());
  }
}
