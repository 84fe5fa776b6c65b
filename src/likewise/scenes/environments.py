"""What world a scene plays in: which kinds stand how, on what ground, how many and how close.

"anything" puts any kind in any layout on any ground; the others are places of the world, in which kinds, layouts and
grounds belong together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from likewise.errors import LikewiseError, nearest
from likewise.scenes.config import SceneConfig
from likewise.scenes.grounds import SLIDES, TABLES
from likewise.scenes.kinds.plain import PLAIN_FAMILIES

#: The layout of things that fill the picture with no gap; it is no `Layout`, see `tissue`.
TISSUE = "tissue"


@dataclass(frozen=True)
class Environment:
    """A place.

    Attributes:
        share: how often, relative to the other settings.
        layouts: how things may stand there, and how often.
        families: which kinds are there; empty: any.
        grounds: keys of `GROUNDS`.
        turns: how often things stand upright, slightly tilted, any way, or at right angles; None: as the layout has it.
        objects: fewest and most, within what the config asks for.
        cover: smallest and largest share of the picture that things would cover side by side; None: anything.
        others: share of the scenes with other kinds; None: as the config has it.
        side: the picture's longer side as a share of what the config asks for.
        slide: it is seen through a microscope.
        photos: share of the grounds that are photographs, where there are any.
        furniture: what things stand on or lie in, a key of `FURNITURE`; "": nothing.
        overgrown: leaves lie over things.
        hidden: the ground is full of parts in the target's own colours and texture (see `camouflage`).
        variety: how much instances differ, instead of the usual draw.
        clean: nothing lies about, nobody else comes by, and light and camera are perfect.
    """

    share: float
    layouts: dict[str, float]
    families: frozenset[str] = frozenset()
    grounds: tuple[str, ...] = TABLES
    turns: tuple[float, float, float, float] | None = None
    objects: tuple[int, int] = (1, 2000)
    cover: tuple[float, float] | None = None
    others: float | None = None
    side: tuple[float, float] = (1.0, 1.0)
    slide: bool = False
    photos: float = 0.6
    furniture: str = ""
    overgrown: bool = False
    hidden: bool = False
    variety: tuple[float, float] | None = None
    clean: bool = False


_UPRIGHT, _TILTED, _ANY = (0.8, 0.2, 0.0, 0.0), (0.3, 0.7, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)
_SMALL = frozenset(
    {
        "coin",
        "button",
        "glass bead",
        "two-coloured capsule",
        "shell",
        "bolt",
        "keycap",
        "cup",
        "fruit",
        "ball",
        "egg",
        "capsule",
        "drum",
        "block",
        "ring",
        "hexagonal nut",
        "gem",
        "dumbbell",
        "horn",
        "pear",
        "mushroom",
        "cone",
        "seed",
        "bean",
        "pebble",
        "tablet",
        "washer",
        "nut",
        "grain",
        "berry",
    }
)
_GOODS = frozenset({"bottle", "tin", "jar", "carton", "book", "flask", "mug", "drum", "block"})
_PEOPLE = frozenset({"bust", "standing person", "penguin"})

SETTINGS: dict[str, Environment] = {
    "anything": Environment(
        0.44,
        {
            "scatter": 0.2,
            "strewn": 0.07,
            "grid": 0.08,
            "rows": 0.07,
            "hexagons": 0.08,
            "clusters": 0.08,
            "pile": 0.06,
            "ground": 0.08,
            "avenue": 0.06,
            "curve": 0.04,
            TISSUE: 0.05,
            "brim": 0.03,
            "stands": 0.04,
            "crowd": 0.03,
            "packed": 0.03,
            "swarm": 0.03,
        },
    ),
    "slide": Environment(
        0.1,
        {"scatter": 0.3, "strewn": 0.1, "hexagons": 0.1, "clusters": 0.15, "packed": 0.05, "swarm": 0.05, TISSUE: 0.1},
        grounds=SLIDES,
        slide=True,
    ),
    "glow": Environment(
        0.05,
        {"scatter": 0.3, "strewn": 0.4, "clusters": 0.2, "swarm": 0.1},
        frozenset({"glowing nucleus"}),
        ("dark field",),
        objects=(20, 420),
        cover=(0.05, 0.75),
        others=0.0,
        side=(0.4, 0.8),
        slide=True,
        variety=(0.2, 1.0),
    ),
    "stained": Environment(
        0.05,
        {"scatter": 0.4, "strewn": 0.1, "clusters": 0.4, "packed": 0.1},
        frozenset({"stained nucleus", "pale nucleus", "red cell"}),
        ("stained",),
        objects=(10, 300),
        cover=(0.05, 0.7),
        others=0.75,
        side=(0.5, 1.0),
        slide=True,
        variety=(0.3, 1.0),
    ),
    "thin walls": Environment(
        0.06,
        {TISSUE: 1.0},
        frozenset({"thin-walled cell"}),
        SLIDES,
        objects=(40, 420),
        others=0.0,
        side=(0.28, 0.8),
        slide=True,
        variety=(0.2, 1.0),
    ),
    "shelf": Environment(
        0.05,
        {"shelves": 0.8, "bond": 0.2},
        _GOODS,
        ("plain", "wood", "gradient", "clouded"),
        _UPRIGHT,
        (6, 250),
        (0.3, 1.2),
        others=0.55,
        photos=0.3,
        furniture="boards",
    ),
    "stands": Environment(
        0.04,
        {"stands": 0.9, "avenue": 0.1},
        frozenset({"seat"}),
        ("plain", "asphalt", "gradient"),
        _UPRIGHT,
        (20, 500),
        (0.4, 1.4),
        others=0.1,
        photos=0.1,
        variety=(0.0, 0.3),
    ),
    "crowd": Environment(
        0.04,
        {"crowd": 0.7, "stands": 0.3},
        _PEOPLE,
        ("asphalt", "snow", "grass", "tiled"),
        _UPRIGHT,
        (10, 500),
        (0.5, 2.2),
        others=0.25,
        photos=0.2,
    ),
    "stack": Environment(
        0.035,
        {"packed": 0.85, "hexagons": 0.15},
        frozenset({"log end", "pipe", "ring", "button", "disc"}),
        ("clouded", "pebbled", "foliage", "plain"),
        _ANY,
        (10, 400),
        (0.6, 1.0),
        others=0.1,
        photos=0.2,
    ),
    "wall": Environment(
        0.035,
        {"bond": 0.9, "avenue": 0.1},
        frozenset({"brick", "window", "keycap", "carton", "tile", "hexagon"}),
        ("plain", "clouded", "gradient"),
        _UPRIGHT,
        (8, 400),
        (0.5, 1.0),
        others=0.1,
        photos=0.1,
    ),
    "tray": Environment(
        0.04,
        {"grid": 0.5, "hexagons": 0.4, "packed": 0.1},
        _SMALL,
        ("plain", "gradient", "wood", "cloth"),
        None,
        (4, 200),
        (0.3, 1.0),
        others=0.35,
        photos=0.1,
        furniture="pockets",
    ),
    "heap": Environment(
        0.05,
        {"brim": 0.6, "pile": 0.25, "strewn": 0.15},
        _SMALL,
        TABLES,
        _ANY,
        (20, 500),
        (0.5, 2.2),
        others=0.25,
    ),
    "lot": Environment(
        0.04,
        {"lot": 0.7, "lanes": 0.3},
        frozenset({"car", "van", "boat"}),
        ("asphalt",),
        _UPRIGHT,
        (5, 400),
        (0.1, 0.8),
        others=0.3,
        photos=0.0,
        furniture="bays",
        variety=(0.2, 0.9),
    ),
    "air": Environment(
        0.035,
        {"scatter": 0.35, "grid": 0.15, "clusters": 0.2, "lanes": 0.15, "swarm": 0.15},
        frozenset({"boat", "tree crown", "rosette", "roof", "grazing animal", "walker", "parasol", "car"}),
        ("grass", "asphalt", "water", "snow", "clouded"),
        _ANY,
        (5, 500),
        (0.03, 0.6),
        others=0.35,
        photos=0.1,
    ),
    "tree": Environment(
        0.03,
        {"scatter": 0.5, "clusters": 0.5},
        frozenset({"fruit", "bloom", "ball", "egg", "pear", "perching bird"}),
        ("foliage", "foliage", "grass"),
        _TILTED,
        (4, 200),
        (0.05, 0.45),
        others=0.15,
        photos=0.2,
        overgrown=True,
    ),
    "sky": Environment(
        0.025,
        {"swarm": 0.65, "scatter": 0.35},
        frozenset({"bird in flight", "perching bird", "fish"}),
        ("sky", "sky", "water"),
        _TILTED,
        (5, 500),
        (0.01, 0.35),
        others=0.1,
        photos=0.0,
        variety=(0.4, 1.0),
    ),
    "table": Environment(
        0.05,
        {"scatter": 0.6, "rows": 0.25, "strewn": 0.15},
        frozenset({"fork", "spoon", "knife", "pencil", "bolt", "rod", "stick", "capsule", "flask", "dumbbell", "horn"}),
        TABLES,
        (0.1, 0.2, 0.5, 0.2),
        (2, 60),
        (0.15, 0.9),
        others=0.5,
    ),
    # never drawn unless they are named
    "receding": Environment(0.0, {"ground": 0.25, "avenue": 0.25, "stands": 0.25, "crowd": 0.25}, objects=(10, 400)),
    "hidden": Environment(
        0.0,
        {"scatter": 0.5, "clusters": 0.25, "strewn": 0.15, "swarm": 0.1},
        grounds=("foliage", "pebbled", "clouded", "stained", "grass"),
        objects=(3, 150),
        cover=(0.02, 0.35),
        others=0.15,
        photos=0.25,
        hidden=True,
    ),
    "paper": Environment(
        0.0,
        {"scatter": 0.5, "grid": 0.2, "clusters": 0.3},
        PLAIN_FAMILIES,
        ("plain",),
        _ANY,
        cover=(0.1, 0.5),
        photos=0.0,
        variety=(0.0, 0.3),
        clean=True,
    ),
}
#: Settings in which any kind can be put anywhere, for configs that ask for something particular.
_PLAIN = ("anything", "slide")


def draw_setting(rng: Generator, config: SceneConfig, families: frozenset[str]) -> Environment:
    """A setting at random, of those for which the config has kinds.

    Args:
        rng: source of randomness.
        config: of the scenes; with `two_kinds`, `kinds` or a `wide_share` of 1 the plain settings only.
        families: of the kinds there are.

    Raises:
        LikewiseError: the config names a setting that there is not, the nearest is given; or none of them has kinds.
    """
    particular = config.two_kinds or config.kinds is not None or config.wide_share == 1.0
    there = [n for n, s in SETTINGS.items() if not s.families or s.families & families]
    names = [n for n in there if n in (config.settings or (_PLAIN if particular else SETTINGS))]
    for name in config.settings:
        if name not in SETTINGS:
            raise LikewiseError(f"setting {name!r} is unknown{nearest(name, SETTINGS)}")
    if not names:
        raise LikewiseError(f"no kind of the {config.split} split is at home in {', '.join(config.settings)}")
    shares = np.array([SETTINGS[n].share for n in names]) + 1e-9 * bool(config.settings)
    return SETTINGS[str(rng.choice(names, p=shares / shares.sum()))]
