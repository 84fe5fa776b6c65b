// The table of pictures: thumbnails, values, sorting, choosing.

import * as api from "./api.js";
import { $, el } from "./dom.js";

export class Table {
  constructor(bench) {
    Object.assign(this, { bench, rows: new Map(), sort: { by: null, down: false } });
    this.body = $("#table tbody");
    for (const button of document.querySelectorAll("#table [data-sort]"))
      button.addEventListener("click", () => this.sortBy(button.dataset.sort));
  }

  /** Ids in the order shown. */
  get order() {
    return [...this.body.children].map((row) => row.dataset.id);
  }

  add(picture) {
    const value = el("td", { class: "number value" });
    const hand = el("td", { class: "number hand" });
    const small = picture.error ? el("span", { class: "blank" })
      : el("img", { src: api.thumbnailUrl(picture.id), alt: "", loading: "lazy", width: 44, height: 36 });
    const name = el("span", { text: picture.name, title: picture.name });
    const pick = el("button", { class: "pick", onclick: () => this.bench.select(picture.id) }, small, name);
    const row = el("tr", { "data-id": picture.id }, el("td", {}, pick), value, hand);
    if (picture.error) this.complain({ value }, picture.error);
    this.rows.set(picture.id, { row, value, hand, pick });
    this.body.append(row);
  }

  complain({ value }, error) {
    value.replaceChildren(el("span", { class: "bad", title: error, text: "not readable" }));
  }

  /** Write anew the values of some pictures, or of all. */
  update(ids = [...this.rows.keys()]) {
    for (const id of ids) {
      const cells = this.rows.get(id);
      if (!cells || this.bench.picture(id)?.error) continue;
      const { text, hand } = this.bench.mode.value(id);
      cells.value.textContent = text;
      cells.hand.textContent = hand;
    }
  }

  choose(id) {
    for (const [each, { row, pick }] of this.rows) {
      row.classList.toggle("selected", each === id);
      if (each === id) pick.setAttribute("aria-current", "true");
      else pick.removeAttribute("aria-current");
    }
    this.rows.get(id)?.row.scrollIntoView({ block: "nearest" });
  }

  heads({ value, hand, words = false }) {
    $("#table").classList.toggle("words", words);
    $("#value-head").textContent = value;
    $("#hand-head").textContent = hand;
  }

  sortBy(by) {
    const down = this.sort.by === by ? !this.sort.down : by !== "name";
    this.sort = { by, down };
    const key = (id) => {
      if (by === "name") return this.bench.picture(id).name;
      const { sort, handSort } = this.bench.mode.value(id);
      return by === "value" ? sort : handSort;
    };
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    const ids = [...this.rows.keys()].sort((a, b) => compare(key(a), key(b)) * (down ? -1 : 1));
    this.body.append(...ids.map((id) => this.rows.get(id).row));
    for (const head of document.querySelectorAll("#table th")) {
      const own = head.querySelector("button").dataset.sort === by;
      head.setAttribute("aria-sort", own ? (down ? "descending" : "ascending") : "none");
    }
  }
}
