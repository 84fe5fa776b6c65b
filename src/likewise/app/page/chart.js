// The counts of all pictures as small bars, in the order of the table; a press chooses the picture.

/** Pixels of a bar. */
const WIDEST = 18;

export class Chart {
  constructor(bench, table, canvas) {
    Object.assign(this, { bench, table, canvas });
    canvas.addEventListener("click", (event) => {
      const id = this.table.order[Math.floor(event.offsetX / this.step)];
      if (id) bench.select(id);
    });
  }

  update() {
    const { canvas, table, bench } = this;
    const values = table.order.map((id) => table.values.get(id)?.sort);
    const known = values.filter((value) => typeof value === "number" && value >= 0);
    canvas.hidden = known.length < 2;
    if (canvas.hidden) return;
    const most = Math.max(...known);
    const words = `Values of ${known.length} pictures, from ${this.text(Math.min(...known))} to ${this.text(most)}`;
    canvas.setAttribute("aria-label", words);
    canvas.title = words;
    const density = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [canvas.clientWidth * density, canvas.clientHeight * density];
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    this.step = Math.min(canvas.clientWidth / values.length, WIDEST);
    const step = this.step * density;
    values.forEach((value, i) => {
      if (!(value >= 0)) return;
      const height = Math.max(density, most ? (value / most) * canvas.height : 0);
      pen.fillStyle = style.getPropertyValue(table.order[i] === bench.selected ? "--accent" : "--quiet");
      pen.fillRect(i * step, canvas.height - height, Math.max(1, step > 4 * density ? step - density : step), height);
    });
  }

  text(value) {
    return this.bench.mode.task === "segment" ? `${(100 * value).toFixed(1)} %` : String(Math.round(value));
  }
}
