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
const send = (path, body) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const post = async (path, body) => answer(await send(path, body));

export const listPictures = () => get("/pictures");
export const listModels = () => get("/models");
export const count = (question) => post("/count", question);
export const segment = (question) => post("/segment", question);
export const recognize = (question) => post("/recognize", question);
export const startJob = (job) => post("/jobs", job);
export const followJob = (id, after) => get(`/jobs/${id}?after=${after}`);
export const cancelJob = async (id) => answer(await call(`/jobs/${id}`, { method: "DELETE" }));
export const checkProject = (project) => post("/project/check", project);
export const startOverlays = (project, task) => post(`/export/overlays?task=${task}`, project);
export const imageUrl = (id) => `${BASE}/pictures/${id}/image`;
export const thumbnailUrl = (id) => `${BASE}/pictures/${id}/thumbnail`;

/** A project's answers as a file, and the name it should have. */
export async function exportAs(form, project, task) {
  const response = await send(`/export/${form}?task=${task}`, project);
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
