// Several kinds of thing in one picture: each has a name, examples and corrections of its own. One thing is a case of it.

import { COLOURS } from "./paint.js";

/** Each has a key of its own, 1 to 9. */
export const MOST_KINDS = 9;
/** As likewise.results.legend.kind_colours. */
export const KIND_COLOURS = ["#56b4ff", "#ffb020", "#40e090", "#f082c8", "#faec5a", "#ff6e46", "#9678ff", "#d94c4c", "#4c65d9"];
const BLANK_KIND = { name: "", exemplars: [], like: null, added: [], removed: [], carried: null };
const NOWHERE = { added: [], removed: [] };
/** Of an entry its kinds as entries; of an answer those of each kind; of an entry the parts that were made of it last. */
const [entries, answers, made] = [new WeakMap(), new WeakMap(), new WeakMap()];

/** Kinds as they are kept have only what was said of them. */
export const whole = ({ kinds = [], carried = null, ...entry }) => ({ ...entry, carried: carried && { ...NOWHERE, ...carried }, kinds: kinds.map(wholeKind) });
const wholeKind = ({ carried = null, ...kind }) => ({ ...BLANK_KIND, ...kind, carried: carried && { ...NOWHERE, ...carried } });

/** A kind of which nothing was said yet. */
export const newKind = (name) => ({ ...BLANK_KIND, name });

/** Whether a picture is asked for several kinds. */
export const several = ({ kinds, text }) => kinds.length > 0 && text === null;

/** Whether anything shows a kind: only then it is asked for. */
export const isShown = ({ exemplars, like }) => exemplars.length > 0 || like !== null;

/** What shows the kinds, as a text: what is said of them beside that asks for no other answer. */
export const showing = (kinds) => JSON.stringify(kinds.filter(isShown).map(({ exemplars, like }) => ({ exemplars, like })));

/**
 * Each kind with its number (null where there is one thing only), its colour, what was said of it, as an entry, and its
 * part of the answer. As long as neither entry nor answer change, it gives the same array.
 */
export function parts(entry, answer) {
  const last = made.get(entry);
  if (last && last.answer === answer) return last.found;
  const found = several(entry) ? ofKinds(entry, answer) : [{ index: null, name: null, colour: COLOURS.point, entry, answer }];
  made.set(entry, { answer, found });
  return found;
}

function ofKinds(entry, answer) {
  if (!entries.has(entry)) entries.set(entry, entry.kinds.map((kind) => ({ ...kind, region: entry.region, confirmed: entry.confirmed })));
  const told = answer ? split(answer) : [];
  let next = 0;
  return entries.get(entry).map((own, index) => ({
    index, name: own.name, colour: KIND_COLOURS[index], entry: own, answer: (isShown(own) && told[next++]) || null,
  }));
}

/** The points of an answer come kind by kind. */
function split(answer) {
  if (!answers.has(answer)) {
    let first = 0;
    answers.set(answer, (answer.kinds ?? []).map((kind) => {
      const own = [first, (first += kind.dots ?? 0)];
      return { ...kind, model: answer.model, brief: answer.brief, points: answer.points?.slice(...own), scores: answer.scores?.slice(...own) };
    }));
  }
  return answers.get(answer);
}

/** What speaks against an answer: kinds that can hardly be told apart, by the names that they have now, then what is said of each. */
export function doubtsOf(answer, found) {
  if (found[0].index === null) return answer?.warnings ?? [];
  const asked = found.filter(({ answer: own }) => own);
  const named = (name) => `“${asked[answer.kinds.findIndex((kind) => kind.name === name)]?.name ?? name}”`;
  const confused = (answer?.confusions ?? []).map(({ kinds, share }) =>
    `${kinds.map(named).join(" and ")} can hardly be told apart: ${Math.round(100 * share)} % of their places look nearly as much like the other. Box more examples of both that differ, or count them as one kind.`);
  return [...confused, ...asked.flatMap(({ name, answer: own }) => (own.warnings ?? []).map((text) => `${name}: ${text}`))];
}
