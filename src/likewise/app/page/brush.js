// A round brush: it paints a mask, or takes away of it.

const round = (value) => Math.round(value * 100) / 100;

/** Brush a mask, or erase it. */
export class BrushTool {
  drags = true;

  constructor(bench, settings, erase) {
    Object.assign(this, { bench, settings, erase, stroke: null, at: null });
    this.hint = erase ? "Brush over what does not belong to the thing." : "Brush over the thing to find in the others, or what was missed of it.";
  }

  down(at) {
    this.stroke = { points: [[round(at.x), round(at.y)]], width: round(this.settings.width), erase: this.erase };
  }

  move(at) {
    this.at = at;
    const last = this.stroke?.points.at(-1);
    if (last && Math.hypot(last[0] - at.x, last[1] - at.y) > this.settings.width / 8)
      this.stroke.points.push([round(at.x), round(at.y)]);
  }

  up() {
    const { stroke } = this;
    this.stroke = null;
    if (stroke) this.bench.mode.add(stroke);
  }

  cancel() {
    if (!this.stroke) return;
    this.stroke = null;
    this.bench.mode.layMask();
  }

  hover(at) {
    this.at = at;
    return "none";
  }

  leave() {
    this.at = null;
  }

  paint(context, view) {
    if (!this.at) return;
    const { x, y } = view.toScreen(this.at.x, this.at.y);
    for (const [colour, width] of [["#0a0c14", 3.5], [this.erase ? "#ff5858" : "#ffffff", 1.5]]) {
      context.beginPath();
      context.arc(x, y, Math.max(2, (this.settings.width / 2) * view.scale), 0, 7);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }
}
