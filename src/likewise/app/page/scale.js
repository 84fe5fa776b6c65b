// How large things are: a bar of a round length beside the zoom, and how many there are in an area.

import { el } from "./dom.js";

/** Widest bar, in pixels of the screen. */
const WIDEST = 120;
/** Units of length, in micrometres. */
const LENGTHS = [["nm", 1e-3], ["µm", 1], ["mm", 1e3], ["m", 1e6], ["km", 1e9]];
/** Units of area, in square micrometres. */
const AREAS = [["µm²", 1], ["mm²", 1e6], ["cm²", 1e8], ["m²", 1e12], ["ha", 1e16], ["km²", 1e18]];
/** Least number in an area that is told by it; fewer are told by a larger one. */
const FEW = 0.1;

/** Width and height of a picture's pixel in micrometres, as its file tells or as it was typed; null: not known. */
export function pixelOf(bench, id = bench.selected) {
  const typed = bench.entry(id).micrometres;
  return bench.picture(id)?.about?.micrometres ?? (typed ? [typed, typed] : null);
}

/** The longest round length, 1, 2 or 5 of some power of ten, that is at most this long. */
export function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((digit) => digit * power).find((length) => length <= most * (1 + 1e-9)) ?? power;
}

/** A length in micrometres, as people say it. */
export function spokenLength(micrometres) {
  const [unit, size] = LENGTHS.findLast(([, each]) => micrometres >= each * (1 - 1e-9)) ?? LENGTHS[0];
  return `${Number((micrometres / size).toPrecision(3))} ${unit}`;
}

/** Pixels that a polygon covers. */
export function areaOf(corners) {
  const twice = corners.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = corners[(i + 1) % corners.length];
    return sum + x * nextY - nextX * y;
  }, 0);
  return Math.abs(twice) / 2;
}

/** The unit of area that tells the density of so many things in so many pixels of that size without many zeros. */
export function areaUnit(number, pixels, [width, height]) {
  const density = Math.max(number, 1) / (pixels * width * height);
  return AREAS.find(([, size]) => density * size >= FEW) ?? AREAS.at(-1);
}

/** So many things in so many pixels of that size, by a unit of area. */
export function spokenDensity(number, pixels, [width, height], [unit, size]) {
  const density = (number * size) / (pixels * width * height);
  return `${density >= 1000 ? Math.round(density) : Number(density.toPrecision(3))} per ${unit}`;
}

/** The bar beside the zoom. */
export class ScaleBar {
  constructor(bench, box) {
    Object.assign(this, { bench, box, line: el("i"), text: el("span") });
    box.append(this.line, this.text);
  }

  draw(view) {
    const pixel = this.bench.stage.picture && pixelOf(this.bench);
    this.box.hidden = !pixel;
    if (!pixel) return;
    const length = roundLength((WIDEST / view.scale) * pixel[0]);
    this.line.style.width = `${(length / pixel[0]) * view.scale}px`;
    this.text.textContent = spokenLength(length);
    this.box.setAttribute("aria-label", `The bar is ${spokenLength(length)} long`);
  }
}

/** Of Count mode's panel: the density, and a block that takes the size of a pixel where the file does not tell it. */
export class Scale {
  constructor(mode) {
    Object.assign(this, { mode, bench: mode.bench });
    this.density = el("p", { id: "density", class: "parts" });
    this.told = el("p", { class: "quiet", id: "pixel-told" });
    this.pixel = el("input", { type: "number", id: "pixel-size", min: 1e-9, max: 1e9, step: "any", placeholder: "such as 0.5" });
    this.form = el("form", { class: "block", onsubmit: (event) => this.take(event) },
      el("label", { class: "field" }, "Side of a pixel, in µm", this.pixel),
      el("div", { class: "row" }, el("button", { id: "take-pixel", text: "Set" }),
        el("button", { type: "button", id: "same-pixel", onclick: () => this.spread(), text: "Set for all pictures" })));
    this.block = el("details", { class: "block", id: "scale" }, el("summary", { text: "Size of a pixel" }), this.told, this.form);
  }

  update() {
    const { bench } = this;
    const pixel = pixelOf(bench);
    const fromFile = Boolean(bench.picture()?.about?.micrometres);
    this.block.hidden = !bench.shows;
    this.density.textContent = pixel ? this.spoken(pixel) : "";
    this.density.hidden = !this.density.textContent;
    this.told.textContent = fromFile ? `The picture's file says: a pixel is ${pixel.map(spokenLength).join(" × ")}.`
      : "The picture's file does not say how large a pixel is. Once you do, there is a scale bar, and densities are told.";
    this.form.hidden = fromFile;
    if (document.activeElement !== this.pixel) this.pixel.value = bench.entry().micrometres ?? "";
  }

  /** Things in an area: of the region, or of all of the picture. */
  spoken(pixel) {
    const count = this.bench.shows ? this.mode.count() : null;
    if (count === null) return "";
    const { width, height } = this.bench.picture();
    const { region } = this.bench.entry();
    const pixels = region ? areaOf(region) : width * height;
    return `${spokenDensity(count, pixels, pixel, areaUnit(count, pixels, pixel))}${region ? " in the region" : ""}`;
  }

  value() {
    return this.pixel.value === "" ? null : Number(this.pixel.value);
  }

  take(event) {
    event.preventDefault();
    this.bench.change({ micrometres: this.value() });
  }

  /** Files that tell it themselves keep theirs. */
  spread() {
    if (!this.form.reportValidity()) return;
    const here = [...this.bench.pictures.values()].filter((picture) => !picture.error);
    this.bench.store.changeMany(here.map(({ id }) => [id, { micrometres: this.value() }]));
  }
}
