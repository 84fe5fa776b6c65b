"""Where a scene plays: its layout, the size of things, the background, shadows and clutter."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from likewise.data.synthetic.backgrounds import SLIDES, TABLES, make_background
from likewise.data.synthetic.cast import Bank, Role
from likewise.data.synthetic.compose import Canvas, Shadow
from likewise.data.synthetic.config import SceneConfig
from likewise.data.synthetic.layout import HEAPED, Field
from likewise.data.synthetic.vary import Look, Portrait, draw_angle, stamp

#: The layout of things that fill the picture with no gap; it is no `Layout`, see `tissue`.
TISSUE = "tissue"
_LAYOUT_WEIGHTS = {
    "scatter": 0.26,
    "strewn": 0.08,
    "grid": 0.1,
    "rows": 0.09,
    "hexagons": 0.1,
    "clusters": 0.1,
    "pile": 0.08,
    "ground": 0.08,
    "avenue": 0.06,
    "curve": 0.05,
    TISSUE: 0.06,
}
_SLIDE_LAYOUTS = ("scatter", "strewn", "hexagons", "clusters", TISSUE)
_CLUTTER = Look(mirrored=True)
#: Share of scenes on photographs, where there are any.
_PHOTO_SHARE = 0.6
#: The target's mean colour should differ from the background's by this much; after so many tries it need not.
_CONTRAST, _BACKGROUND_TRIES = 0.12, 4


def draw_layout(rng: Generator, config: SceneConfig, *, slide: bool) -> str:
    """The name of a layout: a key of `LAYOUTS`, or `TISSUE`."""
    ruled_out = {TISSUE} if config.wide_share == 1.0 else set()
    if config.two_kinds or config.kinds is not None:
        ruled_out |= {TISSUE, *HEAPED}
    names = [n for n in (_SLIDE_LAYOUTS if slide else _LAYOUT_WEIGHTS) if n not in ruled_out]
    weights = np.array([_LAYOUT_WEIGHTS[n] for n in names])
    return str(rng.choice(names, p=weights / weights.sum()))


def draw_field(rng: Generator, config: SceneConfig, roles: tuple[Role, ...], layout: str) -> Field:
    """The picture's size, and the size of things from how many there are and how much they are to cover."""
    longer = int(rng.integers(config.side[0], config.side[1] + 1))
    aspect = float(rng.choice((1.0, 4 / 3, 1.5, 16 / 9), p=(0.25, 0.4, 0.25, 0.1)))
    shorter = round(longer / aspect)
    width, height = (longer, shorter) if rng.random() < 0.7 else (shorter, longer)
    weight = sum(role.count * role.relative**2 for role in roles)
    # skewed to the crowded side: what people have counted for them is mostly crowded
    covered = float(0.06 + (2.6 if layout in HEAPED else 1.0) * rng.random() ** 1.3)
    ratio = 1.0 + (config.max_ratio - 1.0) * (1.0 if rng.random() < config.wide_share else float(rng.uniform(0, 0.35)))
    # room on both sides for the smallest and the largest
    low, high = config.size[0] * ratio**0.5, config.size[1] / ratio**0.5
    size = float(np.clip(np.sqrt(covered * width * height / weight), min(low, high), high))
    return Field(width, height, size, ratio)


def draw_background(
    rng: Generator, bank: Bank, roles: tuple[Role, ...], field: Field, *, slide: bool
) -> NDArray[np.uint8]:
    """A background the target stands out from; photographs of shops are blurred behind things cut from such."""
    pasted_photo = any(role.kind.source == "cutout" for role in roles)
    for attempt in range(_BACKGROUND_TRIES):
        kind = str(rng.choice(SLIDES if slide else TABLES))
        if bank.photos.paths and not slide and rng.random() < _PHOTO_SHARE:
            kind = "soft photo" if pasted_photo or rng.random() < 0.35 else "photo"
        pixels = make_background(rng, kind, field.height, field.width, bank.photos)
        mean = pixels[::8, ::8].reshape(-1, 3).mean(0) / 255
        stands_out = float(np.abs(mean - roles[0].mean_colour()).max()) > _CONTRAST
        if stands_out or attempt == _BACKGROUND_TRIES - 1:
            return pixels
    raise AssertionError("the last attempt returns")


def draw_shadow(rng: Generator) -> Shadow:
    """One light for the whole scene."""
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.16)
    dx, dy = float(reach * np.cos(angle)), float(reach * np.sin(angle))
    return Shadow(dx, dy, float(rng.uniform(0.02, 0.12)), float(rng.uniform(0.25, 0.75)))


def strew_clutter(rng: Generator, bank: Bank, canvas: Canvas, field: Field, count: int) -> None:
    """A few large things of no counted kind, over whatever is there already."""
    side = float(np.clip(field.size * rng.uniform(1.8, 4.0), 60, 260))
    for _ in range(count):
        kind = bank.shapes[int(rng.integers(len(bank.shapes)))]
        portrait = Portrait(kind.portraits(rng, 1, 1.0, bank.photos)[0])
        at = (float(rng.uniform(0, field.width)), float(rng.uniform(0, field.height)))
        rgba, left, top = stamp(rng, portrait, _CLUTTER, side, draw_angle(rng, "any"), at)
        canvas.cover(rgba, left, top)
