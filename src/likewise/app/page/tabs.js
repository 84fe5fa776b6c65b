// What the server tells this page as it happens, and which of several pages may write.

import * as api from "./api.js";
import { $, el } from "./dom.js";
import { complain, say } from "./notices.js";

/** Begin to listen. on: { job, tiles, learning, changed, writer, again }, functions that are told. */
export function startListening(store, on) {
  const tab = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const source = api.events(tab);
  let lost = false;
  const hear = (event, heard) => source.addEventListener(event, ({ data }) => heard(JSON.parse(data)));
  hear("role", ({ writer }) => {
    const before = store.locked;
    store.locked = writer ? null : "This project is open in another page, which writes it; here you look only.";
    showRole(writer, tab);
    if (writer && before) on.writer();
  });
  hear("job", on.job);
  hear("tiles", on.tiles);
  hear("learning", on.learning);
  hear("changed", on.changed);
  hear("problem", ({ error }) => say(error, { bad: true }));
  source.addEventListener("error", () => (lost = true));
  source.addEventListener("open", () => {
    if (lost) on.again();
    lost = false;
  });
  addEventListener("pagehide", () => source.close());
  store.onlocked = (why) => say(why);
  return tab;
}

function showRole(writer, tab) {
  $("#role").hidden = writer;
  $("#role").replaceChildren(
    el("p", { text: "This project is open in another page, which writes it. Here you look only." }),
    el("button", { id: "take-over", text: "Work here instead", onclick: () => api.takeOver(tab).catch(complain) }));
}
