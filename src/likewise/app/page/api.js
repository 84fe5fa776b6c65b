// The HTTP API: every call gives JSON, or throws an Error whose message may be shown.

const BASE = "/api/v1";

async function answer(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  const told = await response.json().catch(() => ({}));
  const error = new Error(told.error || `the server answered ${response.status}`);
  error.status = response.status;
  throw error;
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(BASE + path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("likewise does not answer: is it still running in the terminal?");
  }
  return response;
}

const get = async (path) => answer(await call(path));
const send = (path, body, { method = "POST", signal } = {}) =>
  call(path, { method, signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const post = async (path, body, signal) => answer(await send(path, body, { signal }));
const drop = async (path) => answer(await call(path, { method: "DELETE" }));

export const listPictures = () => get("/pictures");
export const removePicture = (id) => drop(`/pictures/${id}`);
export const listModels = () => get("/models");
export const count = (question, signal) => post("/count", question, signal);
export const forecast = (question) => post("/forecast", question);
export const segment = (question, signal) => post("/segment", question, signal);
export const recognize = (question, signal) => post("/recognize", question, signal);
export const listJobs = () => get("/jobs");
export const startJob = (job) => post("/jobs", job);
export const resumeJob = (id) => post(`/jobs/${id}/resume`, {});
export const cancelJob = (id) => drop(`/jobs/${id}`);
export const forgetJob = (id) => drop(`/jobs/${id}/rest`);
export const keptProject = () => get("/project");
export const keptPicture = (id) => get(`/project/pictures/${id}`);
export const change = async (changes) => answer(await send("/project", changes, { method: "PATCH" }));
export const takeOver = (tab) => post("/project/writer", { tab });
export const learn = (body) => post("/learn", body);
export const teach = (body) => post("/teach", body);
export const drawnSample = () => get("/estimate/sample");
export const drawSample = (body) => post("/estimate/sample", body);
export const estimate = (body) => post("/estimate", body);
export const checkProject = (project) => post("/project/check", project);
export const startOverlays = (task) => post(`/project/overlays?task=${task}`, {});
export const events = (tab) => new EventSource(`${BASE}/events?tab=${tab}`);
export const projectFile = `${BASE}/project/file`;
/** What of a file is seen, as the end of an address. */
const words = (seen) => (seen ? `?${new URLSearchParams(seen)}` : "");
export const about = (id, seen) => get(`/pictures/${id}/about${words(seen)}`);
export const fitting = (seen) => post("/pictures/fitting", seen);
export const imageUrl = (id, seen) => `${BASE}/pictures/${id}/image${words(seen)}`;
export const tileUrl = (id, seen, ...place) => `${BASE}/pictures/${id}/tiles/${place.join("/")}${words(seen)}`;
export const thumbnailUrl = (id, seen) => `${BASE}/pictures/${id}/thumbnail${words(seen)}`;

/** Why a picture cannot be shown; null where it can. */
export async function whyNot(url) {
  const response = await call(url.slice(BASE.length));
  return response.status === 415 ? (await response.json()).error : null;
}

/** The answers to a task as a file, and the name it should have. */
export async function exportAs(form, task) {
  const response = await send(`/project/export/${form}?task=${task}`, {});
  if (!response.ok) return answer(response);
  return [await response.blob(), response.headers.get("Content-Disposition").match(/filename="(.+)"/)[1]];
}

export async function jobFile(id) {
  const response = await call(`/jobs/${id}/file`);
  return response.ok ? response.blob() : answer(response);
}

export async function upload(file) {
  const form = new FormData();
  form.append("file", file, file.name);
  return answer(await call("/pictures", { method: "POST", body: form }));
}
