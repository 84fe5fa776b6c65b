// The keyboard: shortcuts, and a cross on the canvas that does with keys what a mouse does.

export const KEYS = [
  ["B", "draw boxes round examples; brush"], ["N, Shift + drag", "draw a counter-example"], ["X, K", "show the thing to segment by a box, by clicks"], ["R", "draw a region"], ["1 to 9", "choose which of several kinds is drawn and added; give a picture the name of that number"],
  ["C", "correct points by clicks"], ["V", "confirm that the points are right; in a review, go on"], ["L, then Y, N, J", "places in doubt: yes, no, skip"], ["H, P, M", "show or hide heat, points, mask"], ["E", "erase what is brushed"],
  [", and .", "smaller, larger brush"],
  ["Wheel, pinch, + and -", "zoom"], ["Space + drag", "move the picture"], ["0", "show the whole picture"],
  ["[ and ]", "previous and next picture"], ["Delete", "remove the chosen box"], ["Escape", "let go"],
  ["Ctrl + Z, Ctrl + Shift + Z", "undo, redo"], ["Ctrl + S", "save the project"],
  ["Arrows, Enter on the picture", "move the cross, press and release at it"],
];

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** actions: what a key does, by its name, such as "b" or "ctrl+z". */
export function listen(actions, gestures) {
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input:not([type=range]), textarea, select, dialog")) return;
    if (event.key === " " && gestures.takesSpace(event.target)) {
      event.preventDefault();
      gestures.holdSpace(true);
      return;
    }
    const command = event.ctrlKey || event.metaKey;
    const shift = event.shiftKey && event.key.length === 1 && command ? "shift+" : "";
    const action = actions[(command ? "ctrl+" : "") + shift + event.key.toLowerCase()];
    if (!action || event.altKey) return;
    event.preventDefault();
    action();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key !== " " || !gestures.space) return;
    event.preventDefault(); // or a button that was clicked before would be pressed again
    gestures.holdSpace(false);
  });
  window.addEventListener("blur", () => gestures.holdSpace(false));
}

/** A cross that the arrow keys move over the canvas; Enter presses and releases the tool there. */
export class Cross {
  constructor(stage, tool) {
    Object.assign(this, { stage, tool, at: null, pressed: false });
    stage.canvas.addEventListener("keydown", (event) => this.key(event));
    stage.canvas.addEventListener("blur", () => this.hide());
    stage.canvas.addEventListener("pointerdown", () => this.hide());
    stage.painters.push((context, view) => this.paint(context, view));
  }

  hide() {
    this.at = null;
    this.pressed = false;
    this.stage.redraw();
  }

  key(event) {
    if (!this.stage.picture) return;
    const step = ARROWS[event.key];
    if (step) this.go(step, event);
    else if (event.key === "Enter" && this.at) this.press(event);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.stage.redraw();
  }

  go([dx, dy], event) {
    const { view } = this.stage;
    const by = (event.ctrlKey ? 1 : 12) / view.scale;
    this.at ??= { x: view.width / 2, y: view.height / 2 };
    this.at.x = Math.min(Math.max(this.at.x + dx * by, 0), view.width);
    this.at.y = Math.min(Math.max(this.at.y + dy * by, 0), view.height);
    if (this.pressed) this.tool()?.move({ ...this.at }, event);
    else this.tool()?.hover({ ...this.at }, event);
  }

  press(event) {
    const tool = this.tool();
    if (!tool) return;
    if (this.pressed) tool.up({ ...this.at }, event);
    else tool.down({ ...this.at }, event);
    this.pressed = !this.pressed && tool.drags;
    if (!this.pressed && !tool.drags) tool.up({ ...this.at }, event);
  }

  paint(context, view) {
    if (!this.at) return;
    const { x, y } = view.toScreen(this.at.x, this.at.y);
    for (const [colour, width] of [["#0a0c14", 4], ["#ffffff", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(x - 16, y);
      context.lineTo(x + 16, y);
      context.moveTo(x, y - 16);
      context.lineTo(x, y + 16);
      context.stroke();
    }
  }
}
