// Project files: everything but the pictures, readable, pictures known by their names.

import * as api from "./api.js";

/** Characters of a request, about: a large project is looked at in parts. */
const MOST = 4 << 20;

/** Put a project file on the bench: one step, which can be undone. Gives the names of pictures that are not here. */
export async function openProject(bench, modes, kept, project) {
  const missing = await check(project);
  const ids = new Map([...bench.pictures.values()].map((picture) => [picture.name, picture.id]));
  const here = project.pictures.filter((picture) => ids.has(picture.name));
  const entries = new Map([...bench.pictures.values()].filter((picture) => bench.store.entries.has(picture.id)).map(({ id }) => [id, {}]));
  for (const picture of here) entries.set(ids.get(picture.name), entryOf(picture, ids));
  bench.store.version += 1;
  if (!bench.store.replaceMany([...entries])) return missing;
  for (const picture of here) {
    const id = ids.get(picture.name);
    const taken = { count: picture.prediction, segment: picture.segmented, recognize: picture.recognized };
    for (const [task, answer] of Object.entries(taken)) {
      const question = modes[task].question(id);
      if (answer && question) bench.store.put(task, question, { ...answer, brief: false });
    }
    kept.brought.add(id);
    kept.dirty.add(id);
  }
  kept.mark([]);
  return missing;
}

/** See that it is a project, before anything of it is taken. */
async function check({ pictures, ...head }) {
  const missing = [];
  let [part, size] = [[], 0];
  const look = async () => missing.push(...(await api.checkProject({ ...head, pictures: part })).missing);
  for (const picture of Array.isArray(pictures) ? pictures : []) {
    const length = JSON.stringify(picture).length;
    if (size && size + length > MOST) {
      await look();
      [part, size] = [[], 0];
    }
    part.push(picture);
    size += length;
  }
  if (!Array.isArray(pictures)) part = pictures;
  await look();
  return missing;
}

function entryOf({ name, width, height, prediction, segmented, recognized, like, kinds = [], ...entry }, ids) {
  const here = (named) => (named && ids.has(named.picture) ? { picture: ids.get(named.picture), ...(named.seen && { seen: named.seen }), exemplars: named.exemplars } : null);
  return { ...entry, like: here(like), kinds: kinds.map((kind) => ({ ...kind, like: here(kind.like) })) };
}
