// Puts the page together.

import * as api from "./api.js";
import { startArrivals } from "./arrivals.js";
import { Batch } from "./batch.js";
import { Bench } from "./bench.js";
import { CountMode } from "./count.js";
import { $, download, el } from "./dom.js";
import { Gestures } from "./gestures.js";
import { Cross, KEYS, listen } from "./keys.js";
import { complain, say } from "./notices.js";
import { openProject, toProject } from "./project.js";
import { RecognizeMode } from "./recognize.js";
import { SegmentMode } from "./segment.js";
import { Stage } from "./stage.js";
import { Store } from "./store.js";
import { Table } from "./table.js";
import { startTheme } from "./theme.js";

const store = new Store();
const stage = new Stage($("#canvas"));
const bench = new Bench(stage, store);
const table = new Table(bench);
const batch = new Batch();
const busy = (on) => ($("#busy").hidden = !on);
const modes = { count: new CountMode(bench, busy), segment: new SegmentMode(bench, busy), recognize: new RecognizeMode(bench, busy) };
const gestures = new Gestures(stage, () => bench.tool);
let version = "";
let savedAt = 0;

const WORDS = { count: "Counting", segment: "Looking for it", recognize: "Recognising" };
const actions = { apply, save: (form) => (form === "overlays" ? overlays() : save(form)) };

function useMode(name) {
  bench.mode = modes[name];
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
}

/** Bring to the page what changed about some pictures, or everything. */
function refresh(ids) {
  table.update(ids);
  const total = bench.mode.total([...bench.pictures.keys()]);
  $("#total").hidden = !total;
  $("#total").textContent = total;
  $("#undo").disabled = store.past.length === 0;
  $("#redo").disabled = store.future.length === 0;
  $("#empty").hidden = bench.pictures.size > 0;
  if (stage.picture && (!ids || ids.includes(bench.selected) || bench.mode.task === "segment")) bench.mode.update();
  else bench.mode.panel.update();
}

function add(picture, first) {
  bench.pictures.set(picture.id, picture);
  table.add(picture);
  $("#empty").hidden = true;
  refresh([]);
  if (first && !picture.error) bench.select(picture.id);
}

async function apply() {
  const job = bench.mode.job();
  if (!job) return;
  if (job.patch) store.changeMany(job.body.pictures.map((id) => [id, job.patch]));
  const { mode } = bench;
  const asked = new Map(job.body.pictures.map((id) => [id, mode.question(id)]));
  const take = (record) => {
    mode.take(record, asked.get(record.picture));
    if (record.error) say(`${bench.picture(record.picture)?.name}: ${record.error}`, { bad: true });
  };
  await batch.run(WORDS[mode.task], () => api.startJob(job.body), take);
}

const project = (...tasks) => toProject(bench, modes, version, ...tasks);

async function save(form) {
  try {
    const { task } = bench.mode;
    download(...(await api.exportAs(form, project([task]), task)));
  } catch (error) {
    complain(error);
  }
}

async function overlays() {
  const { task } = bench.mode;
  const job = await batch.run("Drawing", () => api.startOverlays(project([task]), task), () => {});
  if (job?.file) download(await api.jobFile(job.id), `likewise-${task}-overlays.zip`);
}

function saveProject() {
  savedAt = store.saved;
  download(new Blob([JSON.stringify(project(), null, 1)], { type: "application/json" }), "likewise-project.json");
}

async function open(file) {
  try {
    const content = JSON.parse(await file.text());
    const { missing } = await api.checkProject(content);
    openProject(bench, modes, content);
    savedAt = store.saved;
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
  store.listeners.push(refresh);
  stage.painters.push((context, view) => bench.selected && bench.mode.paint(context, view));
  new Cross(stage, () => bench.tool);
  stage.onview = (view) => ($("#zoom-level").textContent = stage.picture ? `${Math.round(view.scale * 100)} %` : "");
  bench.onselect = (id) => {
    table.choose(id);
    const { name, error } = bench.picture(id);
    stage.canvas.setAttribute("aria-label", error ?? name);
    if (error) say(error, { bad: true });
  };
  bench.ontool = (name) => {
    for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === name));
    $("#hint").textContent = (bench.pictures.size && bench.tool?.hint) || "";
  };
  for (const tab of document.querySelectorAll("[data-mode]")) tab.addEventListener("click", () => useMode(tab.dataset.mode));
  $(".tabs").addEventListener("keydown", (event) => turnTabs(event));
  const clicks = { "#undo": () => step("undo"), "#redo": () => step("redo"), "#zoom-in": () => zoom(1.4), "#zoom-out": () => zoom(1 / 1.4),
    "#zoom-fit": fit, "#save-project": saveProject, "#help": () => $("#help-dialog").showModal() };
  for (const [selector, action] of Object.entries(clicks)) $(selector).addEventListener("click", action);
  $("#keys").append(...KEYS.map(([key, what]) => el("tr", {}, el("td", {}, el("kbd", { text: key })), el("td", { text: what }))));
  window.addEventListener("beforeunload", (event) => store.saved > savedAt && event.preventDefault());
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
  const brush = (factor) => () => bench.mode.scaleBrush?.(factor);
  return {
    b: () => bench.useTool(bench.mode.firstTool), r: tool("region"), c: tool("correct"), e: tool("erase"),
    h: show("heat"), p: show("points"), m: show("mask"), ",": brush(1 / 1.25), ".": brush(1.25), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit,
    "[": () => bench.selectBy(table.order, -1), "]": () => bench.selectBy(table.order, 1),
    delete: () => bench.tool?.remove?.(), backspace: () => bench.tool?.remove?.(),
    escape: () => { bench.tool?.cancel?.(); stage.redraw(); },
    "?": () => $("#help-dialog").showModal(), "ctrl+s": saveProject,
    "ctrl+z": () => step("undo"), "ctrl+shift+z": () => step("redo"), "ctrl+y": () => step("redo"),
  };
}

async function start() {
  startTheme($("#theme"));
  wire();
  useMode("count");
  startArrivals({ added: (picture, first) => { add(picture, first); bench.ontool("box"); }, opened: open });
  try {
    const [{ models, formats, version: running }, { pictures }] = await Promise.all([api.listModels(), api.listPictures()]);
    Object.assign(bench, { models, formats });
    if (modes.count.takesNegatives()) store.prompt.add("negatives");
    version = running;
    const first = pictures.find((picture) => !picture.error);
    for (const picture of pictures) add(picture, picture === first);
    useMode("count");
  } catch (error) {
    complain(error);
  }
  document.documentElement.dataset.ready = "yes";
}

start();
