"""Who appears in a scene: the target kind, its near-twins and the others, and how much instances differ."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from likewise.scenes.appearance import Appearance, Portrait, make_portraits
from likewise.scenes.assets import Assets, Kind, family_of
from likewise.scenes.config import SceneConfig
from likewise.scenes.environments import Environment
from likewise.scenes.kinds.drawn import DrawnKind
from likewise.scenes.kinds.solids import SolidKind
from likewise.scenes.kinds.textures import Floats, colour_name
from likewise.scenes.layouts.perspective import DEEP

#: How often things stand upright, slightly tilted, any way or at right angles: where they stand, in rows, elsewhere.
_STANDING, _ORDERED, _STREWN = (0.7, 0.3, 0.0, 0.0), (0.5, 0.2, 0.2, 0.1), (0.2, 0.15, 0.55, 0.1)
_TURNS = {**dict.fromkeys(("stands", "crowd", "shelves", "bond"), _STANDING),
          **dict.fromkeys(("grid", "rows", "avenue", "curve", "lot", "lanes"), _ORDERED)}  # fmt: skip
#: Sources whose pictures may be warped a lot; what is drawn straight or round would look broken.
_SOFT = frozenset({"emoji", "shape", "cutout", "solid"})
#: Share of the other kinds of a place that are at home there, and how often one is drawn again that will not do.
_AT_HOME, _TRIES = 0.75, 12
#: Mean colours further apart than this in a channel can be told at a glance.
_APART = 0.22
_FAR = 0.3


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
    look: Appearance
    count: int
    relative: float
    portraits: tuple[Portrait, ...]

    @property
    def aspect(self) -> float:
        """Width / height as it stands, 1 where it does not stand upright."""
        picture = self.portraits[0].image
        return picture.width / picture.height if self.look.turn in ("upright", "slight") else 1.0

    def mean_colour(self) -> Floats:
        """Mean RGB (3,) in [0, 1] of its first portrait, weighted by coverage."""
        rgba = np.asarray(self.portraits[0].at_least(16), dtype=np.float32) / 255
        weight = rgba[..., 3:]
        mean: Floats = (rgba[..., :3] * weight).sum((0, 1)) / max(float(weight.sum()), 1e-6)
        return mean


@dataclass(frozen=True)
class Plan:
    """What a scene is to be, before anybody is chosen.

    Attributes:
        config: what is asked for.
        bank: who there is.
        setting: where it plays.
        layout: how things stand.
    """

    config: SceneConfig
    bank: Assets
    setting: Environment
    layout: str

    def draw_kind(self, rng: Generator, *, anybody: bool = False) -> Kind:
        """A kind that is at home in the setting; ``anybody``: any kind."""
        return self.bank.draw(rng, frozenset() if anybody else self.setting.families, slide=self.setting.slide)

    def draw_variety(self, rng: Generator) -> float:
        """How much instances differ, in [0, 1]."""
        if self.setting.variety is not None:
            return float(rng.uniform(*self.setting.variety))
        return float(rng.choice((0.0, rng.uniform(0.1, 0.4), rng.uniform(0.4, 1.0)), p=(0.15, 0.35, 0.5)))

    def draw_count(self, rng: Generator) -> int:
        """How many of the target: as the setting has it where that is within what is asked for."""
        (least, most), (few, many) = self.config.objects, self.setting.objects
        low, high = (max(least, few), min(most, many)) if max(least, few) <= min(most, many) else (least, most)
        return round(float(np.exp(np.log(low) + np.log(high / low) * rng.random() ** 0.8)))


def draw_cast(rng: Generator, plan: Plan) -> tuple[Role, ...]:
    """The roles of one scene, the target first; names are unique."""
    config = plan.config
    if config.kinds is not None:
        return _assortment(rng, config.kinds, plan)
    variety = plan.draw_variety(rng)
    target = _role(rng, plan, plan.draw_kind(rng), plan.draw_count(rng), variety)
    share = plan.setting.others if plan.setting.others is not None and config.second_share else config.second_share
    if rng.random() >= share:
        return (target,)
    # where sizes vary, a twin that differs by its size alone could not be told apart
    twins_allowed = not config.two_kinds and config.wide_share < 1 and plan.layout not in DEEP
    if twins_allowed and not _manifold(target.kind) and rng.random() < config.twin_share:
        roles = _twins(rng, plan.bank, target)
    else:
        roles = (target, _unlike(rng, plan, target, far=config.two_kinds, low=config.objects[0]))
    extra = 0 if config.two_kinds else int(rng.choice((0, 1, 2), p=(0.6, 0.25, 0.15)))
    more = [_unlike(rng, plan, target) for _ in range(extra)]
    named: dict[str, Role] = {}
    for role in (*roles, *more):
        named.setdefault(role.name, role)
    return tuple(named.values())


def _manifold(kind: Kind) -> bool:
    """Whether things of a kind come in many colours, so that none of them sets a twin apart."""
    return isinstance(kind, DrawnKind) and kind.colour is None


def _assortment(rng: Generator, kinds: tuple[int, int], plan: Plan) -> tuple[Role, ...]:
    """Kinds of different names, one to three objects of each; fewer kinds where a slide has no more."""
    named: dict[str, Role] = {}
    for _ in range(int(rng.integers(kinds[0], kinds[1] + 1))):
        variety = 0.5 * float(rng.random())
        role = _role(rng, plan, plan.draw_kind(rng), int(rng.integers(1, 4)), variety)
        named.setdefault(role.name, replace(role, relative=float(np.exp(rng.uniform(-0.4, 0.4)))))
    return tuple(named.values())


def _role(rng: Generator, plan: Plan, kind: Kind, count: int, variety: float) -> Role:
    turns = plan.setting.turns or _TURNS.get(plan.layout, _STREWN)
    look = _look(rng, kind, variety, turns)
    role = Role(kind.name, kind, look, count, 1.0, _portraits(rng, plan.bank, kind, look, variety))
    if look.surface == "photo":
        return replace(role, name=f"{kind.name} shape")
    return replace(role, name=f"{colour_name(role.mean_colour())} {kind.name}") if look.hue else role


def _portraits(rng: Generator, bank: Assets, kind: Kind, look: Appearance, variety: float) -> tuple[Portrait, ...]:
    pictures = kind.portraits(rng, look.portraits, variety, bank.photos)
    return tuple(make_portraits(rng, pictures, look, bank.photos))


def _look(rng: Generator, kind: Kind, variety: float, turns: tuple[float, ...]) -> Appearance:
    sprite, glow = kind.source == "emoji", kind.source == "glow"
    # what is of many colours already, or has those of a stain or a light, keeps them
    dyed = glow or kind.source == "nucleus" or _manifold(kind)
    surface = str(rng.choice(("sprite", "shaded", "photo"), p=(0.5, 0.3, 0.2))) if sprite else "sprite"
    tinted = sprite and rng.random() < 0.25
    return Appearance(
        turn=str(rng.choice(("upright", "slight", "any", "quarter"), p=turns)),
        mirrored=bool(rng.random() < 0.3),
        surface=surface,
        hue=float(rng.uniform(0.6, 5.6)) if tinted else 0.0,
        saturation=float(rng.choice((1.0, rng.uniform(0.15, 0.8)), p=(0.6, 0.4))) if sprite else 1.0,
        where=float(rng.random()),
        warp=(0.07 if kind.source in _SOFT else 0.025) * variety * float(rng.random() < 0.8),
        squeeze=0.3 * variety,
        tilt=float(rng.choice((0.0, 0.9))) * variety,
        glow=glow,
        lens=float(rng.uniform(0.4, 1.7)) if isinstance(kind, SolidKind) and kind.clear else 0.0,
        hue_spread=float(rng.choice((0.0, 0.25, 1.0), p=(0.5, 0.3, 0.2))) * variety * (not dyed),
        tone_spread=float(rng.choice((0.04, 0.2))) * variety * (0.3 if dyed else 1.0),
        gain_spread=float(rng.choice((0.06, 0.35), p=(0.3, 0.7) if glow else (0.5, 0.5))) * variety,
        field=float(rng.choice((0.0, 0.2, 0.5))) * variety * (not glow),
        portraits=1 + round(8 * variety),
    )


def _twins(rng: Generator, bank: Assets, target: Role) -> tuple[Role, Role]:
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


def _calm(look: Appearance, *, one: bool) -> Appearance:
    """The look with its instances nearly alike; ``one``: all of them from a single portrait."""
    return replace(
        look,
        hue_spread=0.0,
        tone_spread=min(look.tone_spread, 0.03),
        gain_spread=min(look.gain_spread, 0.1),
        field=min(look.field, 0.12),
        squeeze=min(look.squeeze, 0.08),
        warp=min(look.warp, 0.02),
        tilt=min(look.tilt, 0.25),
        portraits=1 if one else look.portraits,
    )


def _unlike(rng: Generator, plan: Plan, target: Role, *, far: bool = False, low: int = 1) -> Role:
    """Another kind; ``far``: one whose colours are clearly not the target's."""
    high = max(low + 1, target.count * float(rng.uniform(0.3, 1.6)))
    count = round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))
    relative = float(np.exp(rng.uniform(-0.3, 0.3) if far else rng.uniform(-0.6, 0.6)))
    closed = plan.setting.slide or plan.setting.clean
    at_home = closed or rng.random() < _AT_HOME
    for attempt in itertools.count():
        kind = plan.draw_kind(rng, anybody=not at_home or (attempt > _TRIES and not plan.setting.clean))
        if kind.name == target.kind.name or family_of(kind) == family_of(target.kind) != "":
            # another of the family could pass for one of the target where those differ
            continue
        role = _role(rng, plan, kind, min(count, 300), 0.3 * float(rng.random()))
        apart = float(np.abs(role.mean_colour() - target.mean_colour()).max())
        if apart > _FAR or not far:
            return replace(role, relative=relative)
    raise AssertionError("the loop ends with a kind")
