// What all modes share: the pictures, the chosen one, the tool in use, and the store.

import * as api from "./api.js";
import { complain, say } from "./notices.js";
import { isStack } from "./seen.js";
import { loadImage } from "./stage.js";
import { Tiles } from "./tiles.js";

export class Bench {
  constructor(stage, store) {
    // shows: whether the chosen picture is on the stage, and not only its small copy; looked: which picture is, or will be, as what of its file
    Object.assign(this, { stage, store, pictures: new Map(), selected: null, shows: false, looked: null, mode: null, tool: null, models: [], formats: {}, preferred: null, marked: new Set(), marking: false });
    this.onselect = () => {};
    this.ontool = () => {};
    this.onspoilt = () => {};
    this.onlearnt = () => {};
    this.onmarked = () => {};
    this.onwards = () => {};
    this.run = async () => {};
    this.settled = async () => {};
    this.hint = () => {};
  }

  entry(id = this.selected) {
    return this.store.of(id);
  }

  picture(id = this.selected) {
    return this.pictures.get(id);
  }

  change(patch) {
    if (this.selected) this.store.change(this.selected, patch);
  }

  /** As change, of what is asked: where that is another thing, corrections of the old one are set aside. */
  changePrompt(patch) {
    if (this.preferred && !("model" in patch) && !this.entry().exemplars.length && !this.entry().kinds.length) patch = { ...patch, model: this.preferred };
    const setAside = this.selected ? this.store.change(this.selected, patch) : 0;
    const what = setAside === 1 ? "A correction by hand was" : `${setAside} corrections by hand were`;
    if (setAside) say(`${what} set aside, because another thing is asked for now. Undo brings back what was.`);
  }

  /** Predicted points that stand, predicted ones that were removed, and added ones. */
  points(id = this.selected) {
    return this.mode.points?.(id) ?? { kept: [], removed: [], added: [], outside: [] };
  }

  useTool(name) {
    this.tool?.cancel?.();
    this.tool = this.mode.tools[name] ?? null;
    this.ontool(name);
    this.stage.redraw();
  }

  /** Look at a picture: until it is there, its small copy is shown, and nothing is said of it. */
  select(id) {
    if (id === this.selected || !this.pictures.has(id)) return;
    this.tool?.cancel?.();
    Object.assign(this, { selected: id, shows: false });
    this.stage.show(null);
    this.onselect(id);
    this.look();
  }

  /** Bring the chosen picture to the stage, unless it is there or on its way as what of its file is to be seen. */
  async look() {
    const [id, picture, { seen }] = [this.selected, this.picture(), this.entry()];
    const looked = `${id} ${JSON.stringify(seen)}`;
    if (this.looked === looked) return;
    Object.assign(this, { looked, shows: false });
    if (!picture || picture.error) return;
    const learnt = this.learnOf(picture);
    if (!this.stage.picture) loadImage(api.thumbnailUrl(id, seen)).then((small) => this.looked === looked && !this.shows && this.stage.show(small, picture.width, picture.height), () => {});
    try {
      const image = await loadImage(api.imageUrl(id, seen));
      if (this.looked !== looked) return;
      this.shows = true;
      const address = (...place) => api.tileUrl(id, seen, ...place);
      const tiles = image.naturalWidth < picture.width ? new Tiles(address, picture, image, () => this.stage.redraw()) : null;
      this.stage.show(image, picture.width, picture.height, tiles);
      this.mode.shown();
    } catch (error) {
      await learnt;
      if (this.unchosen(id)) return;
      const problem = await api.whyNot(api.imageUrl(id, seen)).catch(() => null);
      if (problem) this.spoil(id, problem);
      else complain(await api.about(id, seen).then(() => error, (told) => told)); // which says what is wrong with the choice
    }
  }

  /** Whether it is still to be said what of a file is the picture. */
  unchosen(id = this.selected) {
    return isStack(this.picture(id)?.about) && !this.entry(id).seen;
  }

  /** What of their files is seen, of some pictures, as a part of what a job is told. */
  seenOf(ids) {
    const seen = ids.map((id) => [id, this.entry(id).seen]).filter(([, each]) => each);
    return seen.length ? { seen: Object.fromEntries(seen) } : {};
  }

  /** What its file tells of it; a file that cannot be read says why when it is to be shown. */
  async learnOf(picture) {
    picture.about ??= await api.about(picture.id).catch(() => null);
    this.onlearnt();
    this.mode.panel.update();
    this.stage.redraw();
  }

  /** A picture turned out not to be readable. */
  spoil(id, problem) {
    const picture = this.pictures.get(id);
    if (!picture || picture.error) return;
    picture.error = problem;
    if (this.selected === id) this.stage.show(null);
    this.onspoilt(id);
  }

  /** Mark these pictures and no others, so that what comes next is done with all of them. */
  mark(ids) {
    this.marked = new Set(ids);
    this.onmarked();
  }

  /** Choose the picture so many rows further down. */
  selectBy(ids, steps) {
    const at = ids.indexOf(this.selected);
    if (ids.length) this.select(ids[Math.min(Math.max(at + steps, 0), ids.length - 1)]);
  }

  /** Choose the next picture of which something is true, after the chosen one or from the top; none: stay. */
  selectNext(ids, wanted) {
    const at = ids.indexOf(this.selected) + 1;
    const next = [...ids.slice(at), ...ids.slice(0, at)].find(wanted);
    if (next) this.select(next);
  }

  /** The first model that is here and does this, or null. */
  model(task, prompt = null) {
    const fitting = this.models.filter((m) => m.task === task && (!prompt || m.prompts.includes(prompt)));
    return fitting.find((m) => m.ready) ?? null;
  }

  /** Why there is none, and where to read on. */
  whyNone(task, what, prompt = null) {
    const others = this.models.filter((m) => m.task === task && (!prompt || m.prompts.includes(prompt))).map((m) => m.name);
    const more = others.length ? ` In the terminal, “likewise models” says how to get ${others.join(" or ")}.` : "";
    return `No model that can ${what} is installed.${more}`;
  }
}
