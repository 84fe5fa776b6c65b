// What the server tells this page as it happens, and which of several pages may write.

import * as api from "./api.js";
import { $, el } from "./dom.js";
import { complain, say } from "./notices.js";

/** Begin to listen. on: { writes, job, tiles, learning, changed, writer, again }, functions that are told. */
export function startListening(store, on) {
  const tab = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const source = api.events(tab);
  let lost = false;
  const hear = (event, heard) => source.addEventListener(event, ({ data }) => heard(JSON.parse(data)));
  hear("role", ({ writer }) => {
    const free = () => {
      store.locked = null;
      showRole(true, tab);
      on.writes(tab);
    };
    if (writer) return store.locked ? on.writer().then(free) : free(); // first what the other page has done by now
    store.locked = "This project is open in another page, which writes it; here you look only.";
    showRole(false, tab);
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
}

function showRole(writer, tab) {
  $("#role").hidden = writer;
  $("#role").replaceChildren(
    el("p", { text: "This project is open in another page, which writes it. Here you look only." }),
    el("button", { id: "take-over", text: "Work here instead", onclick: () => api.takeOver(tab).catch(complain) }));
}
