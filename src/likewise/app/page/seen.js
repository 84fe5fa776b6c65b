// What of a file is the picture: a channel, a plane and a time of a stack, and which of its values are black and white.

import * as api from "./api.js";
import { el } from "./dom.js";
import { complain, say } from "./notices.js";

const CONTRASTS = ["auto", "min,max", "0.1%,99.9%", "1%,99%"];
const PLANES = { max: "all, brightest", mean: "all, mean" };

/** Whether a file holds several pictures, of which one has to be chosen. */
export const isStack = (about) => Boolean(about) && (about.channels.length > 1 || about.planes > 1 || about.frames > 1);

/** By its name where that is its own, as other files may have it elsewhere; else by its number. */
const wordOf = (names, i) => (/^\d*$/.test(names[i]) || names.indexOf(names[i]) !== names.lastIndexOf(names[i]) ? String(i) : names[i]);

/** A row above the picture, for files that leave a choice. */
export class SeenBar {
  constructor(bench, box) {
    Object.assign(this, { bench, box, id: null });
  }

  update() {
    const { bench, box } = this;
    const { about, error } = bench.picture() ?? {};
    box.hidden = Boolean(error) || !(isStack(about) || about?.deep);
    const { seen } = bench.entry();
    const unmade = isStack(about) && !seen;
    if (box.hidden || (this.id === bench.selected && this.unmade === unmade && JSON.stringify(this.chosen()) === JSON.stringify(seen))) return;
    Object.assign(this, { id: bench.selected, unmade });
    this.build(about, seen);
  }

  build(about, seen) {
    const field = (label, control) => el("label", {}, label, control);
    const select = (id, options, value) => el("select", { id, onchange: () => this.take() },
      ...options.map(([word, text]) => el("option", { value: word, text, selected: word === value })));
    const { channels, planes, frames } = about;
    this.channel = channels.length > 1 && select("seen-channel", channels.map((name, i) => [wordOf(channels, i), name]), seen?.channel);
    const numbers = Array.from({ length: planes }, (_, i) => [String(i), String(i)]);
    this.z = planes > 1 && select("seen-z", [...Object.entries(PLANES), ...numbers], seen?.z);
    this.frame = frames > 1 && el("input", { id: "seen-frame", type: "number", min: 0, max: frames - 1, step: 1, required: true, value: seen?.frame ?? 0, onchange: () => this.take() });
    this.contrast = el("input", { id: "seen-contrast", type: "text", list: "contrasts", maxlength: 80, size: 12, value: seen?.contrast ?? "auto", onchange: () => this.take() });
    const { unmade } = this;
    this.box.replaceChildren(...[
      this.channel && field("Channel", this.channel),
      this.z && field("Plane", this.z),
      this.frame && field(`Time, 0 to ${frames - 1}`, this.frame),
      field("Contrast", this.contrast),
      el("datalist", { id: "contrasts" }, ...CONTRASTS.map((value) => el("option", { value }))),
      unmade && el("button", { id: "see", class: "primary", onclick: () => this.take(), text: "Show this" }),
      !unmade && el("button", { id: "see-all", onclick: () => this.spread().catch(complain), text: "The same for all pictures" }),
      unmade && el("p", { text: "The file is a stack: choose what of it is the picture." }),
    ].filter(Boolean));
  }

  /** What is chosen, in the words of the API and always in this order; null: as it is without a word. */
  chosen() {
    const contrast = this.contrast.value.trim();
    const seen = {
      ...(this.channel && { channel: this.channel.value }),
      ...(this.z && { z: this.z.value }),
      ...(this.frame && { frame: Number(this.frame.value) }),
      ...(contrast && contrast !== "auto" && { contrast }),
    };
    return Object.keys(seen).length ? seen : null;
  }

  /** See the picture so, once the server knows what that means. */
  async take() {
    const { bench } = this;
    const [id, seen] = [bench.selected, this.chosen()];
    try {
      await api.about(id, seen);
      if (bench.selected === id) bench.changePrompt({ seen });
    } catch (error) {
      say(error.message, { bad: true });
    }
    this.update(); // to what is seen, should this not be
  }

  /** See so every picture whose file has such a channel, plane and time. */
  async spread() {
    const { seen } = this.bench.entry();
    const { pictures } = await api.fitting(seen ?? {});
    const others = pictures.filter((id) => this.bench.pictures.has(id) && id !== this.bench.selected);
    if (others.length) this.bench.store.changeMany(others.map((id) => [id, { seen }]));
    say(`Seen so: ${others.length} other ${others.length === 1 ? "picture" : "pictures"}; the rest have nothing of the kind to choose.`);
  }
}
