// The project file: everything but the pictures, readable, pictures known by their names.

const round = (value, digits) => (value === undefined || value === null ? 0 : Number(value.toFixed(digits)));

/** The bench as a project, in the form that likewise.app.project describes: whole, or with the answers to one task only. */
export function toProject(bench, modes, version, tasks = ["count", "segment", "recognize"]) {
  const pictures = [...bench.pictures.values()].filter((picture) => !picture.error);
  return {
    format: 1, likewise: version, saved: new Date().toISOString(),
    pictures: pictures.map((picture) => toPicture(bench, modes, picture, tasks)),
  };
}

function toPicture(bench, modes, { id, name, width, height }, tasks) {
  const { exemplars, negatives, text, region, like, strokes } = bench.entry(id);
  const { added, removed } = modes.count.points(id);
  const found = { name, width, height };
  const filled = { exemplars, negatives, added, removed, strokes };
  for (const [key, list] of Object.entries(filled)) if (list.length) found[key] = list;
  if (text) found.text = text;
  if (region) found.region = region;
  if (like) found.like = { picture: bench.picture(like.picture)?.name ?? "", exemplars: like.exemplars };
  const answer = (task) => (tasks.includes(task) ? modes[task].answer(id) : null);
  const counted = answer("count");
  if (counted) {
    const { model, count, low = null, high = null, untrusted = false, warnings = [], points, scores, seconds } = counted;
    found.prediction = { model, count, low, high, untrusted, warnings, points, found: counted.found ?? [], scores, seconds: round(seconds, 3) };
  }
  const segmented = answer("segment");
  if (segmented) {
    const { model, area, boxes, segmentation = null, seconds } = segmented;
    found.segmented = { model, area, boxes, segmentation, seconds };
  }
  const recognized = answer("recognize");
  if (recognized) {
    const { model, label, nearest = null, probability, top, seconds } = recognized;
    found.recognized = { model, label, nearest, probability, top, seconds };
  }
  return found;
}

/** Put a checked project on the bench; pictures that are not here are left out. */
export function openProject(bench, modes, project) {
  const ids = new Map([...bench.pictures.values()].map((picture) => [picture.name, picture.id]));
  const here = project.pictures.filter((picture) => ids.has(picture.name));
  const entries = here.map((picture) => {
    const { exemplars = [], negatives = [], text = null, region = null, added = [], removed = [], strokes = [] } = picture;
    const like = picture.like && ids.has(picture.like.picture)
      ? { picture: ids.get(picture.like.picture), exemplars: picture.like.exemplars } : null;
    const entry = { exemplars, negatives, text, region, like, added, removed, strokes };
    return [ids.get(picture.name), Object.freeze(entry)];
  });
  bench.store.load(entries);
  for (const picture of here) {
    const id = ids.get(picture.name);
    const taken = { count: picture.prediction, segment: picture.segmented, recognize: picture.recognized };
    for (const [task, answer] of Object.entries(taken)) {
      const question = modes[task].question(id);
      if (answer && question) bench.store.answered(task, question, answer);
    }
  }
}
