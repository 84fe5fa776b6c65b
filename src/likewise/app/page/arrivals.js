// Pictures that come in: chosen, dropped (also whole folders) or pasted, uploaded a few at a time.

import * as api from "./api.js";
import { $ } from "./dom.js";
import { say } from "./notices.js";

const AT_ONCE = 3;
const PICTURE = /\.(jpe?g|png|bmp|tiff?|webp|gif|ppm|pgm)$/i;

/** added(picture, first) is told of every picture that was taken; opened(file) of a project file. */
export function startArrivals({ added, opened }) {
  const take = (files) => bringIn(files, added, opened);
  for (const id of ["#add-pictures", "#empty-add"]) $(id).addEventListener("click", () => $("#files").click());
  $("#files").addEventListener("change", (event) => {
    take([...event.target.files]);
    event.target.value = "";
  });
  $("#open-project").addEventListener("click", () => $("#project-file").click());
  $("#project-file").addEventListener("change", (event) => {
    if (event.target.files[0]) opened(event.target.files[0]);
    event.target.value = "";
  });
  document.addEventListener("paste", (event) => event.clipboardData?.files.length && take([...event.clipboardData.files]));
  startDrop(take);
}

function startDrop(take) {
  let depth = 0;
  const show = (on) => ($("#drop").hidden = !on);
  document.addEventListener("dragenter", (event) => {
    if (event.dataTransfer?.types.includes("Files")) show(++depth > 0);
  });
  document.addEventListener("dragleave", () => show((depth = Math.max(0, depth - 1)) > 0));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    show((depth = 0) > 0);
    const items = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = items.length ? (await Promise.all(items.map(filesOf))).flat() : [...(event.dataTransfer?.files ?? [])];
    take(files);
  });
}

/** The files of a dropped file or folder. */
async function filesOf(item) {
  if (item.isFile) return [await new Promise((resolve, reject) => item.file(resolve, reject))];
  const reader = item.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    inside.push(...some);
  }
  return (await Promise.all(inside.map(filesOf))).flat().filter((file) => PICTURE.test(file.name));
}

async function bringIn(files, added, opened) {
  const project = files.find((file) => file.name.endsWith(".json"));
  const pictures = files.filter((file) => file !== project);
  const problems = [];
  let done = 0;
  const notice = pictures.length > 3 ? say(`Adding ${pictures.length} pictures …`, { seconds: 3600 }) : null;
  const next = async () => {
    for (let file = pictures.shift(); file; file = pictures.shift()) {
      try {
        const picture = await api.upload(file);
        done += 1;
        await added(picture, done === 1);
        if (notice) notice.firstChild.textContent = `Adding pictures: ${done} done, ${pictures.length} to go`;
      } catch (error) {
        problems.push(error.message);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  notice?.remove();
  if (problems.length) say([...problems.slice(0, 5), problems.length > 5 && `… and ${problems.length - 5} more`].filter(Boolean).join("\n"), { bad: true });
  if (project) await opened(project);
}
