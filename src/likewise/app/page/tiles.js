// A picture that is larger than what is shown of it as a whole: its parts, as fine as they are looked at, as they come into view.

import { looking } from "./look.js";
import { loadImage } from "./stage.js";

/** Side of a tile: likewise.app.tiles.TILE. */
const SIDE = 512;
/** Tiles that are kept, a megabyte each, and that are fetched at a time. */
const [MOST, AT_ONCE] = [128, 4];

export class Tiles {
  /** address(reduction, column, row): of a tile; whole: the reduced picture; arrived(): told when there is more to draw. */
  constructor(address, { width, height }, whole, arrived) {
    Object.assign(this, { address, width, height, arrived, kept: new Map(), coming: new Map(), shown: width / whole.naturalWidth });
  }

  /** How many times the picture is to be reduced for a view; 0: what is shown of it as a whole is fine enough. */
  reduction(view, density) {
    const reduction = 2 ** Math.max(0, Math.floor(Math.log2(1 / (view.scale * density)) + 1e-9));
    return reduction < this.shown ? reduction : 0;
  }

  /** The tiles in view, those in the middle first. */
  inView(view, reduction) {
    const side = SIDE * reduction;
    const [from, to] = [view.toPicture(0, 0), view.toPicture(view.screenWidth, view.screenHeight)];
    const range = (low, high, length) => [Math.max(0, Math.floor(low / side)), Math.min(Math.ceil(high / side), Math.ceil(length / side))];
    const [[left, right], [top, bottom]] = [range(from.x, to.x, this.width), range(from.y, to.y, this.height)];
    const middle = [(from.x + to.x) / 2 / side - 0.5, (from.y + to.y) / 2 / side - 0.5];
    const found = [];
    for (let row = top; row < bottom; row += 1) for (let column = left; column < right; column += 1) found.push({ reduction, column, row });
    const far = ({ column, row }) => Math.hypot(column - middle[0], row - middle[1]);
    return found.sort((one, other) => far(one) - far(other));
  }

  /** Draw what is here of what is in view, coarser tiles below finer ones, and send for the rest. */
  paint(context, view, density, look) {
    const reduction = this.reduction(view, density);
    if (!reduction) return;
    const wanted = this.inView(view, reduction);
    const coarser = [...this.kept.values()].filter((tile) => tile.reduction > reduction).sort((one, other) => other.reduction - one.reduction);
    for (const tile of coarser) this.draw(context, view, tile, look);
    for (const tile of wanted) {
      const key = keyOf(tile);
      const here = this.kept.get(key);
      if (here) {
        this.kept.delete(key); // the last ones that were looked at stay
        this.kept.set(key, here);
        this.draw(context, view, here, look);
      } else if (this.coming.size < AT_ONCE) this.fetch(tile);
    }
  }

  draw(context, view, tile, look) {
    if (!tile.image) return;
    if (tile.look !== look) Object.assign(tile, { look, drawn: looking(tile.image, look) });
    const side = SIDE * tile.reduction;
    const [x, y] = [tile.column * side, tile.row * side];
    const [from, to] = [view.toScreen(x, y), view.toScreen(Math.min(x + side, this.width), Math.min(y + side, this.height))];
    if (to.x < 0 || to.y < 0 || from.x > view.screenWidth || from.y > view.screenHeight) return;
    context.drawImage(tile.drawn, from.x, from.y, to.x - from.x, to.y - from.y);
  }

  /** Have all that is in a view here before it is drawn. */
  async load(view) {
    const reduction = this.reduction(view, 1);
    if (reduction) await Promise.all(this.inView(view, reduction).map((tile) => this.kept.has(keyOf(tile)) || this.fetch(tile)));
  }

  /** A tile that cannot be had is not asked for again: the coarse picture stays in its place. */
  fetch(tile) {
    const key = keyOf(tile);
    if (!this.coming.has(key)) {
      const { reduction, column, row } = tile;
      this.coming.set(key, loadImage(this.address(reduction, column, row)).catch(() => null).then((image) => {
        this.coming.delete(key);
        this.kept.set(key, { ...tile, image });
        for (const oldest of this.kept.keys()) {
          if (this.kept.size <= MOST) break;
          this.kept.delete(oldest);
        }
        this.arrived();
      }));
    }
    return this.coming.get(key);
  }
}

const keyOf = ({ reduction, column, row }) => `${reduction}/${column}/${row}`;
