// Several regions in a picture, drawn or as a grid such as the wells of a plate, with the number of points in each.

import { el } from "./dom.js";
import { inside } from "./corrections.js";
import { paintCells } from "./paint.js";
import { areaOf, areaUnit, pixelOf, spokenDensity } from "./scale.js";

/** Rows are letters, as on a plate; after Z they are numbers. */
const named = (row, column, rows) => (rows > 26 ? `${row + 1}.${column + 1}` : `${String.fromCharCode(65 + row)}${column + 1}`);
const round = (value) => Math.round(value * 100) / 100;

/** The cells of a grid over a box, row by row. */
export function grid([x0, y0, x1, y1], rows, columns) {
  const at = (start, end, part, parts) => round(start + ((end - start) * part) / parts);
  return Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const [left, right] = [at(x0, x1, column, columns), at(x0, x1, column + 1, columns)];
    const [top, bottom] = [at(y0, y1, row, rows), at(y0, y1, row + 1, rows)];
    return { name: named(row, column, rows), corners: [[left, top], [right, top], [right, bottom], [left, bottom]] };
  });
}

export class Regions {
  constructor(mode) {
    Object.assign(this, { mode, bench: mode.bench });
  }

  build(actions) {
    const number = (id, label, value) => {
      this[id] = el("input", { type: "number", id: `grid-${id}`, min: 1, max: 48, step: 1, value, required: true });
      return el("label", {}, label, this[id]);
    };
    const form = el("form", { class: "numbers", onsubmit: (event) => this.lay(event) },
      number("rows", "rows", 8), number("columns", "columns", 12), el("button", { id: "lay-grid", class: "span", text: "Lay a grid" }));
    this.one = el("button", { id: "add-region", hidden: true, onclick: () => this.addDrawn(), text: "Make it one of several" });
    this.list = el("ul", { class: "cells", "aria-label": "Points in each region" });
    this.more = el("div", { class: "row", hidden: true },
      el("button", { id: "same-regions", onclick: () => this.spread(), text: "The same on all pictures" }),
      el("button", { id: "clear-regions", onclick: () => this.bench.change({ regions: [] }), text: "Clear" }),
      el("button", { id: "export-regions", onclick: () => actions.save("regions"), text: "Table (CSV)" }));
    return el("details", { class: "block", id: "regions" }, el("summary", { text: "Count by region" }),
      el("p", { class: "quiet", text: "A grid over the picture, or over the region that is drawn." }), form, this.one, this.list, this.more);
  }

  lay(event) {
    event.preventDefault();
    if (!this.bench.shows) return;
    const { region } = this.bench.entry();
    const { width, height } = this.bench.stage.view;
    const corners = region ?? [[0, 0], [width, height]];
    const ends = (axis) => [Math.min(...corners.map((each) => each[axis])), Math.max(...corners.map((each) => each[axis]))];
    const [[x0, x1], [y0, y1]] = [ends(0), ends(1)];
    this.bench.change({ regions: grid([x0, y0, x1, y1], Number(this.rows.value), Number(this.columns.value)) });
  }

  /** The region that bounds the count becomes one of those in which points are told apart. */
  addDrawn() {
    const { region, regions } = this.bench.entry();
    this.bench.changePrompt({ region: null, regions: [...regions, { name: `R${regions.length + 1}`, corners: region }] });
  }

  /** On pictures of another size they are as much larger or smaller. */
  spread() {
    const { regions } = this.bench.entry();
    const own = this.bench.picture();
    const others = [...this.bench.pictures.values()].filter((picture) => picture.id !== own.id && !picture.error);
    this.bench.store.changeMany(others.map(({ id, width, height }) => [id, {
      regions: regions.map(({ name, corners }) => ({ name, corners: corners.map(([x, y]) => [round((x * width) / own.width), round((y * height) / own.height)]) })),
    }]));
  }

  /** Each region with the number of points in it, worked out once for what the points are now. */
  counted() {
    const found = this.bench.points();
    const { regions } = this.bench.entry();
    if (this.last?.found !== found || this.last.regions !== regions) {
      const points = [...found.kept, ...found.added];
      const cells = regions.map((region) => ({ ...region, number: points.filter((point) => inside(region.corners, point)).length }));
      this.last = { found, regions, cells };
    }
    return this.last.cells;
  }

  update() {
    const cells = this.bench.shows ? this.counted() : [];
    this.one.hidden = !this.bench.entry().region;
    this.more.hidden = this.list.hidden = !cells.length;
    const pixel = pixelOf(this.bench);
    const sum = (values) => values.reduce((a, b) => a + b, 0);
    const unit = pixel && areaUnit(sum(cells.map((cell) => cell.number)), sum(cells.map((cell) => areaOf(cell.corners))), pixel);
    this.list.classList.toggle("wide", Boolean(pixel));
    this.list.replaceChildren(...cells.map((cell) => el("li", {},
      el("span", { class: "quiet", text: cell.name }), el("b", { text: String(cell.number) }),
      pixel && el("span", { text: spokenDensity(cell.number, areaOf(cell.corners), pixel, unit) }))));
  }

  paint(context, view) {
    if (this.bench.entry().regions.length) paintCells(context, view, this.counted());
  }
}
