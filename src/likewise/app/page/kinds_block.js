// The list of kinds in the panel: a key, a name and a count of each. There is none until a person asks for another kind.

import { el } from "./dom.js";
import { byHand, standing } from "./corrections.js";
import { MOST_KINDS, newKind } from "./kinds.js";
import { say } from "./notices.js";

export class KindsBlock {
  constructor(mode) {
    Object.assign(this, { mode, bench: mode.bench, rows: [] });
  }

  /** The list; `more` is the button that adds to it. */
  build() {
    this.rows = [];
    this.list = el("ul", { class: "kinds", id: "kinds", "aria-label": "Kinds", hidden: true });
    this.more = el("button", { id: "another-kind", title: "Count several kinds of thing in the same picture, each by itself", onclick: () => this.add(), text: "Another kind" });
    return this.list;
  }

  update() {
    const parts = this.mode.parts().filter(({ index }) => index !== null);
    this.list.hidden = !parts.length;
    this.more.disabled = !this.bench.shows;
    this.more.hidden = parts.length >= MOST_KINDS;
    while (this.rows.length > parts.length) this.rows.pop().row.remove();
    while (this.rows.length < parts.length) this.rows.push(this.row(this.rows.length));
    parts.forEach((part, i) => this.fill(part, this.rows[i]));
  }

  row(index) {
    const badge = el("button", { class: "badge", onclick: () => this.draw(index), text: String(index + 1) });
    const name = el("input", { type: "text", maxlength: 80, autocomplete: "off", "aria-label": `Name of kind ${index + 1}`, onfocus: () => this.mode.choose(index),
      onchange: (event) => this.rename(index, event.target), onkeydown: (event) => event.key === "Enter" && event.target.blur() });
    const count = el("output", { "aria-live": "polite" });
    const away = el("button", { class: "away", text: "×", title: "Remove", onclick: () => this.remove(index) });
    const told = el("p");
    const row = el("li", {}, badge, name, count, away, told);
    this.list.append(row);
    return { row, badge, name, count, away, told };
  }

  fill(part, { row, badge, name, count, away, told }) {
    const chosen = part.index === this.mode.part().index;
    const number = this.mode.counts.of(part);
    row.classList.toggle("chosen", chosen);
    row.style.setProperty("--kind", part.colour);
    badge.setAttribute("aria-pressed", String(chosen));
    badge.setAttribute("aria-label", `Draw and add ${part.name}`);
    badge.title = `Draw and add ${part.name} (${part.index + 1})`;
    if (document.activeElement !== name) name.value = part.name;
    count.textContent = number === null || !this.bench.shows ? "–" : String(Math.round(number));
    away.setAttribute("aria-label", `Remove the kind ${part.name}`);
    told.textContent = this.describe(part, chosen);
    told.hidden = !told.textContent;
  }

  /** What is known of a kind beside its number. */
  describe({ answer, entry }, chosen) {
    if (!answer && !entry.exemplars.length && !entry.like && !entry.added.length) return chosen ? "Drag a box round one of them." : "No example yet.";
    if (byHand(entry)) {
      const { added, removed } = standing(answer, entry);
      return [answer && `${answer.count.toFixed(1)} by ${answer.model}`, added.length && `+${added.length}`, removed.length && `−${removed.length}`, "by hand"].filter(Boolean).join(" ");
    }
    if (answer?.untrusted) return "untrusted";
    return typeof answer?.low === "number" ? `likely ${Math.round(answer.low)} to ${Math.round(answer.high)}` : "";
  }

  /** The first time, what was counted so far becomes the first kind. */
  add() {
    const { exemplars, like, added, removed, carried } = this.bench.entry();
    const { kinds } = this.mode.marks();
    const before = kinds.length ? kinds : [{ ...newKind("Kind 1"), exemplars, like, added, removed, carried }];
    const free = Array.from({ length: MOST_KINDS + 1 }, (_, i) => `Kind ${i + 1}`).filter((name) => !taken(before, name));
    this.bench.changePrompt({ kinds: [...before, newKind(free[0])], text: null, exemplars: [], like: null, added: [], removed: [], carried: null });
    this.mode.kind = before.length;
    this.mode.update();
    this.bench.useTool("box");
    this.rows.at(-1)?.name.select();
  }

  draw(index) {
    this.mode.choose(index);
    if (this.bench.tool !== this.mode.tools.correct) this.bench.useTool("box");
  }

  /** In every picture that has a kind of that name: it is the same kind. */
  rename(index, field) {
    const { name: old } = this.mode.marks().kinds[index];
    const name = field.value.replace(/[=\p{C}\p{Z}]+/gu, " ").trim();
    const others = [...this.bench.store.entries].filter(([, { kinds }]) => kinds.some((kind) => kind.name === old));
    const clash = [this.mode.marks(), ...others.map(([, entry]) => entry)].some(({ kinds }) => taken(kinds.filter((kind) => kind.name !== old), name));
    if (!name || clash) {
      field.value = old;
      say(name ? `There is a kind ${name} already; give this one another name.` : "A kind needs a name.", { bad: true });
      return;
    }
    const named = (kinds) => kinds.map((kind) => (kind.name === old ? { ...kind, name } : kind));
    const own = [this.bench.selected, { kinds: named(this.mode.marks().kinds) }];
    this.bench.store.changeMany([...others.filter(([id]) => id !== own[0]).map(([id, { kinds }]) => [id, { kinds: named(kinds) }]), own]);
  }

  /** One kind that is left is counted as before there were several. */
  remove(index) {
    const left = this.mode.marks().kinds.filter((_, i) => i !== index);
    for (const tool of [this.mode.tools.box, this.mode.tools.not]) tool.chosen = null;
    this.mode.kind = 0;
    const { exemplars, like, added, removed, carried } = left[0];
    this.bench.changePrompt(left.length > 1 ? { kinds: left, text: null } : { kinds: [], exemplars, like, added, removed, carried });
  }
}

/** Whether a kind has a name, whatever its case. */
const taken = (kinds, name) => kinds.some((kind) => kind.name.toLowerCase() === name.toLowerCase());
