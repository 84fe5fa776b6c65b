// The buttons that export what a mode has found.

import { el } from "./dom.js";

const WORDS = { csv: "CSV", coco: "COCO", overlays: "Overlays" };

/** labels: what each form (csv, coco, overlays) holds, for those who do not see the buttons. */
export const exportBlock = (actions, labels) =>
  el("div", { class: "block" }, el("h3", { text: "Export" }),
    el("div", { class: "export" }, ...Object.entries(labels).map(([form, label]) =>
      el("button", { id: `export-${form}`, onclick: actions[form], text: WORDS[form], title: label, "aria-label": label }))));
