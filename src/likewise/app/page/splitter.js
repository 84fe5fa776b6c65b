// The edge between the list of pictures and the picture: dragged, or moved by arrow keys, to see long names.

const [LEAST, MOST, STEP] = [200, 640, 24];

export function startSplitter(edge) {
  const list = edge.parentElement;
  const set = (width) => {
    const left = Math.round(Math.min(Math.max(width, LEAST), MOST, window.innerWidth / 2));
    document.documentElement.style.setProperty("--left", `${left}px`);
    localStorage.setItem("likewise-left", left);
    told(left);
  };
  const told = (left) => {
    for (const [name, value] of Object.entries({ valuenow: left, valuemin: LEAST, valuemax: MOST })) edge.setAttribute(`aria-${name}`, value);
  };
  const kept = Number(localStorage.getItem("likewise-left"));
  if (kept) set(kept);
  else told(Math.round(list.clientWidth));
  edge.addEventListener("pointerdown", (event) => edge.setPointerCapture(event.pointerId));
  edge.addEventListener("pointermove", (event) => edge.hasPointerCapture(event.pointerId) && set(event.clientX - list.getBoundingClientRect().left));
  edge.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (!step) return;
    event.preventDefault();
    set(list.clientWidth + step);
  });
}
