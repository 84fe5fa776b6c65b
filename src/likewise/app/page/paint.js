// Drawing on the canvas: lines with a dark casing, so that they can be seen on any ground. Same colours as likewise.draw.

export const COLOURS = {
  exemplars: "#40e0ff", negatives: "#ff5858", region: "#ffffff", point: "#48ff78", added: "#ffc440", peak: "#ff8ae2",
};
const CASING = "rgb(10 12 20 / 85%)";
/** Outside of the dark casing, which would be lost on a dark ground. */
const RIM = "rgb(255 255 255 / 75%)";

function stroke(context, colour, width) {
  context.lineJoin = "round";
  context.strokeStyle = CASING;
  context.lineWidth = width + 2.5;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

export function paintBox(context, view, [x0, y0, x1, y1], colour, { chosen = false, faint = false } = {}) {
  const [a, b] = [view.toScreen(x0, y0), view.toScreen(x1, y1)];
  context.globalAlpha = faint ? 0.45 : 1;
  context.beginPath();
  context.rect(a.x, a.y, b.x - a.x, b.y - a.y);
  stroke(context, colour, chosen ? 3 : 2);
  const handle = Math.min(8, (b.x - a.x) / 4, (b.y - a.y) / 4);
  if (chosen && handle > 2.5) {
    context.fillStyle = colour;
    for (const x of [a.x, b.x]) for (const y of [a.y, b.y]) context.fillRect(x - handle / 2, y - handle / 2, handle, handle);
  }
  context.globalAlpha = 1;
}

export function paintPolygon(context, view, corners, { open = false, outside = false, corners: marked = false } = {}) {
  if (corners.length === 0) return;
  const places = corners.map(([x, y]) => view.toScreen(x, y));
  const trace = () => {
    places.forEach(({ x, y }, i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (!open) context.closePath();
  };
  if (outside) {
    const { x, y } = view.toScreen(0, 0);
    context.beginPath();
    context.rect(x, y, view.width * view.scale, view.height * view.scale);
    trace();
    context.fillStyle = "rgb(10 12 20 / 45%)";
    context.fill("evenodd");
  }
  context.beginPath();
  trace();
  stroke(context, COLOURS.region, 2);
  for (const { x, y } of marked ? places : []) {
    context.beginPath();
    context.arc(x, y, 4, 0, 7);
    context.fillStyle = COLOURS.region;
    context.fill();
  }
}

/** Dots that are smaller where the picture is zoomed out, in one path for thousands of them. */
export function paintPoints(context, view, points, colour, size = null) {
  const radius = Math.min(Math.max((size ?? 14) * view.scale * 0.13, 2.2), 6.5);
  const places = points.map(([x, y]) => view.toScreen(x, y)).filter(({ x, y }) => x > -9 && y > -9 && x < view.screenWidth + 9 && y < view.screenHeight + 9);
  for (const [fill, r] of [[RIM, radius + 2.2], [CASING, radius + 1.5], [colour, radius]]) {
    context.beginPath();
    for (const { x, y } of places) {
      context.moveTo(x + r, y);
      context.arc(x, y, r, 0, 7);
    }
    context.fillStyle = fill;
    context.fill();
  }
}

/** What a click in Segment mode stands for: a disc of 2 % of the picture's longer side, in its pixels. */
export const clickRadius = (view) => 0.02 * Math.max(view.width, view.height);

export function paintDisc(context, view, place, colour) {
  const { x, y } = view.toScreen(...place);
  context.beginPath();
  context.arc(x, y, clickRadius(view) * view.scale, 0, 7);
  context.globalAlpha = 0.3;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
  stroke(context, colour, 2);
}

export function paintCrosses(context, view, points, colour) {
  if (points.length === 0) return;
  context.beginPath();
  for (const [px, py] of points) {
    const { x, y } = view.toScreen(px, py);
    context.moveTo(x - 5, y - 5);
    context.lineTo(x + 5, y + 5);
    context.moveTo(x + 5, y - 5);
    context.lineTo(x - 5, y + 5);
  }
  stroke(context, colour, 2);
}

/** What a click will do to a point: a ring, with a cross in it where it goes and a plus where it comes. */
export function paintPlan(context, view, { what, point }, colour) {
  if (what === "nothing") return;
  const { x, y } = view.toScreen(...point);
  context.beginPath();
  context.arc(x, y, 10, 0, 7);
  const turn = what !== "remove" && what !== "takeBack" ? 0 : Math.PI / 4;
  for (const angle of [turn, turn + Math.PI / 2]) {
    const [dx, dy] = [5 * Math.cos(angle), 5 * Math.sin(angle)];
    context.moveTo(x - dx, y - dy);
    context.lineTo(x + dx, y + dy);
  }
  stroke(context, colour, 2);
}

export function paintRing(context, view, [px, py], radius, colour) {
  const { x, y } = view.toScreen(px, py);
  context.beginPath();
  context.arc(x, y, Math.max(radius * view.scale, 12), 0, 7);
  stroke(context, colour, 3);
}

/** Regions with their names and numbers, where there is room for them. */
export function paintCells(context, view, cells) {
  context.beginPath();
  for (const { corners } of cells) {
    corners.forEach((corner, i) => {
      const { x, y } = view.toScreen(...corner);
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.closePath();
  }
  stroke(context, COLOURS.region, 1);
  context.font = "600 12px system-ui, sans-serif";
  context.textBaseline = "top";
  for (const { name, number, corners } of cells) {
    const xs = corners.map(([x]) => x);
    const text = `${name} ${number}`;
    if ((Math.max(...xs) - Math.min(...xs)) * view.scale < context.measureText(text).width + 8) continue;
    const { x, y } = view.toScreen(Math.min(...xs), Math.min(...corners.map((each) => each[1])));
    context.strokeStyle = CASING;
    context.lineWidth = 3;
    context.strokeText(text, x + 4, y + 4);
    context.fillStyle = COLOURS.region;
    context.fillText(text, x + 4, y + 4);
  }
}
