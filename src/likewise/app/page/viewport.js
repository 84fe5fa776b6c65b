// Where the picture lies on the screen: one scale and one offset, in CSS pixels.

const LARGEST = 48;

export class Viewport {
  constructor() {
    Object.assign(this, { scale: 1, x: 0, y: 0, width: 1, height: 1, screenWidth: 1, screenHeight: 1, fitted: true });
  }

  /** A picture of another size, shown whole. */
  show(width, height) {
    Object.assign(this, { width, height });
    this.fit();
  }

  /** The canvas has another size; what was shown whole stays so. */
  resize(screenWidth, screenHeight) {
    const middle = this.toPicture(this.screenWidth / 2, this.screenHeight / 2);
    Object.assign(this, { screenWidth, screenHeight });
    if (this.fitted) this.fit();
    else this.centre(middle);
  }

  fit() {
    this.scale = this.fitScale();
    this.centre({ x: this.width / 2, y: this.height / 2 });
    this.fitted = true;
  }

  fitScale() {
    const [across, down] = [this.screenWidth, this.screenHeight].map((side) => side - 2 * Math.min(20, side * 0.04));
    const scale = Math.min(across / this.width, down / this.height);
    return Math.max(Math.min(scale, 8), 0.001);
  }

  /** Zoom by a factor; the picture's place under the screen's point stays there. */
  zoomAt(screenX, screenY, factor) {
    const scale = Math.min(Math.max(this.scale * factor, this.fitScale() * 0.5), LARGEST);
    const place = this.toPicture(screenX, screenY);
    this.scale = scale;
    this.x = screenX - place.x * scale;
    this.y = screenY - place.y * scale;
    this.moved();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.moved();
  }

  centre(place) {
    this.x = this.screenWidth / 2 - place.x * this.scale;
    this.y = this.screenHeight / 2 - place.y * this.scale;
    this.moved();
  }

  /** Some of the picture always stays on the screen. */
  moved() {
    this.fitted = false;
    const keep = 60;
    this.x = Math.min(Math.max(this.x, keep - this.width * this.scale), this.screenWidth - keep);
    this.y = Math.min(Math.max(this.y, keep - this.height * this.scale), this.screenHeight - keep);
  }

  toPicture(screenX, screenY) {
    return { x: (screenX - this.x) / this.scale, y: (screenY - this.y) / this.scale };
  }

  toScreen(x, y) {
    return { x: x * this.scale + this.x, y: y * this.scale + this.y };
  }
}
