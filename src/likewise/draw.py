"""Drawing with Pillow and numpy: heat, boxes, outlines, points, captions, and sheets of pictures.

Convention
----------
Coordinates are float pixels of the picture that is drawn on, the centre of its top left pixel at (0.5, 0.5).
Every function draws in place on an RGB picture, except `heat_overlay`, `heat_layer`, `mask_overlay`, `canvas`,
`on_ground`, `captioned`, `beside`, `above_answers` and `contact_sheet`, which return a new one. Lines have a dark
casing, so that they can be seen on any ground.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.spatial import cKDTree

from likewise.types import Box, Point

#: Anchors of the heat colours, dark to bright, evenly spaced: lightness rises steadily, also for the colour-blind.
HEAT = np.array(
    [(8, 6, 30), (66, 12, 102), (128, 30, 110), (188, 52, 88), (232, 94, 48), (250, 156, 20), (252, 222, 100)],
    dtype=np.float32,
)
BOX_COLOUR = (64, 224, 255)
NEGATIVE_COLOUR = (255, 88, 88)
REGION_COLOUR = (255, 255, 255)
POINT_COLOUR = (72, 255, 120)
MASK_COLOUR = (64, 224, 160)
CASING = (10, 12, 20)
GROUND = (24, 26, 34)
#: A picture that is drawn on at its own size is reduced to this many pixels where it has more: 400 MB.
LARGEST_AREA = 100_000_000
#: Rows times columns that are blended at once.
BLENDED = 1 << 22
#: Of a number that is not to be trusted.
DOUBTFUL_COLOUR = (255, 186, 72)
#: Fonts of systems, by what they are called there, tried in this order for letters that Pillow's own font lacks.
FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf"),
    *("Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "Hiragino Sans GB.ttc", "msyh.ttc", "wqy-microhei.ttc"),
)
#: Letters that are no base letter with an accent.
SPELLED = {"\u2013": "-", "\u2014": "-", "\u2019": "'", "\u00d7": "x", "\u00df": "ss", "\u00e6": "ae", "\u0153": "oe"}
SPELLED |= {"\u00f8": "o", "\u00d8": "O", "\u0142": "l", "\u0141": "L", "\u0111": "d", "\u0131": "i", "\u2026": "..."}
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


def canvas(
    image: np.ndarray, *, smallest: int = 900, largest: int = 1600, least: int = 240
) -> tuple[Image.Image, float]:
    """A copy of a picture at a size good to look at, and the factor it was scaled by.

    Args:
        image: (H, W, 3) uint8.
        smallest: the longest side is enlarged to this many pixels where it is shorter.
        largest: the longest side is reduced to this many pixels where it is longer.
        least: where a side is still shorter than this, a strip of plain ground is put right or below.
    """
    picture = Image.fromarray(image)
    longest = max(picture.size)
    factor = min(max(longest, smallest), largest) / longest
    if factor != 1:
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        picture = picture.resize(size, Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC)
    return on_ground(picture, least), factor


def on_ground(picture: Image.Image, least: int = 240) -> Image.Image:
    """A picture, with a strip of plain ground right or below where a side is shorter than this many pixels."""
    if min(picture.size) >= least:
        return picture
    width, height = (side + least if side < least else side for side in picture.size)
    ground = Image.new("RGB", (width, height), GROUND)
    ground.paste(picture)
    return ground


def own_side(pixels: np.ndarray) -> int:
    """The longest side of a picture (H, W, 3), or of a copy that is reduced to `LARGEST_AREA`."""
    height, width = pixels.shape[:2]
    return round(max(height, width) * min(1.0, (LARGEST_AREA / (height * width)) ** 0.5))


def lay_over(picture: Image.Image, layer: Image.Image) -> None:
    """Lay an RGBA layer of any size over all of a picture, strip by strip, whatever the picture's size."""
    share = layer.height / picture.height
    for y0, y1 in _strips(picture):
        strip = layer.resize(
            (picture.width, y1 - y0), Image.Resampling.BILINEAR, box=(0, y0 * share, layer.width, y1 * share)
        )
        picture.paste(strip.convert("RGB"), (0, y0), strip.getchannel("A"))


def _strips(picture: Image.Image) -> Iterator[tuple[int, int]]:
    step = max(1, BLENDED // picture.width)
    for y in range(0, picture.height, step):
        yield y, min(y + step, picture.height)


def heat_colours(values: np.ndarray) -> np.ndarray:
    """Colours (..., 3) uint8 for values (...) in [0, 1]."""
    place = np.clip(values, 0, 1).astype(np.float32) * (len(HEAT) - 1)
    below = np.minimum(place.astype(np.int64), len(HEAT) - 2)
    share = (place - below)[..., None]
    return np.round(HEAT[below] * (1 - share) + HEAT[below + 1] * share).astype(np.uint8)


def heat_overlay(
    picture: Image.Image, density: np.ndarray, *, strength: float = 0.72, faint: float = 0.0
) -> Image.Image:
    """Lay a density (h, w) over a picture: see `heat_layer`; a map without density leaves the picture as it is."""
    layer = heat_layer(density, picture.size, strength=strength, faint=faint)
    return Image.composite(layer.convert("RGB"), picture, layer.getchannel("A"))


def resized_density(density: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The values of a density (h, w) at each pixel of (width, height): (height, width) float32."""
    small = Image.fromarray(np.ascontiguousarray(density, dtype=np.float32))
    shrinking = small.width > size[0] or small.height > size[1]
    return np.asarray(small.resize(size, Image.Resampling.BOX if shrinking else Image.Resampling.BILINEAR))


def heat_layer(
    density: np.ndarray, size: tuple[int, int], *, strength: float = 0.72, faint: float = 0.0
) -> Image.Image:
    """A density (h, w) as RGBA of ``size`` (width, height): the denser, the brighter and the more opaque.

    The colours end at the density's 99.8th percentile, so that one sharp peak does not hide the rest, but not below
    ``faint``, so that traces of density look like traces.
    """
    heat = resized_density(density, size).clip(min=0)
    present = heat[heat > 0.02 * heat.max(initial=0)]
    if present.size == 0:
        return Image.new("RGBA", size)
    level = (heat / max(np.percentile(present, 99.8), faint)).clip(0, 1)
    opacity = np.round(255 * strength * level**0.6).astype(np.uint8)
    return Image.fromarray(np.dstack([heat_colours(level), opacity]))


def mask_overlay(picture: Image.Image, mask: np.ndarray, *, strength: float = 0.45) -> Image.Image:
    """Tint what a mask (h, w) of bool covers, and dim the rest a little."""
    inside = Image.fromarray(mask).convert("L").resize(picture.size, Image.Resampling.BILINEAR)
    found, colour = Image.new("RGB", picture.size), np.array(MASK_COLOUR, np.float32) * strength
    for y0, y1 in _strips(picture):
        box = (0, y0, picture.width, y1)
        share = np.asarray(inside.crop(box))[..., None] / np.float32(255)
        pixels = np.asarray(picture.crop(box)).astype(np.float32)
        mixed = (pixels * (1 - strength) + colour) * share + 0.72 * pixels * (1 - share)
        found.paste(Image.fromarray(np.round(mixed).astype(np.uint8)), (0, y0))
    return found


def draw_boxes(picture: Image.Image, boxes: Iterable[Box], colour: tuple[int, int, int] = BOX_COLOUR) -> None:
    """Outline boxes (x0, y0, x1, y1)."""
    for x0, y0, x1, y1 in boxes:
        draw_outline(picture, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)


def draw_outline(picture: Image.Image, corners: Sequence[Point], colour: tuple[int, int, int] = REGION_COLOUR) -> None:
    """Outline a closed polygon."""
    pen = ImageDraw.Draw(picture)
    width = max(2, round(max(picture.size) / 450))
    path = [*corners, corners[0], corners[1]]  # two corners more, so that the first joint is drawn too
    pen.line(path, fill=CASING, width=width + 3, joint="curve")
    pen.line(path, fill=colour, width=width, joint="curve")


def draw_points(picture: Image.Image, points: np.ndarray, colour: tuple[int, int, int] = POINT_COLOUR) -> None:
    """Mark points (N, 2) with dots that shrink as they grow many, and leave room to the dot that is nearest."""
    if len(points) == 0:
        return
    spacing = (picture.width * picture.height / len(points)) ** 0.5
    radii = np.clip(nearest_distances(points) / 4, 0.8, np.clip(spacing / 14, 2.0, max(picture.size) / 190))
    pen = ImageDraw.Draw(picture)
    for (x, y), radius in zip(points.tolist(), radii.tolist(), strict=True):
        outer = radius + min(1.5, radius / 2)
        pen.ellipse((x - outer, y - outer, x + outer, y + outer), fill=CASING)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def draw_labels(picture: Image.Image, labels: np.ndarray, doubtful: np.ndarray) -> None:
    """Draw the edges of regions, inside of them, over all of a picture.

    Args:
        picture: of any size.
        labels: (H, W) int32, 0 or the number of a region.
        doubtful: (N,), numbers whose edges have another colour, such as of things that a border cuts.
    """
    shown = np.asarray(Image.fromarray(labels).resize(picture.size, Image.Resampling.NEAREST))
    width = max(1, round(max(picture.size) / 800))
    odd = np.isin(np.arange(int(labels.max(initial=0)) + 1), doubtful)
    for thickness, colours in ((width + 1, (CASING, CASING)), (width, (POINT_COLOUR, DOUBTFUL_COLOUR))):
        edge = _edge(shown, thickness)
        for colour, which in zip(colours, (edge & ~odd[shown], edge & odd[shown]), strict=True):
            picture.paste(colour, (0, 0), Image.fromarray(which))


def _edge(labels: np.ndarray, width: int) -> np.ndarray:
    """(H, W) bool: pixels of regions that are at most so far from another region or the ground."""
    low, high = minimum_filter(labels, 2 * width + 1), maximum_filter(labels, 2 * width + 1)
    found: np.ndarray = (labels > 0) & (low != high)
    return found


def nearest_distances(points: np.ndarray) -> np.ndarray:
    """(N,) float64, how far each of the points (N, 2) is from the one nearest to it; of a single point infinite."""
    if len(points) < 2:
        return np.full(len(points), np.inf)
    return np.asarray(cKDTree(points).query(points, k=2)[0][:, 1], np.float64)


def captioned(picture: Image.Image, title: str, note: str, *, doubtful: bool = False) -> Image.Image:
    """A picture with a large title and a small note beside it, on ground of their own: nothing of it is hidden.

    They stand below a picture that is wider than high, else right of it.

    Args:
        picture: at the new picture's top left corner, so that places in it stay where they were.
        title: such as the count.
        note: such as the model's name.
        doubtful: whether the title is not to be trusted: its colour says so.
    """
    unit = max(picture.size) / 100
    title, big = legible(title, unit * 6)
    note, small = legible(note, unit * 1.7)
    pad, colour = unit * 1.6, DOUBTFUL_COLOUR if doubtful else (255, 255, 255)
    broad = ImageDraw.Draw(picture).textlength(title, font=big)
    below = picture.width >= picture.height
    room = picture.width - broad - 3 * pad if below else max(broad, unit * 24)
    lines = _wrapped(ImageDraw.Draw(picture), note, small, room)
    size = (
        (picture.width, round(picture.height + unit * 6 + 2 * pad))
        if below
        else (round(picture.width + room + 2 * pad), picture.height)
    )
    sheet = Image.new("RGB", size, GROUND)
    sheet.paste(picture)
    pen = ImageDraw.Draw(sheet)
    x, y = (pad, picture.height + pad) if below else (picture.width + pad, pad)
    pen.text((x, y + unit * 3), title, colour, big, anchor="lm")
    left, top = (x + broad + pad, y + unit * 3 - len(lines) * unit * 1.1) if below else (x, y + unit * 8)
    for number, line in enumerate(lines):
        pen.text((left, top + number * unit * 2.2), line, (200, 206, 220), small)
    return sheet


def _wrapped(pen: ImageDraw.ImageDraw, text: str, font: Font, room: float) -> list[str]:
    """At most three lines of whole words that fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and pen.textlength(longer, font=font) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return [_shortened(pen, line, font, room) for line in [*lines[:2], " ".join(lines[2:])] if line]


def legible(text: str, size: float) -> tuple[str, Font]:
    """A text and a font that has all its letters.

    Pillow's own font has those of English. For others the system's fonts are tried; letters that none of them has are
    spelled: without their accents, or by number, such as U+4E2D.
    """
    text = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
    best = max((None, *FONTS), key=lambda name: (sum(_has(name, letter) for letter in text), name is None))
    shown = "".join(letter if _has(best, letter) else _spelled(letter) for letter in text).replace("  ", " ").strip()
    return shown, ImageFont.load_default(size) if best is None else ImageFont.truetype(best, size)


@lru_cache(maxsize=1 << 14)
def _has(font: str | None, letter: str) -> bool:
    """Whether a font, None: Pillow's own, draws a letter otherwise than one that no font has."""
    if letter.isspace() or (font is None and letter.isascii()):
        return True
    loaded = _loaded(font)
    return loaded is not None and bytes(loaded.getmask(letter)) != bytes(loaded.getmask("\U0010ffff"))


@lru_cache(maxsize=64)
def _loaded(font: str | None) -> Font | None:
    try:
        return ImageFont.load_default(20) if font is None else ImageFont.truetype(font, 20)
    except OSError:  # this system has no such font
        return None


def _spelled(letter: str) -> str:
    plain = SPELLED.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    if not plain and unicodedata.combining(letter):
        return ""
    return plain or f" U+{ord(letter):04X} "


def beside(picture: Image.Image, squares: Sequence[tuple[Image.Image, str]], *, gap: int = 12) -> Image.Image:
    """A picture, and in a column to its right smaller squares with a line under each."""
    if not squares:
        return picture.copy()
    line = 30
    side = round(np.clip((picture.height - gap * (len(squares) - 1)) / len(squares) - line, 200, 480))
    step = side + line + gap
    sheet = Image.new("RGB", (picture.width + gap + side, max(picture.height, step * len(squares) - gap)), GROUND)
    sheet.paste(picture, (0, (sheet.height - picture.height) // 2))
    pen = ImageDraw.Draw(sheet)
    for index, (square, caption) in enumerate(squares):
        text, font = legible(caption, 18)
        corner = (picture.width + gap, index * step)
        sheet.paste(square.resize((side, side), Image.Resampling.BICUBIC), corner)
        words = _shortened(pen, text, font, side)
        pen.text((corner[0] + side / 2, corner[1] + side + line / 2), words, (200, 206, 220), font, anchor="mm")
    return sheet


def above_answers(
    picture: Image.Image, answers: Sequence[tuple[str, float]], note: str, instead: str | None = None
) -> Image.Image:
    """A picture over a panel with answers, each with a bar as long as it is probable.

    Large stands the first one, or what is said ``instead``.
    """
    unit = float(np.clip(picture.width / 64, 12, 24))
    best, big = legible(instead or answers[0][0], unit * 2.2)
    note, small = legible(note, unit)
    pad, top, row = unit, unit * 4, unit * 1.7
    sheet = Image.new("RGB", (picture.width, round(picture.height + top + row * len(answers) + pad)), GROUND)
    sheet.paste(picture)
    pen, y = ImageDraw.Draw(sheet), picture.height + unit * 2.2
    room = picture.width - 3 * pad - pen.textlength(note, font=small)
    pen.text((pad, y), _shortened(pen, best, big, room), (255, 255, 255), big, anchor="lm")
    pen.text((picture.width - pad, y), note, (200, 206, 220), small, anchor="rm")
    left, right = picture.width * 0.36, picture.width - 6 * unit
    for index, (label, share) in enumerate(answers):
        y = picture.height + top + (index + 0.5) * row
        words, font = legible(label, unit)
        pen.text((pad, y), _shortened(pen, words, font, left - 2 * pad), (230, 234, 242), font, anchor="lm")
        for end, colour in ((1.0, (48, 52, 66)), (share, POINT_COLOUR)):
            if end * (right - left) >= 1:
                bar = (left, y - unit * 0.4, left + end * (right - left), y + unit * 0.4)
                pen.rounded_rectangle(bar, radius=min(unit * 0.4, end * (right - left) / 2), fill=colour)
        pen.text((picture.width - pad, y), f"{share:.1%}", (230, 234, 242), small, anchor="rm")
    return sheet


def _shortened(pen: ImageDraw.ImageDraw, text: str, font: Font, room: float) -> str:
    """A line that fits, its end cut off where it is too long."""
    if pen.textlength(text, font=font) <= room:
        return text
    while text and pen.textlength(text + "...", font=font) > room:
        text = text[:-1]
    return text.rstrip() + "..."


def contact_sheet(pictures: Sequence[Image.Image], *, columns: int = 4, side: int = 320, gap: int = 12) -> Image.Image:
    """Lay out pictures in rows of ``columns``, each fitted into a square of ``side`` pixels.

    Raises:
        ValueError: no pictures, or fewer than one column.
    """
    if not pictures or columns < 1:
        raise ValueError(f"expected at least one picture and one column, got {len(pictures)} and {columns}")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    step = side + gap
    sheet = Image.new("RGB", (columns * step + gap, rows * step + gap), GROUND)
    for index, picture in enumerate(pictures):
        tile = picture.convert("RGB")
        tile.thumbnail((side, side), Image.Resampling.LANCZOS)
        row, column = divmod(index, columns)
        corner = (gap + column * step + (side - tile.width) // 2, gap + row * step + (side - tile.height) // 2)
        sheet.paste(tile, corner)
    return sheet
