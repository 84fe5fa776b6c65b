// Numbers of a picture from its parts, one for each kind: points, counts and doubt, for the panel and the table.

import { byHand, standing } from "./corrections.js";
import { shown } from "./dom.js";
import { isShown } from "./kinds.js";

const merged = new WeakMap();

export class Counts {
  /** Points of all parts: kept, removed, added and outside of the region; of a brief answer only what a person said. */
  points(parts) {
    if (!merged.has(parts)) {
      const each = parts.map(({ answer, entry }) => (answer?.brief ? { kept: [], removed: entry.removed, added: entry.added, outside: [] } : standing(answer, entry)));
      const all = (which) => each.flatMap((found) => found[which]);
      merged.set(parts, each.length === 1 ? each[0] : { kept: all("kept"), removed: all("removed"), added: all("added"), outside: all("outside") });
    }
    return merged.get(parts);
  }

  /** The model's own, or, once a person corrected or confirmed it, the number of points he sees; null: neither, or not yet. */
  of(part) {
    const { answer, entry } = part;
    if (!byHand(entry)) return answer?.count ?? null;
    if (!answer && (isShown(entry) || entry.text)) return null; // what was corrected is no count without what it corrects
    const { kept, added, removed } = this.points([part]);
    return answer?.brief ? Math.max(0, (answer.dots ?? Math.round(answer.count)) - removed.length) + added.length : kept.length + added.length;
  }

  total(parts) {
    const known = parts.map((part) => this.of(part)).filter((count) => count !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) : null;
  }

  /** What the table of pictures says of one. */
  value(parts, { confirmed }) {
    const count = this.total(parts);
    const { added, removed } = this.points(parts);
    const hand = [confirmed && "✓", added.length && `+${added.length}`, removed.length && `−${removed.length}`].filter(Boolean).join(" ");
    const handSort = added.length + removed.length + (confirmed ? 0.5 : 0);
    const kinds = parts.filter(({ index }) => index !== null).map((part) => ({ name: part.name, colour: part.colour, count: this.of(part) }));
    const doubt = confirmed ? -1 : Math.max(...parts.map(({ answer }) => this.doubt(answer)));
    return { text: count === null ? "" : shown(count), sort: count ?? -1, hand, handSort, doubt, kinds };
  }

  /** How far off the model's count may be, as a share of it; what cannot be trusted comes before all else. */
  doubt(answer) {
    if (!answer) return 0;
    if (answer.untrusted) return 100;
    const width = typeof answer.low === "number" ? (answer.high - answer.low) / Math.max(1, answer.count) : 0;
    return width + (answer.dots === undefined ? 0 : Math.abs(answer.count - answer.dots) / Math.max(1, answer.count));
  }

  /** A line about all pictures, and each kind in them. */
  sums(values) {
    const known = values.filter(({ sort }) => sort >= 0);
    if (known.length < 2) return "";
    const sum = known.reduce((total, { sort }) => total + sort, 0);
    const kinds = new Map();
    for (const { name, count } of known.flatMap((value) => value.kinds)) kinds.set(name, (kinds.get(name) ?? 0) + (count ?? 0));
    const each = [...kinds].map(([name, count]) => `${name} ${shown(count)}`);
    return [`${shown(sum)} in ${known.length} pictures, ${shown(sum / known.length)} on average`, ...each].join("; ");
  }
}
