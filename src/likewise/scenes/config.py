"""What scenes to make: `SceneConfig` and its presets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from likewise.errors import LikewiseError, nearest

#: One kind in so many is held out of the train split.
HELD_OUT = 10


@dataclass(frozen=True)
class SceneConfig:
    """What scenes to make; the same config and index always give the same scene.

    Attributes:
        seed: of the whole set.
        split: "train" or "val"; the two share no kind of thing.
        side: smallest and largest longer side of a picture, in pixels.
        objects: smallest and largest number of target objects asked for (fewer may be left to see).
        size: smallest and largest sqrt(width x height) of an object, in pixels.
        max_ratio: largest ratio of object sizes within one scene.
        wide_share: share of scenes whose sizes vary by up to `max_ratio`; in the others they vary little.
        second_share: share of scenes with other kinds beside the target.
        twin_share: share of the scenes with other kinds in which the other is a near-twin, where there can be one.
        settings: play in these only, by name (see `SETTINGS`); empty: in all of them, each as often as it says.
        two_kinds: every scene holds exactly two kinds that do not look alike, at least four of each.
        kinds: smallest and largest number of kinds in every scene, one to three objects of each, whatever `objects`
            says; None: as the shares above say.
        min_visible: an object of which less can be seen is not counted.
        small_share: share of scenes that are small pictures, such as the web is full of.
        emoji: use the sprites of the colour-emoji font, where it is installed.
        cutouts: folders of cut-outs (see `cutout_kinds`).
        backgrounds: folders of photographs (see `photo_bank`).

    Raises:
        LikewiseError: an unknown split or an empty range.

    Example:
        >>> SceneConfig.preset("two-kinds").two_kinds, SceneConfig(side=(64, 96)).split
        (True, 'train')
    """

    seed: int = 0
    split: str = "train"
    side: tuple[int, int] = (512, 640)
    objects: tuple[int, int] = (1, 800)
    size: tuple[float, float] = (8.0, 240.0)
    max_ratio: float = 4.0
    wide_share: float = 0.15
    second_share: float = 0.42
    twin_share: float = 0.35
    settings: tuple[str, ...] = ()
    two_kinds: bool = False
    kinds: tuple[int, int] | None = None
    min_visible: float = 0.3
    small_share: float = 0.15
    emoji: bool = True
    cutouts: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.split not in ("train", "val"):
            raise LikewiseError(f"split = {self.split!r}: expected 'train' or 'val'")
        ranges = {"side": self.side, "objects": self.objects, "size": self.size, "kinds": self.kinds or (1, 1)}
        for name, (low, high) in ranges.items():
            if not 0 < low <= high:
                raise LikewiseError(f"{name} = ({low}, {high}): expected 0 < smallest <= largest")
        if self.objects[1] > 2000:
            raise LikewiseError(f"objects = {self.objects}: at most 2000 objects fit a scene's bookkeeping")

    @classmethod
    def default(cls) -> SceneConfig:
        """What the bundled counter is trained on."""
        return cls()

    @classmethod
    def wide_scale(cls) -> SceneConfig:
        """Every scene's objects vary about 4x in size: a test of scale, used by the scale-prior ablation."""
        return cls(objects=(8, 300), wide_share=1.0)

    @classmethod
    def two_kind_scenes(cls) -> SceneConfig:
        """Exactly two unlike kinds, four or more of each: does the count follow the prompt?"""
        return cls(objects=(5, 60), size=(16.0, 120.0), two_kinds=True, second_share=1.0, wide_share=0.0)

    @classmethod
    def near_twins(cls) -> SceneConfig:
        """The same thing in another colour or size beside what is counted, in every scene where it can have one."""
        return cls(objects=(5, 80), second_share=1.0, twin_share=1.0, settings=("anything",))

    @classmethod
    def assortment(cls) -> SceneConfig:
        """Many kinds, a few of each: to learn what things are called."""
        return cls(size=(20.0, 110.0), kinds=(15, 40), wide_share=0.3)

    @classmethod
    def crowds(cls) -> SceneConfig:
        """Very many small things that touch and cover each other, where counts fall short first."""
        packed = (
            "anything",
            "slide",
            "glow",
            "stained",
            "thin walls",
            "crowd",
            "stands",
            "heap",
            "stack",
            "lot",
            "sky",
        )
        return cls(objects=(60, 900), size=(8.0, 64.0), second_share=0.3, settings=packed)

    @classmethod
    def cells(cls) -> SceneConfig:
        """Under the microscope: many cells that glow, are stained or have thin walls, and touch or overlap."""
        return cls(objects=(20, 420), size=(8.0, 64.0), settings=("glow", "stained", "thin walls"))

    @classmethod
    def hidden(cls) -> SceneConfig:
        """Things in a ground of their own colours and texture: fruit in leaves, eggs in gravel, cells in stroma."""
        return cls(objects=(3, 150), size=(12.0, 90.0), second_share=0.3, settings=("hidden",))

    @classmethod
    def receding(cls) -> SceneConfig:
        """Rows and crowds that go into the distance: the far ones are several times smaller than the near ones."""
        return cls(settings=("receding",))

    @classmethod
    def plain(cls) -> SceneConfig:
        """Two kinds of pure colours and simple shapes on bare ground: what a small network learns in minutes."""
        return cls(
            objects=(4, 40),
            size=(14.0, 48.0),
            two_kinds=True,
            second_share=1.0,
            wide_share=0.0,
            small_share=0.0,
            settings=("paper",),
        )

    @classmethod
    def preset(cls, name: str) -> SceneConfig:
        """A preset by its name on the command line, such as "wide-scale".

        Raises:
            LikewiseError: an unknown name.
        """
        presets = {
            "default": cls.default,
            "wide-scale": cls.wide_scale,
            "two-kinds": cls.two_kind_scenes,
            "near-twins": cls.near_twins,
            "assortment": cls.assortment,
            "crowds": cls.crowds,
            "cells": cls.cells,
            "hidden": cls.hidden,
            "receding": cls.receding,
            "plain": cls.plain,
        }
        if name not in presets:
            raise LikewiseError(f"preset {name!r} is unknown{nearest(name, presets)}")
        return presets[name]()

    def with_split(self, split: str) -> SceneConfig:
        """The same scenes of the other split's kinds."""
        return replace(self, split=split)


def kind_split(name: str) -> str:
    """The split a kind belongs to, by a hash of its name: about one in `HELD_OUT` is "val"."""
    digest = hashlib.sha256(f"likewise kind {name}".encode()).digest()
    return "val" if int.from_bytes(digest[:4], "big") % HELD_OUT == 0 else "train"
