// The total of all pictures, with an interval, from some that chance has drawn and a person has counted.

import * as api from "./api.js";
import { el } from "./dom.js";
import { complain } from "./notices.js";

export class Estimate {
  constructor(mode) {
    Object.assign(this, { mode, bench: mode.bench, drawn: [], right: new Set() });
    this.number = el("input", { type: "number", id: "sample-number", min: 3, max: 10000, value: 15, "aria-label": "How many pictures to count by hand" });
    this.form = el("form", { class: "row", onsubmit: (event) => this.draw(event) }, this.number, el("button", { id: "draw-sample", text: "Draw pictures" }));
    this.list = el("ul", { class: "drawn", "aria-label": "Pictures to count by hand" });
    this.button = el("button", { class: "wide", id: "estimate", onclick: () => this.work(), text: "Estimate the total" });
    this.told = el("div", { class: "note", id: "estimated", role: "status", hidden: true });
    this.block = el("details", { class: "block" }, el("summary", { text: "Estimate the total" }),
      el("p", { class: "quiet", text: "Chance draws some pictures. Correct each until it is right and tick it; then the total of all has an interval that holds whatever the model's mistakes are." }),
      this.form, this.list, this.button, this.told);
    this.block.addEventListener("toggle", () => this.block.open && this.look());
  }

  async look() {
    try {
      this.show(await api.drawnSample());
    } catch (error) {
      complain(error);
    }
  }

  async draw(event) {
    event.preventDefault();
    try {
      await this.bench.settled();
      this.right.clear();
      this.show(await api.drawSample({ number: Number(this.number.value) }));
    } catch (error) {
      complain(error);
    }
  }

  show({ pictures }) {
    this.drawn = pictures;
    this.list.replaceChildren(...pictures.map((id) => {
      const name = this.bench.picture(id)?.name ?? id;
      const tick = el("input", { type: "checkbox", checked: this.right.has(id), "aria-label": `${name} is right`, onchange: (event) => (event.target.checked ? this.right.add(id) : this.right.delete(id)) });
      return el("li", {}, tick, el("button", { class: "link", onclick: () => this.bench.select(id), text: name }));
    }));
    this.button.disabled = !pictures.length;
  }

  async work() {
    try {
      await this.bench.settled();
      const { lines, methods } = await api.estimate({ right: [...this.right] });
      this.told.replaceChildren(...lines.map((text) => el("p", { text })), el("h3", { text: "For a paper" }), el("p", { text: methods }));
      this.told.hidden = false;
    } catch (error) {
      complain(error);
    }
  }
}
