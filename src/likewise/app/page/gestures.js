// Mouse, pen, touch: zoom and pan by wheel, pinch, middle button and space-drag; all else goes to the tool.

export class Gestures {
  /** tool(): the tool in use, or null. */
  constructor(stage, tool) {
    Object.assign(this, { stage, tool, pointers: new Map(), panning: false, space: false, over: false, working: false });
    const canvas = stage.canvas;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.cancel(event));
    canvas.addEventListener("pointerenter", () => (this.over = true));
    canvas.addEventListener("pointerleave", () => {
      this.over = false;
      this.tool()?.leave?.();
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** With the mouse over the picture, Space is for it, whatever was clicked last. */
  takesSpace(target) {
    return this.over || target === document.body || target === this.stage.canvas;
  }

  holdSpace(held) {
    this.space = held;
    this.stage.canvas.style.cursor = held ? "grab" : "";
  }

  wheel(event) {
    event.preventDefault();
    if (!this.stage.picture) return;
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 200 : 1;
    const { view } = this.stage;
    if (event.shiftKey) view.pan(-(event.deltaX || event.deltaY) * unit, 0);
    else {
      // A pinch on a touchpad comes as a wheel with ctrl, in small steps.
      const speed = event.ctrlKey ? 0.01 : 0.0016;
      const amount = Math.max(-0.6, Math.min(0.6, -event.deltaY * unit * speed));
      view.zoomAt(event.offsetX, event.offsetY, Math.exp(amount));
    }
    this.stage.redraw();
  }

  down(event) {
    if (!this.stage.picture || event.button === 2) return;
    this.stage.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (this.pointers.size === 2) {
      if (this.working) this.tool()?.cancel?.();
      this.working = false;
      this.panning = true;
      return;
    }
    this.panning = this.space || event.button === 1;
    this.working = !this.panning;
    if (this.working) this.tool()?.down(this.place(event), event);
    else this.stage.canvas.style.cursor = "grabbing";
    this.stage.redraw();
  }

  move(event) {
    if (!this.stage.picture) return;
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) {
      if (!this.space) this.stage.canvas.style.cursor = this.tool()?.hover(this.place(event), event) ?? "default";
    } else if (this.panning) {
      this.pan(event, before);
    } else {
      this.tool()?.move(this.place(event), event);
    }
    if (before !== undefined) this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.stage.redraw();
  }

  /** With two fingers, zoom by how they part, and pan by how their middle moves. */
  pan(event, before) {
    const { view } = this.stage;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    const [dx, dy] = [event.offsetX - before.x, event.offsetY - before.y];
    if (!other) {
      view.pan(dx, dy);
      return;
    }
    const apart = (point) => Math.max(10, Math.hypot(point.x - other.x, point.y - other.y));
    const now = { x: event.offsetX, y: event.offsetY };
    view.pan(dx / 2, dy / 2);
    view.zoomAt((now.x + other.x) / 2, (now.y + other.y) / 2, apart(now) / apart(before));
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.working) this.tool()?.up(this.place(event), event);
    this.working = false;
    if (this.pointers.size === 0) this.panning = false;
    this.stage.canvas.style.cursor = this.space ? "grab" : "";
    this.stage.redraw();
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    if (this.working) this.tool()?.cancel?.();
    this.working = this.panning = false;
    this.stage.redraw();
  }

  place(event) {
    return this.stage.view.toPicture(event.offsetX, event.offsetY);
  }
}
