"""One scene from (config, index): a picture with the exact box, point, mask and name of every object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from likewise.boxes import clip_boxes, mean_side
from likewise.scenes.assets import assets_of
from likewise.scenes.background import (
    draw_background,
    draw_field,
    draw_layout,
    draw_shadow,
    strew_clutter,
    strew_lookalikes,
)
from likewise.scenes.camera import Camera, draw_camera, photograph
from likewise.scenes.camouflage import draw_pieces, strew_above, strew_below
from likewise.scenes.canvas import Canvas
from likewise.scenes.config import SceneConfig
from likewise.scenes.environments import TISSUE, draw_setting
from likewise.scenes.layouts.perspective import LAYOUTS
from likewise.scenes.objects import Plan, Role, draw_cast
from likewise.scenes.placement import fill_with_cells, place_roles
from likewise.types import Box, Point

#: Shares of scenes with things of no counted kind below, with some as small as what is counted, and above it.
_CLUTTER_SHARE, _LOOKALIKE_SHARE, _OCCLUDER_SHARE = 0.2, 0.15, 0.08
#: Things with fewer pixels than this in all are not counted: nobody could tell what they are.
_MIN_AREA = 8
#: A scene in which nothing of the target can be seen is drawn again at most so often.
_TRIES = 24


@dataclass(frozen=True)
class SceneObject:
    """One countable thing in a scene.

    Convention: pixels of the scene, the centre of the top left pixel is (0.5, 0.5).

    Attributes:
        kind: its name, one of the scene's `names`.
        box: xyxy, its full extent (hidden parts included) clipped to the picture.
        point: centroid of what can be seen of it.
        size: sqrt(width x height) of its full extent, unclipped.
        visible: share of its pixels that can be seen.
        area: pixels that can be seen.
    """

    kind: str
    box: Box
    point: Point
    size: float
    visible: float
    area: int


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and all that is to be known about it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        objects: every countable thing, of every kind.
        names: the kinds present, the target first.
        owner: (H, W) uint16, 1 + index into `objects` of what is seen at each pixel, 0 for none.
        layout: how things were placed.
        quality: JPEG quality the scene is to be written with.
        seed: for choices made later, such as exemplars.
    """

    image: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    names: tuple[str, ...]
    owner: NDArray[np.uint16]
    layout: str
    quality: int
    seed: tuple[int, ...]

    @property
    def target(self) -> str:
        """The kind the scene asks to count."""
        return self.names[0]

    def mask(self, index: int) -> NDArray[np.bool_]:
        """(H, W): where object ``index`` is seen."""
        return self.owner == index + 1

    def of_kind(self, kind: str) -> tuple[int, ...]:
        """Indices of the objects of a kind."""
        return tuple(i for i, thing in enumerate(self.objects) if thing.kind == kind)

    def exemplars(self, kind: str, count: int = 3) -> tuple[int, ...]:
        """Indices of ``count`` objects a person might box as examples: whole, off the border, of typical size."""
        indices = self.of_kind(kind)
        median = float(np.median([self.objects[i].size for i in indices]))
        best = sorted(indices, key=lambda i: (self._awkwardness(i, median), i))[: max(count, len(indices) * 2 // 5)]
        rng = np.random.default_rng([*self.seed, self.names.index(kind)])
        return tuple(int(i) for i in rng.permutation(best)[:count])

    def _awkwardness(self, index: int, median: float) -> float:
        thing = self.objects[index]
        height, width = self.owner.shape
        x0, y0, x1, y1 = thing.box
        cut = min(x0, y0, width - x1, height - y1) < 1
        return abs(float(np.log(thing.size / median))) + 3 * max(0.0, 0.95 - thing.visible) + 2.0 * cut


def make_scene(config: SceneConfig, index: int) -> Scene:
    """The scene of a config with a given index: the same bytes every time.

    Raises:
        RuntimeError: no attempt left enough of the target to see (a config that asks for the impossible).

    Example:
        >>> scene = make_scene(SceneConfig(side=(64, 96), objects=(3, 9), emoji=False), 0)
        >>> scene.image.shape[:2] == scene.owner.shape, len(scene.objects) > 0
        (True, True)
    """
    needed = 4 if config.two_kinds else 1
    for attempt in range(_TRIES):
        seed = (config.seed, {"train": 0, "val": 1}[config.split], index, attempt)
        scene = _attempt(np.random.default_rng(seed), config, seed)
        counts = [len(scene.of_kind(name)) for name in scene.names]
        if counts[0] >= needed and (not config.two_kinds or (len(counts) == 2 and min(counts) >= needed)):
            return scene
    raise RuntimeError(f"scene {index}: nothing of the target can be seen after {_TRIES} attempts with {config}")


def _attempt(rng: Generator, config: SceneConfig, seed: tuple[int, ...]) -> Scene:
    bank = assets_of(config)
    setting = draw_setting(rng, config, bank.families)
    slide, layout = setting.slide, draw_layout(rng, config, setting)
    bare = slide or setting.clean
    roles = draw_cast(rng, Plan(config, bank, setting, layout))
    field = draw_field(rng, config, setting, roles, layout)
    canvas = Canvas(draw_background(rng, bank, setting, roles, field))
    shadow = None if bare or rng.random() < 0.4 else draw_shadow(rng)
    if not bare and rng.random() < _CLUTTER_SHARE:
        strew_clutter(rng, bank, canvas, field, int(rng.integers(1, 4)))
    if not bare and not config.two_kinds and rng.random() < _LOOKALIKE_SHARE:
        strew_lookalikes(rng, bank, canvas, field, roles[0])
    pieces = draw_pieces(rng, bank, roles[0]) if setting.hidden else []
    if pieces:
        strew_below(rng, canvas, field, pieces)
    if layout == TISSUE:
        roles, owners = fill_with_cells(rng, canvas, bank, roles[0], field)
    else:
        owners = place_roles(rng, config, canvas, setting, roles, LAYOUTS[layout], field, shadow)
    if pieces:
        strew_above(rng, canvas, field, pieces)
    if not bare and not config.two_kinds and rng.random() < _OCCLUDER_SHARE:
        strew_clutter(rng, bank, canvas, field, int(rng.integers(1, 3)))
    twins = len({role.kind.name for role in roles}) < len(roles)
    camera = Camera() if setting.clean else draw_camera(rng, field.size, slide=slide, colour=twins)
    image = photograph(rng, canvas.pixels, camera)
    objects, owner = _objects(canvas, roles, owners, config.min_visible)
    names = tuple(r.name for r in roles if any(o.kind == r.name for o in objects) or r is roles[0])
    return Scene(image, objects, names, owner, layout, int(rng.integers(80, 96)), seed)


def _objects(
    canvas: Canvas, roles: tuple[Role, ...], owners: list[int], min_visible: float
) -> tuple[tuple[SceneObject, ...], NDArray[np.uint16]]:
    """Objects that can be seen well enough to count, and who owns each pixel among them."""
    area, seen = np.array(canvas.area), canvas.visible()
    share = seen / np.maximum(area, 1)
    kept = np.flatnonzero((share >= min_visible) & (area >= _MIN_AREA) & (seen >= _MIN_AREA // 2))
    renumber = np.zeros(len(area) + 1, dtype=np.uint16)
    renumber[kept + 1] = np.arange(1, len(kept) + 1)
    owner = renumber[canvas.owner]
    points = _centroids(owner, len(kept))
    height, width = owner.shape
    objects = []
    for new, old in enumerate(kept):
        extent = canvas.boxes[old]
        x0, y0, x1, y1 = clip_boxes(np.array(extent, dtype=np.float64), (width, height)).tolist()
        point = (float(points[new, 0]), float(points[new, 1]))
        box, size = (x0, y0, x1, y1), mean_side([extent])
        objects.append(SceneObject(roles[owners[old]].name, box, point, size, float(share[old]), int(seen[old])))
    return tuple(objects), owner


def _centroids(owner: NDArray[np.uint16], count: int) -> NDArray[np.float64]:
    """Mean (x, y) of each object's pixels, (count, 2), pixel centres at half-integers."""
    rows, columns = np.nonzero(owner)
    ids = owner[rows, columns]
    area = np.bincount(ids, minlength=count + 1)[1:]
    x = np.bincount(ids, weights=columns + 0.5, minlength=count + 1)[1:]
    y = np.bincount(ids, weights=rows + 0.5, minlength=count + 1)[1:]
    return np.stack([x, y], axis=1) / np.maximum(area, 1)[:, None]
