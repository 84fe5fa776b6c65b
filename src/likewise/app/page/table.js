// The table of pictures: thumbnails, values, sorting, choosing. However many there are, only rows in view are in the page.

import * as api from "./api.js";
import { $, el, shown } from "./dom.js";

/** Rows above and below those in view. */
const SPARE = 12;

export class Table {
  /** ids: in the order shown; rows: those in the page; values: what a mode says of each picture, until that changes. */
  constructor(bench) {
    Object.assign(this, { bench, ids: [], rows: new Map(), values: new Map(), sort: { by: null, down: false }, height: 51, drawn: false });
    this.body = $("#table tbody");
    this.box = $(".table-box");
    this.onremove = () => {};
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    this.body.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.box);
    for (const button of document.querySelectorAll("#table [data-sort]"))
      button.addEventListener("click", () => this.sortBy(button.dataset.sort));
  }

  /** Ids in the order shown. */
  get order() {
    return this.ids;
  }

  add(pictures) {
    for (const { id } of pictures) this.ids.push(id);
    this.update(pictures.map(({ id }) => id));
    this.draw();
  }

  remove(id) {
    this.ids = this.ids.filter((each) => each !== id);
    this.values.delete(id);
    this.rows.get(id)?.row.remove();
    this.rows.delete(id);
    this.draw();
  }

  /** Put the rows that are in view into the page, and take the others out. */
  draw() {
    const most = Math.max(0, this.ids.length - Math.ceil(this.box.clientHeight / this.height) - SPARE);
    const first = Math.min(most, Math.max(0, Math.floor(this.box.scrollTop / this.height) - SPARE));
    const last = Math.min(this.ids.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / this.height) + SPARE);
    const seen = this.ids.slice(first, Math.max(first, last));
    const wanted = new Set(seen);
    for (const [id, { row }] of this.rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    seen.forEach((id, at) => {
      if (!this.rows.has(id)) this.rows.set(id, this.rowOf(id));
      const { row } = this.rows.get(id);
      row.setAttribute("aria-rowindex", first + at + 2);
      if (this.body.children[at] !== row) this.body.insertBefore(row, this.body.children[at] ?? null);
    });
    const stop = wanted.has(this.bench.selected) ? this.bench.selected : seen[0];
    for (const [id, { pick }] of this.rows) pick.tabIndex = id === stop ? 0 : -1;
    $("#table").style.marginTop = `${first * this.height}px`;
    $("#table-whole").style.height = `${this.ids.length * this.height + $("#table thead").offsetHeight}px`;
    $("#table").setAttribute("aria-rowcount", this.ids.length + 1);
    if (!this.drawn && this.body.firstChild?.offsetHeight) {
      Object.assign(this, { drawn: true, height: this.body.firstChild.offsetHeight });
      this.draw();
    }
  }

  /** One stop of the tab key for all pictures: within them the arrow keys go on. */
  key(event) {
    const last = this.ids.length;
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -8, PageDown: 8, Home: -last, End: last }[event.key];
    const chosen = this.bench.selected;
    const away = event.key === "Delete" && this.bench.picture(chosen)?.uploaded;
    if (!steps && !away) return;
    event.preventDefault();
    event.stopPropagation();
    if (away) this.onremove(chosen);
    else {
      const from = chosen;
      this.bench.selectBy(this.ids, steps);
      if (this.bench.mode.several && event.shiftKey) this.bench.mark([...this.bench.marked, ...this.between(from, this.bench.selected)]);
    }
    this.rows.get(this.bench.selected)?.pick.focus();
  }

  rowOf(id) {
    const picture = this.bench.picture(id);
    const value = el("td", { class: "number value" });
    const hand = el("td", { class: "number hand" });
    const pick = el("button", { class: "pick", onclick: (event) => this.pick(id, event) }, this.small(picture), el("span", { text: picture.name, title: picture.name }));
    const remove = picture.uploaded && el("button", { class: "icon away", tabindex: -1, "aria-label": `Remove ${picture.name}`, title: "Remove from here; what was done with it is kept", text: "×", onclick: () => this.onremove(id) });
    const row = el("tr", { "data-id": id }, el("td", {}, el("div", { class: "named" }, pick, remove)), value, hand);
    const cells = { row, value, hand, pick };
    this.fill(id, cells);
    this.mark(id, cells);
    return cells;
  }

  /** Look at a picture; with Shift, Ctrl or where several are to be chosen, mark it beside others. */
  pick(id, event) {
    const { bench } = this;
    const one = bench.mode.several && (event.ctrlKey || event.metaKey || bench.marking);
    if (bench.mode.several && event.shiftKey) bench.mark([...bench.marked, ...this.between(bench.selected ?? id, id)]);
    else if (one) bench.mark(bench.marked.has(id) ? [...bench.marked].filter((each) => each !== id) : [...bench.marked, id]);
    else if (bench.marked.size) bench.mark([]);
    bench.select(id);
  }

  /** The pictures from one to another, in the order shown. */
  between(one, other) {
    const [first, last] = [this.ids.indexOf(one), this.ids.indexOf(other)].sort((a, b) => a - b);
    return this.ids.slice(first, last + 1);
  }

  small(picture) {
    if (picture.error) return el("span", { class: "blank" });
    const missing = async () => {
      const problem = await api.whyNot(api.thumbnailUrl(picture.id)).catch(() => null);
      if (problem) this.bench.spoil(picture.id, problem);
    };
    return el("img", { src: api.thumbnailUrl(picture.id, this.bench.entry(picture.id).seen), alt: "", width: 44, height: 36, onerror: missing });
  }

  /** A picture is not what it was taken for. */
  redraw(id) {
    this.rows.get(id)?.row.remove();
    this.rows.delete(id);
    this.update([id]);
    this.draw();
  }

  /** Work out anew the values of some pictures, or of all, and write those in view. */
  update(ids = this.ids) {
    for (const id of ids) {
      if (!this.bench.pictures.has(id)) continue;
      const error = this.bench.picture(id).error;
      const problem = error ?? this.bench.mode.problems.get(id);
      this.values.set(id, { ...this.bench.mode.value(id), ...(problem && { problem, unreadable: Boolean(error) }) });
      const cells = this.rows.get(id);
      if (cells) this.fill(id, cells);
    }
    $("#table").classList.toggle("of-kinds", [...this.values.values()].some(({ kinds }) => kinds?.length));
  }

  fill(id, { value, hand, row }) {
    this.showAs(row.querySelector("img"), api.thumbnailUrl(id, this.bench.entry(id).seen));
    const { text, hand: corrected, kinds = [], problem, unreadable } = this.values.get(id);
    if (problem) value.replaceChildren(el("span", { class: "bad", title: problem, text: unreadable ? "not readable" : "failed" }));
    else value.replaceChildren(el("span", { class: "told", text }), ...(kinds.length ? [this.ofKinds(kinds)] : []));
    hand.textContent = unreadable ? "" : corrected;
  }

  /** The count of each kind behind a dot of its colour. */
  ofKinds(kinds) {
    const named = kinds.map(({ name, count }) => `${name} ${count === null ? "–" : shown(count)}`).join(", ");
    return el("span", { class: "each", role: "img", title: named, "aria-label": named }, ...kinds.filter(({ count }) => count !== null).map(({ colour, count }) => {
      const dot = el("i");
      dot.style.background = colour;
      return el("span", { "aria-hidden": "true" }, dot, String(Math.round(count)));
    }));
  }

  /** The small picture, as what of its file is seen. */
  showAs(image, address) {
    if (image && image.getAttribute("src") !== address) image.src = address;
  }

  /** Show which rows are chosen and marked. */
  markAll() {
    for (const [each, cells] of this.rows) this.mark(each, cells);
  }

  choose(id) {
    this.markAll();
    const at = this.ids.indexOf(id);
    const head = $("#table thead").offsetHeight;
    const [top, room] = [at * this.height, this.box.clientHeight - head];
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.height > this.box.scrollTop + room) this.box.scrollTop = top + this.height - room;
    this.draw();
  }

  mark(id, { row, pick }) {
    const own = id === this.bench.selected;
    row.classList.toggle("selected", own);
    const several = this.bench.mode?.several && (this.bench.marking || this.bench.marked.size > 0);
    const marked = this.bench.marked.has(id);
    row.classList.toggle("marked", Boolean(several && marked));
    if (several) pick.setAttribute("aria-pressed", String(marked));
    else pick.removeAttribute("aria-pressed");
    if (own) pick.setAttribute("aria-current", "true");
    else pick.removeAttribute("aria-current");
  }

  heads({ value, hand, words = false }) {
    $("#table").classList.toggle("words", words);
    $("#value-head").textContent = value;
    $("#hand-head").textContent = hand;
  }

  sortBy(by) {
    const down = this.sort.by === by ? !this.sort.down : by !== "name";
    this.sort = { by, down };
    const key = (id) => (by === "name" ? this.bench.picture(id).name : this.values.get(id)[{ value: "sort", hand: "handSort" }[by] ?? by] ?? 0);
    const compare = new Intl.Collator(undefined, { numeric: true }).compare;
    const sign = down ? -1 : 1;
    this.ids.sort((a, b) => {
      const [one, other] = [key(a), key(b)];
      return sign * (typeof one === "number" ? one - other : compare(one, other));
    });
    this.draw();
    for (const head of document.querySelectorAll("#table th")) {
      const own = head.querySelector("button").dataset.sort === by;
      head.setAttribute("aria-sort", own ? (down ? "descending" : "ascending") : "none");
    }
  }
}
