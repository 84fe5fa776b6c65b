// What a person changed of an answer: which points stand, and what becomes of that when something else is asked.

import { isShown, several } from "./kinds.js";

export const UNTOUCHED = Object.freeze({ added: [], removed: [], carried: null, confirmed: false });
const CLEAR = { added: [], removed: [], carried: null };
const NOWHERE = { added: [], removed: [] };
const known = new WeakMap();

/** Whether a person corrected or confirmed a picture, or a kind in it: its count is then the number of points he sees. */
export function byHand({ added, removed, carried, confirmed, kinds = [], text = null }) {
  return confirmed || added.length + removed.length > 0 || carried !== null || (text === null && kinds.some(byHand));
}

/**
 * A patch of what is asked, with what becomes of corrections: they are places in the picture, so they stay while the
 * same thing is asked for with other boxes, or elsewhere. Gives the patch, and how many were set aside.
 */
export function carryOver(before, patch) {
  if (!byHand(before)) return { patch, setAside: 0 };
  const after = { ...before, ...patch };
  const elsewhere = "seen" in patch && patch.seen?.channel !== before.seen?.channel; // other things are seen there
  const carried = several(after) && !elsewhere ? { ...UNTOUCHED, kinds: after.kinds.map(carriedKind) } : carriedAlone(before, patch, after, elsewhere);
  return { patch: { ...patch, ...carried }, setAside: Math.max(0, corrections(before) - corrections({ ...after, ...carried })) };
}

/** Without examples, what was added stands by itself. */
function carriedKind(kind) {
  const carried = gathered(kind);
  return { ...kind, ...CLEAR, ...(isShown(kind) ? { carried } : { added: carried?.added ?? [] }) };
}

function carriedAlone(before, patch, after, elsewhere) {
  const left = patch.kinds && several(before); // of several kinds one is left
  const another = elsewhere || (left ? !isShown(after) : (patch.text && patch.text !== before.text) || patch.like || patch.exemplars?.length === 0);
  const kinds = after.kinds.map((kind) => (another ? { ...kind, ...CLEAR } : carriedKind(kind)));
  return { ...UNTOUCHED, kinds, carried: another ? null : gathered(left ? after : before) };
}

/** All that was corrected, to be held against another answer; null: nothing was. */
function gathered({ added, removed, carried }) {
  const before = carried ?? NOWHERE;
  const all = { added: [...before.added, ...added], removed: [...before.removed, ...removed] };
  return all.added.length + all.removed.length ? all : null;
}

/** How many there are. */
function corrections({ kinds = [], ...own }) {
  const { added, removed } = gathered(own) ?? NOWHERE;
  return added.length + removed.length + kinds.reduce((sum, kind) => sum + corrections(kind), 0);
}

/**
 * Which of an answer's points stand (kept) and which a person removed, and those that were added by hand, in the pixels
 * of the picture. What was corrected in an earlier answer holds for the nearest point of this one within half
 * an object: one that the model finds by itself now is not added again.
 */
export function standing(answer, entry) {
  const last = known.get(entry);
  if (last && last.answer === answer) return last.found;
  const found = sorted(answer, entry);
  known.set(entry, { answer, found });
  return found;
}

function sorted(answer, entry) {
  const { carried, region } = entry;
  const predicted = answer?.points ?? [];
  const gone = new Set(entry.removed.map(String));
  const reach = halfObject(answer, entry) ?? 0;
  for (const place of carried?.removed ?? []) {
    const point = nearest(predicted.filter((each) => !gone.has(String(each))), place, reach);
    if (point) gone.add(String(point));
  }
  const moved = (carried?.added ?? []).filter((place) => !nearest(predicted, place, reach));
  const seen = (point) => !region || inside(region, point);
  const kept = predicted.filter((point) => !gone.has(String(point)));
  return {
    kept,
    removed: predicted.filter((point) => gone.has(String(point))),
    added: [...moved, ...entry.added].filter(seen),
    outside: [...moved, ...entry.added].filter((point) => !seen(point)),
  };
}

/** The corrections as they hold for this answer, to be changed by a click; null answer: nothing is known to hold. */
export function settled(answer, entry) {
  if (!answer?.points || !entry.carried) return { added: entry.added, removed: entry.removed };
  const { added, outside, removed } = standing(answer, entry);
  return { added: [...added, ...outside], removed, carried: null };
}

/** Half the side of an object, in pixels of the picture; null where nothing says how large one is. */
export function halfObject(answer, { exemplars, like }) {
  if (answer?.object_size) return Math.sqrt(answer.object_size[0] * answer.object_size[1]) / 2;
  const boxes = [exemplars, like?.exemplars ?? [], answer?.found ?? []].find((each) => each.length);
  if (!boxes) return null;
  const mean = (side) => boxes.reduce((sum, box) => sum + box[side + 2] - box[side], 0) / boxes.length;
  return Math.sqrt(mean(0) * mean(1)) / 2;
}

/** The point that is nearest to a place and within reach of it; null: none is. */
export function nearest(points, [x, y], reach) {
  let best = null;
  let least = reach;
  for (const point of points) {
    const apart = Math.hypot(point[0] - x, point[1] - y);
    if (apart <= least) [best, least] = [point, apart];
  }
  return best;
}

/** Whether a place is inside a polygon, by how often a ray to the right meets its edges. */
export function inside(corners, [x, y]) {
  let within = false;
  corners.forEach(([x1, y1], i) => {
    const [x0, y0] = corners.at(i - 1);
    if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) within = !within;
  });
  return within;
}
