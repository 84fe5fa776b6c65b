// How a picture is shown: brightness, contrast and gamma for the eye alone. What is counted is the picture as it is.

export const PLAIN = Object.freeze({ brightness: 0, contrast: 0, gamma: 1 });

export const isPlain = (look) => Object.keys(PLAIN).every((key) => look[key] === PLAIN[key]);

/** Where each of 256 values goes: gamma first, then contrast about the middle, then brightness; both in percent. */
export function curve({ brightness, contrast, gamma }) {
  const slope = contrast >= 0 ? 1 + contrast / 25 : 1 + contrast / 100;
  return Uint8ClampedArray.from({ length: 256 }, (_, i) => 255 * (((i / 255) ** (1 / gamma) - 0.5) * slope + 0.5 + brightness / 100));
}

/** An image as it is to look, as a canvas; the image itself where nothing is changed. */
export function looking(image, look) {
  if (!image || isPlain(look)) return image;
  const sheet = document.createElement("canvas");
  [sheet.width, sheet.height] = [image.naturalWidth, image.naturalHeight];
  const pen = sheet.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  const pixels = pen.getImageData(0, 0, sheet.width, sheet.height);
  const table = curve(look);
  const { data } = pixels;
  for (let i = 0; i < data.length; i += 4) {
    data[i] = table[data[i]];
    data[i + 1] = table[data[i + 1]];
    data[i + 2] = table[data[i + 2]];
  }
  pen.putImageData(pixels, 0, 0);
  return sheet;
}
