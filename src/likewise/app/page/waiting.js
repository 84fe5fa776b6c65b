// What a question is waiting for: how long it has taken and will take, before it is asked and while it is.

import { $, el } from "./dom.js";

const TICK = 500;

/** A time as people say it. */
export function spoken(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
}

/** Show it for the picture that is looked at, anew each time something of it changes. */
export class Waiting {
  constructor(bench) {
    this.bench = bench;
    this.box = $("#waiting");
    this.key = null;
    setInterval(() => this.update(), TICK);
  }

  update() {
    const { mode, selected } = this.bench;
    const asked = mode?.open.get(selected);
    const held = selected && mode ? mode.waits() : undefined;
    if (asked) this.showAsked(mode, asked);
    else if (held) this.showHeld(mode, held);
    else this.show(null, []);
  }

  showAsked(mode, asked) {
    const elapsed = (performance.now() - asked.since) / 1000;
    if (elapsed < 1.5) return this.show(null, []);
    this.show(`asked ${asked.key}`, [el("p", {}), el("button", { id: "give-up", onclick: () => mode.giveUp(), text: "Cancel" })]);
    const left = this.left(asked, elapsed);
    this.box.firstChild.textContent = `${spoken(elapsed)} so far${left === null ? "" : left > 1 ? `, about ${spoken(left)} to go` : ", nearly done"}`;
  }

  /** Seconds that are left, by what is done of it or, until something is, by what was reckoned; null: not known. */
  left({ seconds, tiles }, elapsed) {
    if (tiles && tiles.done > 1) return (elapsed / tiles.done) * Math.max(0, tiles.tiles - tiles.done);
    return seconds === null ? null : Math.max(0, seconds - elapsed);
  }

  showHeld(mode, held) {
    const { selected } = this.bench;
    const said = held.stopped ? "Cancelled." : `This will take about ${spoken(held.seconds)}: the picture is large, and the things in it are small.`;
    const coarse = !held.stopped && held.coarse < 0.95 * (this.bench.entry().coarse ?? 1);
    this.show(`held ${selected} ${said}`, [
      el("p", { text: said }),
      el("button", { class: "primary", id: "agree", onclick: () => mode.agree(), text: held.stopped ? "Ask again" : "Count anyway" }),
      coarse && el("button", { id: "coarser", onclick: () => this.bench.changePrompt({ coarse: held.coarse }), text: `Look coarser: ${spoken(held.coarse_seconds)}` }),
      !held.stopped && el("button", { id: "in-region", onclick: () => this.bench.useTool("region"), text: "Only a region" }),
    ]);
  }

  show(key, parts) {
    this.box.hidden = key === null;
    if (this.key === key && key !== null) return;
    this.key = key;
    this.box.replaceChildren(...parts.filter(Boolean));
  }
}
