"""Everything a split's scenes are made of: kinds from every source, and photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.random import Generator
from PIL import Image

from likewise.scenes.config import SceneConfig, kind_split
from likewise.scenes.kinds.cells.nuclei import microscopic_kinds
from likewise.scenes.kinds.cutouts import PhotoBank, cutout_kinds, photo_bank
from likewise.scenes.kinds.drawn import drawn_kinds
from likewise.scenes.kinds.emoji import emoji_kinds
from likewise.scenes.kinds.plain import plain_kinds
from likewise.scenes.kinds.shapes import ShapeKind, shape_kinds
from likewise.scenes.kinds.solids import solid_kinds

#: How often each source of kinds is drawn from, where it is there.
_SOURCES = {"emoji": 0.36, "shape": 0.22, "cutout": 0.16, "solid": 0.15, "drawn": 0.11}
#: Outlines that pass for cells, colonies and grains under a microscope.
CELLULAR = frozenset({"disc", "cell", "blob", "egg", "bean", "grain", "berry", "rod", "ring", "pebble", "seed"})
#: Families of drawn and rendered kinds of which none is ever trained on; the others are split kind by kind.
HELD_OUT_FAMILIES = frozenset({"boat", "shell", "spoon", "jar", "grazing animal", "cup", "mug", "gem"})


class Kind(Protocol):
    """A nameable thing that can be drawn."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def source(self) -> str:
        """Where it comes from: "emoji", "shape", "cutout", "solid", "drawn", "plain" or, of slides, "glow", ..."""

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """``count`` RGBA pictures of instances, or more, that differ by ``variety`` in [0, 1]."""


@dataclass(frozen=True)
class Assets:
    """Everything a split's scenes are made of.

    Attributes:
        kinds: by source.
        shapes: the procedural ones again, as what they are.
        cells: those of them that pass for cells.
        photos: photographs.
    """

    kinds: dict[str, tuple[Kind, ...]]
    shapes: tuple[ShapeKind, ...]
    cells: tuple[ShapeKind, ...]
    photos: PhotoBank

    @property
    def families(self) -> frozenset[str]:
        """Of every kind that has one."""
        return frozenset(family_of(kind) for kinds in self.kinds.values() for kind in kinds) - {""}

    def draw(self, rng: Generator, families: frozenset[str], *, slide: bool) -> Kind:
        """A kind at random.

        Args:
            rng: source of randomness.
            families: of these only, each as likely as any other; empty: of all, by source.
            slide: it lies under a microscope, so it is mostly something cellular.
        """
        if families:
            there = sorted(families & self.families)
            family = there[int(rng.integers(len(there)))]
            mine = [kind for kinds in self.kinds.values() for kind in kinds if family_of(kind) == family]
            return mine[int(rng.integers(len(mine)))]
        if slide and rng.random() < 0.85:
            return self.cells[int(rng.integers(len(self.cells)))]
        sources = [s for s in _SOURCES if self.kinds[s]]
        weights = np.array([_SOURCES[s] for s in sources])
        source = str(rng.choice(sources, p=weights / weights.sum()))
        return self.kinds[source][int(rng.integers(len(self.kinds[source])))]


def family_of(kind: Kind) -> str:
    """The family of a kind, "" for one that has none."""
    return str(getattr(kind, "family", ""))


def split_of(kind: Kind) -> str:
    """The split of a kind: "val" for whole families, and for about one in ten of the others."""
    if kind.source in ("drawn", "solid") and family_of(kind) in HELD_OUT_FAMILIES:
        return "val"
    return kind_split(kind.name)


@lru_cache(maxsize=8)
def load_assets(split: str, emoji: bool, cutouts: tuple[str, ...], backgrounds: tuple[str, ...]) -> Assets:
    """The kinds and photographs of a split (cached: drawing the font's sprites takes seconds)."""
    microscopic = microscopic_kinds()
    every: dict[str, Sequence[Kind]] = {
        "emoji": emoji_kinds() if emoji else (),
        "shape": shape_kinds(),
        "cutout": cutout_kinds(cutouts),
        "solid": solid_kinds(),
        "drawn": drawn_kinds(),
        "plain": plain_kinds(),
        **{source: [k for k in microscopic if k.source == source] for source in ("glow", "nucleus", "membrane")},
    }
    kinds = {source: tuple(k for k in found if split_of(k) == split) for source, found in every.items()}
    shapes = tuple(k for k in shape_kinds() if split_of(k) == split)
    cells = tuple(k for k in shapes if k.family in CELLULAR)
    return Assets(kinds, shapes, cells, photo_bank(backgrounds, split))


def assets_of(config: SceneConfig) -> Assets:
    """The kinds and photographs a config's scenes are made of."""
    return load_assets(config.split, config.emoji, config.cutouts, config.backgrounds)
