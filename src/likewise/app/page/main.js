// Puts the page together.

import * as api from "./api.js";
import { startArrivals } from "./arrivals.js";
import { Batch } from "./batch.js";
import { Bench } from "./bench.js";
import { Chart } from "./chart.js";
import { CountMode } from "./count.js";
import { $, download, el, once } from "./dom.js";
import { Gestures } from "./gestures.js";
import { Kept } from "./kept.js";
import { Cross, KEYS, listen } from "./keys.js";
import { MOST_KINDS } from "./kinds.js";
import { SmallMap } from "./map.js";
import { complain, say } from "./notices.js";
import { openProject } from "./project.js";
import { RecognizeMode } from "./recognize.js";
import { SeenBar } from "./seen.js";
import { SegmentMode } from "./segment.js";
import { startSplitter } from "./splitter.js";
import { Review } from "./review.js";
import { ScaleBar } from "./scale.js";
import { Stage } from "./stage.js";
import { Store } from "./store.js";
import { Table } from "./table.js";
import { startListening } from "./tabs.js";
import { startTheme } from "./theme.js";
import { Waiting } from "./waiting.js";

const store = new Store();
const stage = new Stage($("#canvas"));
const bench = new Bench(stage, store);
const table = new Table(bench);
const review = new Review(bench, table);
const seenBar = new SeenBar(bench, $("#seen"));
const chart = new Chart(bench, table, $("#chart"));
const overview = once(() => { review.update(); chart.update(); });
const batch = new Batch(taken, ended);
const busy = (on) => ($("#busy").hidden = !on);
const modes = { count: new CountMode(bench, busy), segment: new SegmentMode(bench, busy), recognize: new RecognizeMode(bench, busy) };
const gestures = new Gestures(stage, () => bench.tool);
const kept = new Kept(bench, modes, told);
bench.settled = () => kept.flush();
bench.run = (start) => batch.run(start);
bench.onwards = (wanted) => bench.selectNext(table.order, wanted);
bench.onmarked = () => { table.markAll(); bench.mode.panel.update(); };

const actions = { apply, confirm: () => review.confirm(), save: (form) => (form === "overlays" ? overlays() : save(form)) };

function useMode(name) {
  bench.mode = modes[name];
  Object.assign(bench, { marked: new Set(), marking: false });
  table.markAll();
  for (const tab of document.querySelectorAll("[data-mode]")) {
    const own = tab.dataset.mode === name;
    tab.setAttribute("aria-selected", String(own));
    tab.tabIndex = own ? 0 : -1;
  }
  $("#panel").setAttribute("aria-labelledby", `tab-${name}`);
  $("#panel").replaceChildren(...bench.mode.panel.build(actions));
  $("#tools").replaceChildren(...Object.entries(bench.mode.labels).map(([tool, [label, key]]) =>
    el("button", { "data-tool": tool, "aria-pressed": "false", title: `${label} (${key})`, onclick: () => bench.useTool(tool) }, label, el("kbd", { text: key, "aria-hidden": "true" }))));
  stage.layer = null;
  table.heads(bench.mode.heads);
  bench.useTool(bench.mode.firstTool);
  refresh();
  busy(bench.mode.asking);
}

/** Bring to the page what changed about some pictures, or everything. */
function refresh(ids) {
  table.update(ids);
  const total = bench.mode.total([...table.values.values()]);
  $("#total").hidden = !total;
  $("#total").textContent = total;
  overview();
  $("#undo").disabled = store.past.length === 0;
  $("#redo").disabled = store.future.length === 0;
  $("#empty").hidden = bench.pictures.size > 0;
  seenBar.update();
  bench.look();
  if (bench.shows && (!ids || ids.includes(bench.selected) || bench.mode.task === "segment")) bench.mode.update();
  else bench.mode.panel.update();
}

function add(pictures) {
  for (const picture of pictures) bench.pictures.set(picture.id, picture);
  table.add(pictures);
  refresh([]);
}

/** A picture was brought in; what was done with it another time is found again. */
async function arrived(picture, first) {
  add([picture]);
  await kept.openOne(picture.id).catch(complain);
  if (first) bench.select(picture.id);
  bench.ontool(bench.mode.firstTool);
}

async function remove(id) {
  try {
    await api.removePicture(id);
  } catch (error) {
    complain(error);
    return;
  }
  const at = table.order.indexOf(id);
  bench.pictures.delete(id);
  table.remove(id);
  if (bench.selected === id) {
    Object.assign(bench, { selected: null, shows: false });
    stage.show(null);
    if (table.order.length) bench.select(table.order[Math.min(at, table.order.length - 1)]);
  }
  refresh([]);
}

async function apply() {
  const job = bench.mode.job();
  if (!job) return;
  if (store.locked) return say(store.locked);
  if (job.patch) store.changeMany(job.body.pictures.map((id) => [id, job.patch]));
  const keep = Object.fromEntries(job.body.pictures.map((id) => [id, bench.mode.key(bench.mode.question(id))]));
  await batch.run(() => api.startJob({ ...job.body, keep }));
}

async function save(form) {
  try {
    await kept.flush();
    download(...(await api.exportAs(form, bench.mode.task)));
  } catch (error) {
    complain(error);
  }
}

async function overlays() {
  await kept.flush();
  await batch.run(() => api.startOverlays(bench.mode.task));
}

/** What a job found out about some pictures, or learnt of them. */
function taken(job, records) {
  const mode = modes[job.task];
  if (mode) store.tell(records.map((record) => mode.take(record)));
  else if (job.task === "learn") modes.count.panel.learn.ended(records[0]).catch(complain);
  else if (job.task === "teach") modes.recognize.names.learnt(records[0]).catch(complain);
}

function ended(job) {
  if (job.task === "teach") modes.recognize.names.ended(job);
  if (job.file) api.jobFile(job.id).then((file) => download(file, "likewise-overlays.zip"), complain);
}

async function saveProject() {
  await kept.flush();
  document.body.append(el("a", { href: api.projectFile, download: "likewise-project.json", id: "project-link", hidden: true }));
  $("#project-link").click();
  $("#project-link").remove();
}

/** How it stands with what is kept. */
function told(state, why) {
  $("#kept").textContent = { kept: "Saved", keeping: "Saving …", lost: "Not saved" }[state];
  $("#kept").title = why ?? "";
  $("#kept").classList.toggle("lost", state === "lost");
  if (why && why !== told.last) say(why, { bad: true });
  told.last = why;
}

async function open(file) {
  try {
    const content = JSON.parse(await file.text());
    const missing = await openProject(bench, modes, kept, content);
    refresh();
    if (missing.length) say(`Not here, and left out: ${missing.slice(0, 8).join(", ")}${missing.length > 8 ? ", …" : ""}.\nAdd these pictures and open the project again.`, { bad: true });
    else say("The project is open.");
  } catch (error) {
    complain(error instanceof SyntaxError ? new Error(`${file.name} is not a project file: it is not JSON`) : error);
  }
}

/** Undo or redo, and show where. */
function step(which) {
  const ids = store[which]();
  if (ids.length && !ids.includes(bench.selected)) bench.select(ids[0]);
  else refresh(ids);
}

function zoom(factor) {
  stage.view.zoomAt(stage.view.screenWidth / 2, stage.view.screenHeight / 2, factor);
  stage.redraw();
}

function fit() {
  stage.view.fit();
  stage.redraw();
}

function wire() {
  store.listeners.push(refresh, (ids) => kept.mark(ids));
  new Waiting(bench);
  table.onremove = remove;
  bench.onlearnt = () => seenBar.update();
  bench.onspoilt = (id) => {
    table.redraw(id);
    if (bench.selected === id) bench.onselect(id);
    refresh([]);
  };
  stage.painters.push((context, view) => bench.selected && bench.mode.paint(context, view));
  new SmallMap(stage, $("#map"));
  const bar = new ScaleBar(bench, $("#scale-bar"));
  new Cross(stage, () => bench.tool);
  stage.onview = (view) => {
    $("#zoom-level").textContent = stage.picture ? `${Math.round(view.scale * 100)} %` : "";
    bar.draw(view);
  };
  bench.onselect = (id) => {
    table.choose(id);
    const { name, error } = bench.picture(id);
    stage.canvas.setAttribute("aria-label", error ?? name);
    Object.assign($("#picture-name"), { textContent: name, title: name });
    if (error) say(error, { bad: true });
    sessionStorage.setItem("selected", id);
    bench.mode.problem = null;
    seenBar.update();
    busy(bench.mode.asking);
    bench.mode.panel.update();
  };
  bench.hint = (text) => ($("#hint").textContent = bench.pictures.size ? text : "");
  bench.ontool = (name) => {
    for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === name));
    bench.hint(bench.tool?.hint ?? "");
  };
  for (const tab of document.querySelectorAll("[data-mode]")) tab.addEventListener("click", () => useMode(tab.dataset.mode));
  $(".tabs").addEventListener("keydown", (event) => turnTabs(event));
  const clicks = { "#undo": () => step("undo"), "#redo": () => step("redo"), "#zoom-in": () => zoom(1.4), "#zoom-out": () => zoom(1 / 1.4),
    "#zoom-fit": fit, "#previous": () => bench.selectBy(table.order, -1), "#next": () => bench.selectBy(table.order, 1),
    "#save-project": saveProject, "#help": () => $("#help-dialog").showModal() };
  for (const [selector, action] of Object.entries(clicks)) $(selector).addEventListener("click", action);
  $("#keys").append(...KEYS.map(([key, what]) => el("tr", {}, el("td", {}, el("kbd", { text: key })), el("td", { text: what }))));
  window.addEventListener("beforeunload", (event) => kept.busy && event.preventDefault());
  listen(shortcuts(), gestures);
}

function turnTabs(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const names = Object.keys(modes);
  const next = names[(names.indexOf(bench.mode.task) + step + names.length) % names.length];
  useMode(next);
  $(`#tab-${next}`).focus();
}

function shortcuts() {
  const tool = (name) => () => name in bench.mode.tools && bench.useTool(name);
  const show = (key) => () => key in (bench.mode.show ?? {}) && bench.mode.panel.toggle(key, !bench.mode.show[key]);
  const alike = () => bench.shows && bench.mode.alike;
  const kinds = Object.fromEntries(Array.from({ length: MOST_KINDS }, (_, i) => [i + 1, () => bench.mode.choose?.(i)]));
  const brush = (factor) => () => bench.mode.scaleBrush?.(factor);
  return {
    b: () => bench.useTool(bench.mode.firstTool), n: () => (alike()?.on ? alike().say("no") : tool("not")()), x: tool("frame"), k: tool("click"), r: tool("region"), c: tool("correct"), e: tool("erase"),
    v: () => review.confirm(), l: () => alike()?.turn(!alike().on), y: () => alike()?.say("yes"), j: () => alike()?.say("skip"), h: show("heat"), p: show("points"), m: show("mask"), ",": brush(1 / 1.25), ".": brush(1.25),
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit,
    "[": () => bench.selectBy(table.order, -1), "]": () => bench.selectBy(table.order, 1),
    delete: () => bench.tool?.remove?.(), backspace: () => bench.tool?.remove?.(),
    escape: () => { bench.tool?.cancel?.(); alike()?.turn(false); stage.redraw(); },
    ...kinds, "?": () => $("#help-dialog").showModal(), "ctrl+s": saveProject,
    "ctrl+z": () => step("undo"), "ctrl+shift+z": () => step("redo"), "ctrl+y": () => step("redo"),
  };
}

/** Bring to the page what is kept, as at first, or anew after others changed it or the server was away. */
async function openKept() {
  try {
    const { missing, replaced } = await kept.open();
    if (missing.length) say(`Worked on, but not in the folder any more: ${few(missing)}.`, { bad: true });
    if (replaced.length) say(`Another picture than it was, so its count was dropped: ${few(replaced)}.`, { bad: true });
  } catch (error) {
    complain(error);
  }
  refresh();
}

const few = (names) => `${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`;

function listenToServer() {
  startListening(store, {
    writes: (tab) => {
      kept.tab = tab;
      kept.mark(bench.pictures.keys()); // what was said before that was known
    },
    job: (job) => batch.heard(job),
    tiles: (told) => {
      const asked = modes.count.open.get(told.picture);
      if (asked) asked.tiles = told;
    },
    learning: (told) => {
      const words = batch.heardShare(told);
      (told.task === "teach" ? modes.recognize.names : modes.count.panel.learn).heard({ ...told, words });
    },
    changed: ({ picture }) => (picture ? kept.openOne(picture).catch(complain) : openKept()),
    writer: openKept,
    again: () => {
      kept.mark(bench.pictures.keys());
      batch.look().catch(complain);
    },
  });
}

async function start() {
  startTheme($("#theme"));
  startSplitter($("#splitter"));
  wire();
  useMode("count");
  startArrivals({ added: arrived, opened: open });
  try {
    const [{ models, formats }, { pictures }] = await Promise.all([api.listModels(), api.listPictures()]);
    Object.assign(bench, { models, formats });
    if (modes.count.takesNegatives()) store.prompt.add("negatives");
    add(pictures);
    await openKept();
    listenToServer();
    await batch.look();
    useMode("count");
    const last = bench.picture(sessionStorage.getItem("selected"));
    const first = last ?? pictures.find((picture) => !picture.error);
    if (first) bench.select(first.id);
  } catch (error) {
    complain(error);
  }
  document.documentElement.dataset.ready = "yes";
}

start();
