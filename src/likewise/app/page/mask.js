// Masks on the page: COCO's run lengths as a picture, brushed strokes on it, and how much of the picture they cover.

export const INK = "#ffc440";
/** Longest side of what is kept of a mask, pixels. */
const LARGEST = 2048;
const sheets = new WeakMap();
const areas = new WeakMap();

/** The runs of COCO's compressed string: signed base-32 numbers, from the third on as a difference from two before. */
export function runs(counts) {
  const found = [];
  for (let at = 0; at < counts.length; ) {
    let [value, shift, more] = [0, 0, true];
    while (more) {
      const code = counts.charCodeAt(at++) - 48;
      value += (code & 31) * 2 ** shift;
      shift += 5;
      more = (code & 32) !== 0;
      if (!more && code & 16) value -= 2 ** shift;
    }
    found.push(found.length > 2 ? value + found.at(-2) : value);
  }
  return found;
}

/** A found mask as a canvas in the brush's colour, of the picture's size or smaller. */
export function maskSheet(mask) {
  const known = sheets.get(mask);
  if (known) return known;
  const [height, width] = mask.size;
  const factor = Math.min(1, LARGEST / Math.max(width, height));
  const sheet = blank(width * factor, height * factor);
  const pen = sheet.getContext("2d");
  pen.scale(sheet.width / width, sheet.height / height);
  pen.fillStyle = INK;
  let start = 0;
  runs(mask.counts).forEach((length, i) => {
    if (i % 2) fillRun(pen, start, start + length, height);
    start += length;
  });
  sheets.set(mask, sheet);
  return sheet;
}

/** Runs go down the columns: whole columns at once, and what is before and after them. */
function fillRun(pen, start, end, height) {
  while (start < end) {
    const [x, y] = [Math.floor(start / height), start % height];
    const columns = y === 0 ? Math.floor((end - start) / height) : 0;
    if (columns) {
      pen.fillRect(x, 0, columns, height);
      start += columns * height;
    } else {
      const length = Math.min(height - y, end - start);
      pen.fillRect(x, y, 1, length);
      start += length;
    }
  }
}

/** Draw a mask, or none, and strokes on it; place(x, y) is where the picture's places are, scale how large its pixels. */
export function drawMarks(pen, base, strokes, { x, y, width, height, scale }) {
  if (base) pen.drawImage(maskSheet(base), x, y, width * scale, height * scale);
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of strokes) {
    pen.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
    pen.strokeStyle = INK;
    pen.lineWidth = stroke.width * scale;
    pen.beginPath();
    const places = stroke.points.map(([px, py]) => [px * scale + x, py * scale + y]);
    pen.moveTo(...places[0]);
    for (const place of places.length > 1 ? places.slice(1) : [[places[0][0] + 0.01, places[0][1]]]) pen.lineTo(...place);
    pen.stroke();
  }
  pen.globalCompositeOperation = "source-over";
}

/** The share of a picture that its mask and strokes cover; the file that is exported has it to the pixel. */
export function areaOf(entry, width, height) {
  if (areas.has(entry)) return areas.get(entry);
  const scale = Math.min(1, LARGEST / 2 / Math.max(width, height));
  const sheet = blank(width * scale, height * scale);
  const pen = sheet.getContext("2d", { willReadFrequently: true });
  drawMarks(pen, entry.base, entry.strokes, { x: 0, y: 0, width, height, scale });
  const { data } = pen.getImageData(0, 0, sheet.width, sheet.height);
  let covered = 0;
  for (let i = 3; i < data.length; i += 4) covered += data[i] > 127;
  areas.set(entry, (covered * 4) / data.length);
  return areas.get(entry);
}

function blank(width, height) {
  const sheet = document.createElement("canvas");
  [sheet.width, sheet.height] = [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))];
  return sheet;
}
