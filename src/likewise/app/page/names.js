// Names of one's own: what a few pictures show, in a person's words, and a recogniser that learns it.

import * as api from "./api.js";
import { el } from "./dom.js";
import { complain, say } from "./notices.js";

/** Pictures that each name needs. */
const FEWEST = 2;
/** Names that have a key. */
const KEYS = 9;

const many = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

export class Names {
  constructor(mode) {
    // known: in the order in which they came, which their numbers keep; teaching: the id of the job
    Object.assign(this, { mode, bench: mode.bench, known: [], teaching: null, rows: [], unfolded: false });
    this.about = el("p", { class: "quiet", id: "names-about" });
    this.field = el("input", { type: "text", id: "label-name", maxlength: 80, required: true, autocomplete: "off", list: "label-names", placeholder: "What does it show?", "aria-label": "Name of what the picture shows" });
    this.options = el("datalist", { id: "label-names" });
    this.give = el("button", { id: "give-name", text: "Name it" });
    this.naming = el("form", { class: "row", onsubmit: (event) => this.typed(event) }, this.field, this.options, this.give);
    this.several = el("button", { id: "several", "aria-pressed": "false", onclick: () => this.turn(!this.bench.marking), text: "Choose several", title: "Clicks in the table choose several pictures; so do Ctrl and Shift with a click" });
    this.take = el("button", { id: "take-name", hidden: true, onclick: () => this.put(null), text: "Take its name away" });
    this.list = el("ul", { class: "names", id: "names", "aria-label": "Names" });
    this.file = el("input", { type: "text", id: "teach-name", maxlength: 60, pattern: "[\\w][\\w\\-]*", required: true, value: "names" });
    this.button = el("button", { class: "primary", id: "teach-names", text: "Teach" });
    this.form = el("form", { class: "row", onsubmit: (event) => this.start(event) }, el("label", { for: "teach-name", class: "quiet", text: "Kept as" }), this.file, this.button);
    this.why = el("p", { class: "quiet", id: "teach-why" });
    this.told = el("p", { class: "note", id: "taught", role: "status", hidden: true });
    this.stop = el("button", { id: "teach-cancel", hidden: true, onclick: () => api.cancelJob(this.teaching).catch(complain), text: "Cancel" });
    this.wrong = el("ul", { class: "wrong", "aria-label": "Pictures that were taken for something else" });
    this.use = el("button", { class: "primary", id: "use-names", hidden: true, text: "Use it" });
    this.block = el("details", { class: "block", id: "names-block" }, el("summary", { text: "Names of your own" }), this.about, this.naming,
      el("div", { class: "row" }, this.several, this.take), this.list, this.why, this.form, this.told, this.stop, this.wrong, this.use);
  }

  /** Pictures by name. */
  groups() {
    const groups = new Map(this.known.map((name) => [name, []]));
    for (const [id, { label }] of this.bench.store.entries) {
      if (!label || !this.bench.pictures.has(id)) continue;
      if (!groups.has(label)) groups.set(label, []);
      groups.get(label).push(id);
    }
    for (const [name, ids] of groups) if (!ids.length) groups.delete(name);
    this.known = [...groups.keys()];
    return groups;
  }

  /** The pictures that are named next: those marked in the table, or the one that is looked at. */
  chosen() {
    const marked = [...this.bench.marked].filter((id) => this.bench.pictures.has(id));
    return marked.length ? marked : this.bench.selected ? [this.bench.selected] : [];
  }

  update() {
    const groups = this.groups();
    if (groups.size && !this.unfolded) this.unfolded = this.block.open = true; // once: it may be folded again
    const [chosen, named] = [this.chosen(), [...groups.values()].flat().length];
    this.about.textContent = named ? `${many(named, "picture")} of ${many(groups.size, "name")}. A number gives its name, and goes on to the next picture.`
      : "Say what a few pictures show, and a recogniser learns it. Five to twenty pictures of each name are right.";
    this.give.textContent = chosen.length > 1 ? `Name ${chosen.length}` : "Name it";
    this.give.disabled = !chosen.length;
    this.several.setAttribute("aria-pressed", String(this.bench.marking));
    this.take.hidden = !chosen.some((id) => this.bench.entry(id).label);
    this.take.textContent = chosen.length > 1 ? "Take their names away" : "Take its name away";
    this.options.replaceChildren(...this.known.map((name) => el("option", { value: name })));
    while (this.rows.length > groups.size) this.rows.pop().row.remove();
    while (this.rows.length < groups.size) this.rows.push(this.row(this.rows.length));
    [...groups].forEach(([name, ids], i) => this.fill(name, ids, this.rows[i]));
    const few = [...groups].filter(([, ids]) => ids.length < FEWEST).map(([name]) => name);
    this.why.textContent = groups.size < 2 ? "It takes two names at least." : few.length ? `${few[0]} has one picture; every name needs two at least.` : "";
    this.why.hidden = !this.why.textContent || !named;
    this.button.disabled = groups.size < 2 || few.length > 0 || Boolean(this.teaching);
  }

  row(index) {
    const badge = el("button", { class: "badge", onclick: () => this.choose(index), text: index < KEYS ? String(index + 1) : "+" });
    const name = el("span");
    const count = el("span", { class: "quiet" });
    const away = el("button", { class: "away", text: "×", onclick: () => this.drop(index) });
    const row = el("li", {}, badge, name, count, away);
    this.list.append(row);
    return { row, badge, name, count, away };
  }

  fill(label, ids, { row, badge, name, count, away }) {
    row.classList.toggle("chosen", this.bench.entry().label === label);
    name.textContent = label;
    count.textContent = String(ids.length);
    count.title = many(ids.length, "picture");
    badge.setAttribute("aria-label", `Name it ${label}`);
    badge.title = `Name it ${label}`;
    away.setAttribute("aria-label", `Take the name ${label} away from every picture`);
    away.title = "Take it away from every picture";
  }

  /** Clicks in the table choose several pictures, or one again. */
  turn(on) {
    this.bench.marking = on;
    this.bench.mark([]);
  }

  /** Give the name of that number. */
  choose(index) {
    if (this.known[index]) this.put(this.known[index]);
  }

  typed(event) {
    event.preventDefault();
    const name = this.field.value.replace(/[\p{C}\p{Z}]+/gu, " ").trim();
    if (!name) return;
    this.put(this.known.find((each) => each.toLowerCase() === name.toLowerCase()) ?? name);
    this.field.select();
  }

  /** One undo step for all that are chosen; one by one it goes on to the next that has no name. */
  put(label) {
    const chosen = this.chosen();
    if (!chosen.length) return;
    const alone = chosen.length === 1 && !this.bench.marked.size;
    this.bench.store.changeMany(chosen.map((id) => [id, { label }]));
    this.bench.mark([]);
    if (alone && label) this.bench.onwards((id) => !this.bench.entry(id).label && !this.bench.picture(id).error);
  }

  drop(index) {
    this.bench.store.changeMany(this.groups().get(this.known[index]).map((id) => [id, { label: null }]));
  }

  async start(event) {
    event.preventDefault();
    await this.bench.settled();
    await this.bench.run(async () => {
      this.teaching = (await api.teach({ name: this.file.value })).id;
      this.clear("Learning …");
    });
    this.update();
  }

  clear(text) {
    this.tell(text);
    this.wrong.replaceChildren();
    this.use.hidden = true;
    this.stop.hidden = !this.teaching;
  }

  tell(text) {
    this.told.hidden = !text;
    this.told.textContent = text;
  }

  /** How far it is; also of what was begun before the page was opened. */
  heard({ id, words }) {
    this.teaching = id;
    this.stop.hidden = false;
    this.tell(words);
  }

  /** It was stopped, or is done. */
  ended({ state, error }) {
    this.teaching = null;
    this.stop.hidden = true;
    if (state !== "done") this.tell(error ?? "");
    this.update();
  }

  /** What came of it. */
  async learnt({ error, taught, model, refuses, pictures }) {
    if (error) return this.clear(error);
    const none = refuses ? "It says none of these where a picture is unlike all of them." : "With twenty pictures or more it would also learn when to say none of these.";
    this.clear(`${model}: ${taught}. ${none}`);
    this.wrong.replaceChildren(...pictures.filter(({ truth, found }) => truth !== found).map((each) => this.missed(each)));
    this.bench.models = (await api.listModels()).models;
    this.use.hidden = false;
    this.use.onclick = () => {
      this.mode.useModel(model);
      this.clear("");
      say(`${model} recognises from now on; “Recognise every picture” asks it about all.`);
    };
    this.mode.panel.update();
  }

  missed({ name, truth, found }) {
    const picture = [...this.bench.pictures.values()].find((each) => each.name === name);
    return el("li", {}, el("button", { class: "link", onclick: () => picture && this.bench.select(picture.id), text: name }), ` ${truth}, taken for ${found}`);
  }
}
