// The buttons that export what a mode has found.

import { el } from "./dom.js";

/** Each label says what a form is called and, after a colon, what it holds; formats are those that the server knows, by name. */
export const exportBlock = (actions, formats, { csv, overlays }) =>
  el("div", { class: "block" }, el("h3", { text: "Export" }),
    el("div", { class: "export" }, ...Object.entries({ csv, ...formats, overlays }).map(([form, label]) =>
      el("button", { id: `export-${form}`, onclick: () => actions.save(form), text: label.split(":")[0], title: label, "aria-label": label }))));
