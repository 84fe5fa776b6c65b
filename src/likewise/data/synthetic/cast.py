"""Who appears in a scene: the target kind, its near-twins and the others, and how much instances differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.random import Generator
from PIL import Image

from likewise.data.synthetic.config import SceneConfig, kind_split
from likewise.data.synthetic.photos import PhotoBank, cutout_kinds, photo_bank
from likewise.data.synthetic.shapes import ShapeKind, shape_kinds
from likewise.data.synthetic.sprites import emoji_kinds
from likewise.data.synthetic.textures import Floats, colour_name
from likewise.data.synthetic.vary import Look, Portrait, make_portraits

#: How often each source of kinds is drawn from, where it is there.
_SOURCES = {"emoji": 0.47, "shape": 0.35, "cutout": 0.18}
#: Outlines that pass for cells, colonies and grains under a microscope.
CELLULAR = frozenset({"disc", "cell", "blob", "egg", "bean", "grain", "berry", "rod", "ring", "pebble", "seed"})
_TWIN_SHARE = 0.35
#: Mean colours further apart than this in a channel can be told at a glance.
_APART = 0.22
_FAR = 0.3


class Kind(Protocol):
    """A nameable thing that can be drawn."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def source(self) -> str:
        """Where it comes from: "emoji", "shape" or "cutout"."""

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """``count`` RGBA pictures of instances that differ by ``variety`` in [0, 1]."""


@dataclass(frozen=True)
class Bank:
    """Everything a split's scenes are made of."""

    kinds: dict[str, tuple[Kind, ...]]
    shapes: tuple[ShapeKind, ...]
    cells: tuple[ShapeKind, ...]
    photos: PhotoBank

    def draw(self, rng: Generator, *, slide: bool) -> Kind:
        """A kind at random; on a microscope's slide, mostly something cellular."""
        if slide and rng.random() < 0.85:
            return self.cells[int(rng.integers(len(self.cells)))]
        sources = [s for s in _SOURCES if self.kinds[s]]
        weights = np.array([_SOURCES[s] for s in sources])
        source = str(rng.choice(sources, p=weights / weights.sum()))
        return self.kinds[source][int(rng.integers(len(self.kinds[source])))]


@dataclass(frozen=True)
class Role:
    """One kind's part in a scene.

    Attributes:
        name: what its objects are called in this scene ("blue banana", beside yellow ones).
        kind: what it is.
        look: how it appears and varies.
        count: how many are asked for.
        relative: size relative to the scene's.
        portraits: its pictures.
    """

    name: str
    kind: Kind
    look: Look
    count: int
    relative: float
    portraits: tuple[Portrait, ...]

    def mean_colour(self) -> Floats:
        """Mean RGB (3,) in [0, 1] of its first portrait, weighted by coverage."""
        rgba = np.asarray(self.portraits[0].at_least(16), dtype=np.float32) / 255
        weight = rgba[..., 3:]
        mean: Floats = (rgba[..., :3] * weight).sum((0, 1)) / max(float(weight.sum()), 1e-6)
        return mean


@lru_cache(maxsize=8)
def load_bank(split: str, emoji: bool, cutouts: tuple[str, ...], backgrounds: tuple[str, ...]) -> Bank:
    """The kinds and photographs of a split (cached: drawing the font's sprites takes seconds)."""
    every: dict[str, Sequence[Kind]] = {
        "emoji": emoji_kinds() if emoji else (),
        "shape": shape_kinds(),
        "cutout": cutout_kinds(cutouts),
    }
    kinds = {source: tuple(k for k in found if kind_split(k.name) == split) for source, found in every.items()}
    shapes = tuple(k for k in shape_kinds() if kind_split(k.name) == split)
    cells = tuple(k for k in shapes if k.family in CELLULAR)
    return Bank(kinds, shapes, cells, photo_bank(backgrounds, split))


def bank_of(config: SceneConfig) -> Bank:
    """The kinds and photographs a config's scenes are made of."""
    return load_bank(config.split, config.emoji, config.cutouts, config.backgrounds)


def draw_cast(rng: Generator, config: SceneConfig, bank: Bank, *, slide: bool, layout: str) -> tuple[Role, ...]:
    """The roles of one scene, the target first; names are unique."""
    if config.kinds is not None:
        return _assortment(rng, config.kinds, bank, slide=slide, layout=layout)
    variety = float(rng.choice((0.0, rng.uniform(0.1, 0.4), rng.uniform(0.4, 1.0)), p=(0.15, 0.4, 0.45)))
    low, high = np.log(config.objects)
    count = round(float(np.exp(low + (high - low) * rng.random() ** 0.8)))
    target = _role(rng, bank, bank.draw(rng, slide=slide), count, variety, layout)
    if rng.random() >= config.second_share:
        return (target,)
    # where sizes vary fourfold, a twin that differs by its size alone could not be told apart
    twins_allowed = not config.two_kinds and config.wide_share < 1
    if twins_allowed and rng.random() < _TWIN_SHARE:
        target, twin = _twins(rng, bank, target)
        roles = (target, twin)
    else:
        roles = (
            target,
            _unlike(rng, bank, target, slide=slide, layout=layout, far=config.two_kinds, low=config.objects[0]),
        )
    extra = 0 if config.two_kinds else int(rng.choice((0, 1, 2), p=(0.6, 0.25, 0.15)))
    more = [_unlike(rng, bank, target, slide=slide, layout=layout) for _ in range(extra)]
    named: dict[str, Role] = {}
    for role in (*roles, *more):
        named.setdefault(role.name, role)
    return tuple(named.values())


def _assortment(rng: Generator, kinds: tuple[int, int], bank: Bank, *, slide: bool, layout: str) -> tuple[Role, ...]:
    """Kinds of different names, one to three objects of each; fewer kinds where a slide has no more."""
    named: dict[str, Role] = {}
    for _ in range(int(rng.integers(kinds[0], kinds[1] + 1))):
        variety = 0.5 * float(rng.random())
        role = _role(rng, bank, bank.draw(rng, slide=slide), int(rng.integers(1, 4)), variety, layout)
        named.setdefault(role.name, replace(role, relative=float(np.exp(rng.uniform(-0.4, 0.4)))))
    return tuple(named.values())


def _role(rng: Generator, bank: Bank, kind: Kind, count: int, variety: float, layout: str) -> Role:
    look = _look(rng, kind, variety, layout)
    role = Role(kind.name, kind, look, count, 1.0, _portraits(rng, bank, kind, look, variety))
    if look.surface == "photo":
        return replace(role, name=f"{kind.name} shape")
    return replace(role, name=f"{colour_name(role.mean_colour())} {kind.name}") if look.hue else role


def _portraits(rng: Generator, bank: Bank, kind: Kind, look: Look, variety: float) -> tuple[Portrait, ...]:
    pictures = kind.portraits(rng, look.portraits, variety, bank.photos)
    return tuple(make_portraits(rng, pictures, look, bank.photos))


def _look(rng: Generator, kind: Kind, variety: float, layout: str) -> Look:
    ordered = layout in ("grid", "rows", "avenue", "curve")
    turns = (0.5, 0.2, 0.2, 0.1) if ordered else (0.2, 0.15, 0.55, 0.1)
    sprite = kind.source == "emoji"
    surface = str(rng.choice(("sprite", "shaded", "photo"), p=(0.5, 0.3, 0.2))) if sprite else "sprite"
    tinted = sprite and rng.random() < 0.25
    return Look(
        turn=str(rng.choice(("upright", "slight", "any", "quarter"), p=turns)),
        mirrored=bool(rng.random() < 0.3),
        surface=surface,
        hue=float(rng.uniform(0.6, 5.6)) if tinted else 0.0,
        saturation=float(rng.choice((1.0, rng.uniform(0.15, 0.8)), p=(0.6, 0.4))) if sprite else 1.0,
        where=float(rng.random()),
        warp=0.045 * variety * float(rng.random() < 0.8),
        squeeze=0.22 * variety,
        hue_spread=float(rng.choice((0.0, 0.25, 0.8), p=(0.55, 0.3, 0.15))) * variety,
        tone_spread=float(rng.choice((0.04, 0.16))) * variety,
        gain_spread=float(rng.choice((0.06, 0.3))) * variety,
        field=float(rng.choice((0.0, 0.15, 0.4))) * variety,
        portraits=1 + round(7 * variety),
    )


def _twins(rng: Generator, bank: Bank, target: Role) -> tuple[Role, Role]:
    """The target and the same thing in another colour, or in another size where colour would not tell.

    Both vary modestly, or nobody could tell which is which.
    """
    thing, look = target.kind.name, _calm(target.look, one=target.kind.source == "cutout")
    pictures = target.kind.portraits(rng, look.portraits, 0.3, bank.photos)
    repaint = replace(look, hue=look.hue + float(rng.uniform(1.6, 4.6)))
    count = min(400, round(max(2, target.count * float(np.exp(rng.uniform(-1.2, 0.5))))))
    mine = replace(target, look=look, portraits=tuple(make_portraits(rng, pictures, look, bank.photos)))
    its = replace(mine, look=repaint, portraits=tuple(make_portraits(rng, pictures, repaint, bank.photos)), count=count)
    names = [colour_name(role.mean_colour()) for role in (mine, its)]
    if names[0] != names[1] and float(np.abs(mine.mean_colour() - its.mean_colour()).max()) > _APART:
        return replace(mine, name=f"{names[0]} {thing}"), replace(its, name=f"{names[1]} {thing}")
    pair = [replace(mine, name=f"small {thing}", relative=0.62), replace(mine, name=f"large {thing}", relative=1.5)]
    first, second = pair if rng.random() < 0.5 else pair[::-1]
    return first, replace(second, count=count)


def _calm(look: Look, *, one: bool) -> Look:
    """The look with its instances nearly alike; ``one``: all of them from a single portrait."""
    return replace(
        look,
        hue_spread=0.0,
        tone_spread=min(look.tone_spread, 0.03),
        gain_spread=min(look.gain_spread, 0.1),
        field=min(look.field, 0.12),
        squeeze=min(look.squeeze, 0.08),
        warp=min(look.warp, 0.02),
        portraits=1 if one else look.portraits,
    )


def _unlike(
    rng: Generator, bank: Bank, target: Role, *, slide: bool, layout: str, far: bool = False, low: int = 1
) -> Role:
    """Another kind; ``far``: one whose colours are clearly not the target's."""
    high = max(low + 1, target.count * float(rng.uniform(0.3, 1.6)))
    count = round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))
    relative = float(np.exp(rng.uniform(-0.3, 0.3) if far else rng.uniform(-0.6, 0.6)))
    while True:
        kind = bank.draw(rng, slide=slide)
        role = _role(rng, bank, kind, min(count, 300), 0.3 * float(rng.random()), layout)
        apart = float(np.abs(role.mean_colour() - target.mean_colour()).max())
        if kind.name != target.kind.name and (apart > _FAR or not far):
            return replace(role, relative=relative)
