// Drawing on the canvas: lines with a dark casing, so that they can be seen on any ground. Same colours as likewise.draw.

export const COLOURS = {
  exemplar: "#40e0ff", negative: "#ff5858", region: "#ffffff", point: "#48ff78", added: "#ffc440", peak: "#ff8ae2",
};
const CASING = "rgb(10 12 20 / 85%)";

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
  if (chosen) {
    context.fillStyle = colour;
    for (const x of [a.x, b.x]) for (const y of [a.y, b.y]) context.fillRect(x - 4, y - 4, 8, 8);
  }
  context.globalAlpha = 1;
}

export function paintPolygon(context, view, corners, { open = false, outside = false } = {}) {
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
  for (const { x, y } of open ? places : []) {
    context.beginPath();
    context.arc(x, y, 4, 0, 7);
    context.fillStyle = COLOURS.region;
    context.fill();
  }
}

/** Dots that are smaller where the picture is zoomed out, in one path for thousands of them. */
export function paintPoints(context, view, points, colour, size = null) {
  const radius = Math.min(Math.max((size ?? 14) * view.scale * 0.13, 2.2), 6.5);
  for (const [fill, r] of [[CASING, radius + 1.5], [colour, radius]]) {
    context.beginPath();
    for (const [px, py] of points) {
      const { x, y } = view.toScreen(px, py);
      context.moveTo(x + r, y);
      context.arc(x, y, r, 0, 7);
    }
    context.fillStyle = fill;
    context.fill();
  }
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
