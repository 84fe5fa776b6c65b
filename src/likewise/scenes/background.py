"""Where a scene plays: its layout, the size of things, the background, shadows and clutter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from likewise.scenes.appearance import Appearance, Portrait, draw_angle, stamp
from likewise.scenes.assets import Assets, family_of
from likewise.scenes.canvas import Canvas, Shadow
from likewise.scenes.config import SceneConfig
from likewise.scenes.environments import TISSUE, Environment
from likewise.scenes.grounds import make_background
from likewise.scenes.layouts.flat import Field
from likewise.scenes.layouts.perspective import DEEP, HEAPED
from likewise.scenes.objects import Role

_CLUTTER = Appearance(mirrored=True)
#: Share of scenes with a near and a far side that go all the way to the largest ratio of sizes.
_DEEP_SHARE = 0.6
#: The longer side of small pictures as a share of what is asked for, and the least any picture has, in pixels.
_SMALL, _SMALLEST = (0.4, 0.75), 128
#: The target's mean colour should differ from the background's by this much; after so many tries it need not.
_CONTRAST, _BACKGROUND_TRIES = 0.12, 4


def draw_layout(rng: Generator, config: SceneConfig, setting: Environment) -> str:
    """The name of a layout: a key of `LAYOUTS`, or `TISSUE`."""
    ruled_out = {TISSUE} if config.wide_share == 1.0 else set()
    if config.two_kinds or config.kinds is not None:
        ruled_out |= {TISSUE, *HEAPED}
    names = [n for n in setting.layouts if n not in ruled_out]
    weights = np.array([setting.layouts[n] for n in names])
    return str(rng.choice(names, p=weights / weights.sum()))


def draw_field(
    rng: Generator, config: SceneConfig, setting: Environment, roles: tuple[Role, ...], layout: str
) -> Field:
    """The picture's size, and the size of things from how many there are and how much they are to cover."""
    longer = float(rng.integers(config.side[0], config.side[1] + 1)) * rng.uniform(*setting.side)
    if setting.side == (1.0, 1.0) and rng.random() < config.small_share:
        longer *= rng.uniform(*_SMALL)
    longer = max(longer, min(_SMALLEST, config.side[0]))
    aspect = float(rng.choice((1.0, 4 / 3, 1.5, 16 / 9), p=(0.25, 0.4, 0.25, 0.1)))
    sides = round(longer), round(longer / aspect)
    width, height = sides if rng.random() < 0.7 else sides[::-1]
    weight = sum(role.count * role.relative**2 for role in roles)
    if setting.cover is None:
        # skewed to the crowded side: what people have counted for them is mostly crowded
        covered = float(0.06 + (2.6 if layout in HEAPED else 1.0) * rng.random() ** 1.3)
    else:
        covered = float(rng.uniform(*setting.cover))
    wide = rng.random() < (_DEEP_SHARE if layout in DEEP else config.wide_share)
    ratio = 1.0 + (config.max_ratio - 1.0) * float(rng.uniform(0.5, 1.0) if wide else rng.uniform(0, 0.35))
    ratio = config.max_ratio if config.wide_share == 1.0 else ratio
    # room on both sides for the smallest and the largest
    low, high = config.size[0] * ratio**0.5, config.size[1] / ratio**0.5
    size = float(np.clip(np.sqrt(covered * width * height / weight), min(low, high), high))
    return Field(width, height, size, ratio, roles[0].aspect)


def draw_background(
    rng: Generator, bank: Assets, setting: Environment, roles: tuple[Role, ...], field: Field
) -> NDArray[np.uint8]:
    """A background the target stands out from; photographs of shops are blurred behind things cut from such."""
    pasted_photo = any(role.kind.source == "cutout" for role in roles)
    for attempt in range(_BACKGROUND_TRIES):
        kind = str(rng.choice(setting.grounds))
        if bank.photos.paths and not setting.slide and rng.random() < setting.photos:
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


def strew_clutter(rng: Generator, bank: Assets, canvas: Canvas, field: Field, count: int) -> None:
    """A few large things of no counted kind, over whatever is there already."""
    side = float(np.clip(field.size * rng.uniform(1.8, 4.0), 60, 260))
    for _ in range(count):
        kind = bank.shapes[int(rng.integers(len(bank.shapes)))]
        portrait = Portrait(kind.portraits(rng, 1, 1.0, bank.photos)[0])
        at = (float(rng.uniform(0, field.width)), float(rng.uniform(0, field.height)))
        rgba, left, top = stamp(rng, portrait, _CLUTTER, side, draw_angle(rng, "any"), at)
        canvas.cover(rgba, left, top)


def strew_lookalikes(rng: Generator, bank: Assets, canvas: Canvas, field: Field, target: Role) -> None:
    """Some smaller things in the target's colours and another shape, below what is to be counted: crumbs and chips."""
    mine = family_of(target.kind)
    kind = next(k for k in rng.permutation(len(bank.shapes)) if bank.shapes[k].family != mine)
    red, green, blue = (float(v) for v in target.mean_colour())
    shape = bank.shapes[kind]
    like = replace(shape, paint=replace(shape.paint, colour=(red, green, blue)))
    portraits = [Portrait(p) for p in like.portraits(rng, 3, 0.6, bank.photos)]
    for _ in range(int(np.exp(rng.uniform(0.7, 4.0)))):
        at = (float(rng.uniform(0, field.width)), float(rng.uniform(0, field.height)))
        side = field.size * float(np.exp(rng.uniform(np.log(0.2), np.log(0.6))))
        portrait = portraits[int(rng.integers(len(portraits)))]
        rgba, left, top = stamp(rng, portrait, _CLUTTER, side, draw_angle(rng, "any"), at)
        canvas.cover(rgba, left, top)
