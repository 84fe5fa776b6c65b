// What Count mode shows on the picture, and how the picture looks.

import { el } from "./dom.js";
import { PLAIN, isPlain } from "./look.js";

const COLOURS = { auto: "As fits the picture", warm: "Dark red to yellow", green: "Blue to yellow", blue: "Blue to white", plum: "Yellow to violet" };
const SLIDERS = { brightness: ["Brightness", -60, 60, 1], contrast: ["Contrast", -60, 100, 1], gamma: ["Gamma", 0.3, 3, 0.05] };

export class ShowBlock {
  constructor(mode) {
    Object.assign(this, { mode, stage: mode.bench.stage });
  }

  build() {
    const { mode } = this;
    const check = (key, label) => el("label", { class: "check" },
      el("input", { type: "checkbox", checked: mode.show[key], id: `show-${key}`, onchange: (e) => mode.panel.toggle(key, e.target.checked) }), label);
    const choice = el("select", { id: "heat-colours", onchange: (e) => this.colour(e.target.value) },
      ...Object.entries(COLOURS).map(([name, text]) => el("option", { value: name, text, selected: name === mode.colours })));
    return el("div", { class: "block" }, el("h3", { text: "Show" }),
      el("div", { class: "row spread" }, check("heat", "Heat"), check("points", "Points"), check("boxes", "Boxes")),
      el("label", { class: "field" }, "Colours of the heat", choice),
      el("label", { class: "field" }, "Strength of the heat",
        el("input", { type: "range", min: 10, max: 100, value: 100 * this.stage.layerOpacity, oninput: (e) => this.strength(e.target.value) })),
      this.buildLook());
  }

  buildLook() {
    this.sliders = {};
    const rows = Object.entries(SLIDERS).map(([key, [label, min, max, step]]) => {
      this.sliders[key] = el("input", { type: "range", id: `look-${key}`, min, max, step, value: this.stage.look[key], oninput: () => this.look() });
      return el("label", { class: "field" }, label, this.sliders[key]);
    });
    this.plain = el("button", { text: "As it is", onclick: () => this.reset() });
    this.note = el("p", { class: "quiet", id: "look-note", text: "For your eyes only: what is counted is the picture as it is." });
    return el("details", { open: !isPlain(this.stage.look) }, el("summary", { text: "Brightness and contrast" }), el("div", { class: "block" }, ...rows, this.note, this.plain));
  }

  look() {
    this.stage.setLook(Object.fromEntries(Object.entries(this.sliders).map(([key, slider]) => [key, Number(slider.value)])));
  }

  reset() {
    for (const [key, slider] of Object.entries(this.sliders)) slider.value = PLAIN[key];
    this.stage.setLook(PLAIN);
  }

  colour(name) {
    this.mode.colours = name;
    localStorage.setItem("likewise-heat", name);
    this.mode.layHeat();
  }

  strength(percent) {
    this.stage.layerOpacity = percent / 100;
    this.stage.redraw();
  }
}
