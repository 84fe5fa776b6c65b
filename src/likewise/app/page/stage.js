// The canvas: the picture, layers over it (heat, mask), and what the painters draw on top.

import { PLAIN, looking } from "./look.js";
import { Viewport } from "./viewport.js";

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.view = new Viewport();
    this.tiles = null;
    this.picture = null; // as it is; look: how it is shown, drawn: what comes of that
    this.drawn = null;
    this.look = PLAIN;
    this.layer = null;
    this.layerOpacity = 1;
    this.painters = [];
    this.onview = () => {};
    this.waiting = false;
    new ResizeObserver(() => this.resized()).observe(canvas);
    this.resized();
  }

  /** Show a loaded image as the picture of that size; in the place of another one, where that lies. null: nothing. tiles: what is finer than the image. */
  show(image, width, height, tiles = null) {
    const another = !this.picture;
    Object.assign(this, { picture: image, tiles });
    this.drawn = looking(image, this.look);
    this.layer = null;
    if (image && another) this.view.show(width, height);
    this.redraw();
  }

  /** Brightness, contrast and gamma of what is seen; nothing else heeds them. */
  setLook(look) {
    this.look = look;
    this.drawn = looking(this.picture, look);
    this.redraw();
  }

  resized() {
    const { clientWidth, clientHeight } = this.canvas;
    const density = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(clientWidth * density));
    this.canvas.height = Math.max(1, Math.round(clientHeight * density));
    this.view.resize(Math.max(1, clientWidth), Math.max(1, clientHeight));
    this.redraw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
      this.onview(this.view);
    });
  }

  draw() {
    const { context, view, canvas } = this;
    const density = canvas.width / view.screenWidth;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, view.screenWidth, view.screenHeight);
    if (!this.picture) return;
    this.drawPicture(context, view, density, this.look);
    if (this.layer) {
      context.imageSmoothingEnabled = true;
      context.globalAlpha = this.layerOpacity;
      context.drawImage(this.layer, view.x, view.y, view.width * view.scale, view.height * view.scale);
      context.globalAlpha = 1;
    }
    for (const paint of this.painters) paint(context, view);
  }

  /** The picture alone, where it lies in a view, for a canvas with so many pixels to one of the view. */
  drawPicture(context, view, density, look) {
    context.imageSmoothingEnabled = view.scale < 3;
    context.imageSmoothingQuality = "high";
    context.drawImage(look === this.look ? this.drawn : this.picture, view.x, view.y, view.width * view.scale, view.height * view.scale);
    this.tiles?.paint(context, view, density, look);
  }

  /** A square of the picture, as it is, on a canvas of its own; of a large picture once its tiles are here. */
  async drawPart(canvas, left, top, side) {
    const scale = canvas.width / side;
    const { width, height } = this.view;
    const view = Object.assign(new Viewport(), { width, height, scale, x: -left * scale, y: -top * scale, screenWidth: canvas.width, screenHeight: canvas.height });
    const { picture } = this;
    await this.tiles?.load(view);
    if (this.picture === picture) this.drawPicture(canvas.getContext("2d"), view, 1, PLAIN);
  }
}

/** An image that is ready to be drawn. */
export function loadImage(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("the picture could not be shown"));
    image.src = url;
  });
}
