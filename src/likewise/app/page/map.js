// A small map beside the zoom: all of the picture, and the part that is on the screen; a press on it goes there.

const [WIDTH, HEIGHT] = [72, 34];

export class SmallMap {
  constructor(stage, canvas) {
    Object.assign(this, { stage, canvas });
    const go = (event) => event.buttons && this.go(event.offsetX, event.offsetY);
    for (const kind of ["pointerdown", "pointermove"]) canvas.addEventListener(kind, go);
    stage.painters.push(() => this.draw());
  }

  get scale() {
    const { width, height } = this.stage.view;
    return Math.min(WIDTH / width, HEIGHT / height);
  }

  go(x, y) {
    this.stage.view.centre({ x: x / this.scale, y: y / this.scale });
    this.stage.redraw();
  }

  draw() {
    const { view, drawn } = this.stage;
    const { canvas, scale } = this;
    canvas.hidden = view.fitted || (view.width * view.scale <= view.screenWidth && view.height * view.scale <= view.screenHeight);
    if (canvas.hidden) return;
    const density = window.devicePixelRatio || 1;
    const [width, height] = [view.width * scale, view.height * scale];
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.width = Math.max(1, Math.round(width * density));
    canvas.height = Math.max(1, Math.round(height * density));
    const pen = canvas.getContext("2d");
    pen.scale(density, density);
    pen.drawImage(drawn, 0, 0, width, height);
    const [from, to] = [view.toPicture(0, 0), view.toPicture(view.screenWidth, view.screenHeight)];
    for (const [colour, line] of [["#0a0c14", 3], ["#40e0ff", 1.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = line;
      pen.strokeRect(from.x * scale, from.y * scale, (to.x - from.x) * scale, (to.y - from.y) * scale);
    }
  }
}
