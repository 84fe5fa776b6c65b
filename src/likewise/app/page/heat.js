// The colours of the heat: maps whose lightness rises or, for light pictures, falls steadily, and which of them fits a picture.

/** Anchors, evenly spaced: parts of inferno and viridis that stand out from black, blues that end in white, and the dark end. */
export const MAPS = {
  warm: [[150, 38, 103], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]],
  green: [[59, 82, 139], [33, 145, 140], [53, 183, 121], [144, 215, 67], [253, 231, 37]],
  blue: [[30, 90, 200], [40, 140, 235], [70, 190, 255], [150, 225, 255], [242, 252, 255]],
  plum: [[255, 170, 60], [245, 95, 70], [205, 30, 110], [125, 10, 120], [45, 5, 80]],
};
/** How the server makes opacity of density: likewise.draw.heat_layer. */
const [STRENGTH, POWER] = [0.72, 0.6];
/** How opaque a level is shown: more than there, so that half of the most can be told from any ground. */
const opacity = (level) => 0.9 * level ** 0.45;

/** A layer of heat in other colours, as a canvas; what it shows is in its opacity. */
export function inColours(layer, name) {
  const sheet = document.createElement("canvas");
  [sheet.width, sheet.height] = [layer.naturalWidth, layer.naturalHeight];
  const pen = sheet.getContext("2d", { willReadFrequently: true });
  pen.drawImage(layer, 0, 0);
  const pixels = pen.getImageData(0, 0, sheet.width, sheet.height);
  const levels = Array.from({ length: 256 }, (_, alpha) => Math.min(1, (alpha / 255 / STRENGTH) ** (1 / POWER)));
  const table = levels.map((level) => [...colourAt(MAPS[name], level), Math.round(255 * opacity(level))]);
  for (let i = 0; i < pixels.data.length; i += 4) {
    pixels.data.set(table[pixels.data[i + 3]], i);
  }
  pen.putImageData(pixels, 0, 0);
  return sheet;
}

/** The map that is least like what a picture shows, so that heat can be told from it on red and on black alike. */
export function fitting(picture) {
  const side = 24;
  const sheet = document.createElement("canvas");
  sheet.width = sheet.height = side;
  const pen = sheet.getContext("2d", { willReadFrequently: true });
  pen.drawImage(picture, 0, 0, side, side);
  const { data } = pen.getImageData(0, 0, side, side);
  const seen = Array.from({ length: side * side }, (_, i) => perceived([...data.slice(4 * i, 4 * i + 3)]));
  const apart = (name) => {
    const colours = [0.5, 1].map((level) => [perceived(colourAt(MAPS[name], level)), opacity(level)]);
    return seen.reduce((sum, ground) => sum + Math.min(...colours.map(([each, opaque]) => opaque * distance(each, ground))), 0);
  };
  return Object.keys(MAPS).sort((a, b) => apart(b) - apart(a))[0];
}

function colourAt(anchors, level) {
  const place = level * (anchors.length - 1);
  const at = Math.min(Math.floor(place), anchors.length - 2);
  return anchors[at].map((value, i) => Math.round(value + (place - at) * (anchors[at + 1][i] - value)));
}

const distance = (a, b) => Math.hypot(...a.map((value, i) => value - b[i]));

/** Oklab of an sRGB colour (Ottosson, 2020): distances in it are about those that are seen. */
export function perceived(colour) {
  const [r, g, b] = colour.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  const [l, m, s] = [
    0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
    0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
    0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b,
  ].map(Math.cbrt);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}
