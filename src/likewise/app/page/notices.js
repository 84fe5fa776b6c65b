// Messages at the foot of the page; errors stay until they are closed.

import { $, el } from "./dom.js";

export function say(message, { bad = false, seconds = 7 } = {}) {
  const box = $("#notices");
  const close = el("button", { class: "link", text: "Close", onclick: () => notice.remove() });
  const notice = el("div", { class: bad ? "notice bad" : "notice", role: bad ? "alert" : null }, el("p", { text: message }), close);
  box.append(notice);
  while (box.children.length > 4) box.firstChild.remove();
  if (!bad) setTimeout(() => notice.remove(), seconds * 1000);
  return notice;
}

export const complain = (error) => say(error.message ?? String(error), { bad: true });
