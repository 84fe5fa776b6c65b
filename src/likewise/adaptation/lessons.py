"""Corrected pictures, ready to be counted again and again and to be learnt from.

Convention
----------
Tiles are parts of a picture as the network sees it, in its pixels; the grid of what the decoder is given has one place
every ``stride`` of those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likewise.adaptation.corrections import Correction, edited_points
from likewise.adaptation.frozen_features import DecoderCounter, HeldTile
from likewise.boxes import mean_side
from likewise.errors import LikewiseError
from likewise.ops.density.tiling import TileBox
from likewise.ops.polygon import inside_polygon, polygon_coverage
from likewise.predict import Counter, NamedCounter, PreparedImage, ReferenceExemplars
from likewise.predict.densities import NO_EXEMPLARS, ScaledImage
from likewise.results import CountResult
from likewise.types import CountBatch, Prompt, PromptBatch

#: Side of the squares of a tile that are learnt from at a time, pixels ...
SQUARE = 256
#: ... and how far round them the decoder looks.
MARGIN = 24
#: Everything that was worked out of the corrected pictures is kept.
KEPT_BYTES = 1 << 40


@dataclass(frozen=True, eq=False)
class Lesson:
    """A corrected picture.

    Attributes:
        name: of the picture.
        kind: what was corrected.
        image: the picture.
        prompt: how it is asked about; its region is what was reviewed.
        references: exemplars and negatives of the other pictures, where it has no exemplars of its own.
        truth: how many there are in what was reviewed.
        points: (N, 2) x y of the things there, where that is known.
        before: what the counter made of it.
    """

    name: str
    kind: str
    image: PreparedImage
    prompt: Prompt
    references: ReferenceExemplars
    truth: float
    points: Tensor | None
    before: CountResult

    def count(self, counter: Counter | NamedCounter) -> CountResult:
        """What a counter makes of it."""
        return counter.count(self.image, self.prompt, like=self.references)


@dataclass(frozen=True, eq=False)
class LessonTile:
    """A part of a corrected picture as the network sees it.

    Attributes:
        compared: (1, C, h, w), what the decoder is given of it.
        shape: (1, 3, H, W) of the part.
        points: (N, 2) x y of the things that were reviewed in it; None: only the picture's count is known.
        size: sqrt(width x height) of a thing.
        box: (4,) of a thing, anywhere: how large exemplars are.
        reviewed: (H, W), the share of each pixel that was reviewed; None: all of it.
        share: (H, W), how much each pixel says where tiles overlap; None: there is one tile.
        first: the decoder's layer that is given ``compared``.
    """

    compared: Tensor
    shape: torch.Size
    points: Tensor | None
    size: float
    box: Tensor
    reviewed: Tensor | None
    share: Tensor | None
    first: int = 0

    def passed(self, network: DecoderCounter, first: int) -> LessonTile:
        """The same behind the decoder's first layers, which do not learn."""
        with torch.no_grad():
            return replace(self, compared=network.decoder[self.first : first](self.compared), first=first)

    def stride(self, network: DecoderCounter) -> int:
        """Pixels between two places of ``compared``."""
        finer = math.isqrt(math.prod(getattr(each, "upscale_factor", 1) ** 2 for each in self._before(network)))
        return network.stride // finer

    def _before(self, network: DecoderCounter) -> list[Any]:
        return list(network.decoder[: self.first].modules())


def prepare_lessons(
    counter: Counter | NamedCounter, corrections: Sequence[Correction], tell: Callable[[float], None]
) -> tuple[list[Lesson], Examples]:
    """Look at every corrected picture, and count it once: by its own boxes or, without any, by those of the others.

    Args:
        counter: that counts.
        corrections: the pictures.
        tell: told before each picture the share of them that is done.

    Returns:
        The lessons, and what the exemplars and negatives of all of them look like.

    Raises:
        LikewiseError: a picture that cannot be read, a prompt that the counter does not take or that lies outside its
            picture, nothing that shows what to count, or a removed point that is none of the counter's.
    """
    shown: list[tuple[PreparedImage, Prompt]] = []
    for index, correction in enumerate(corrections):
        image = PreparedImage(correction.image, KEPT_BYTES)
        with_name = correction.name or f"picture {index + 1}"
        try:
            shown.append((image, _asked(counter, correction).inside(image.width, image.height)))
        except LikewiseError as error:
            raise LikewiseError(f"{with_name}: {error}") from error
    examples = Examples.of(counter, shown)
    lessons = []
    for index, (correction, (image, prompt)) in enumerate(zip(corrections, shown, strict=True)):
        tell(index / len(corrections))
        name = correction.name or f"picture {index + 1}"
        elsewhere = NO_EXEMPLARS if prompt.exemplars or prompt.text else examples.without(index)
        try:
            lessons.append(_lesson(counter, correction, name, image, prompt, elsewhere))
        except LikewiseError as error:
            raise LikewiseError(f"{name}: {error}") from error
    return lessons, examples


def lesson_by_examples(counter: Counter, lesson: Lesson, references: ReferenceExemplars) -> Lesson:
    """A corrected picture as one is asked that has no boxes of its own: by those of the others."""
    if not lesson.prompt.exemplars:
        return lesson
    image = PreparedImage(np.asarray(lesson.image.pixels), KEPT_BYTES)
    prompt = replace(lesson.prompt, exemplars=(), negatives=())
    before = counter.count(image, prompt, like=references)
    return replace(lesson, image=image, prompt=prompt, references=references, before=before)


@dataclass(frozen=True, eq=False)
class Examples:
    """What the exemplars and the negatives of each corrected picture look like."""

    by_picture: tuple[ReferenceExemplars, ...]

    @classmethod
    def of(cls, counter: Counter | NamedCounter, shown: Sequence[tuple[PreparedImage, Prompt]]) -> Examples:
        """Look at all of them; of a counter that takes none, there are none."""
        boxes = [box for _, prompt in shown for box in prompt.exemplars]
        if not isinstance(counter, Counter) or not boxes:
            return cls((NO_EXEMPLARS,) * len(shown))
        return cls(tuple(counter.encode_prompt(image, prompt, boxes) for image, prompt in shown))

    def without(self, index: int | None = None) -> ReferenceExemplars:
        """Those of all pictures but one, as one description; of nothing where no exemplar is left."""
        parts = [each for place, each in enumerate(self.by_picture) if place != index]
        features = [each for part in parts for each in part.features]
        exemplars = tuple(box for part in parts for box in part.exemplars)
        if not exemplars:
            return NO_EXEMPLARS
        return ReferenceExemplars((type(features[0]).merge(features),), exemplars)


def tiles_of(counter: Counter, lesson: Lesson) -> list[LessonTile]:
    """What the decoder is given of a corrected picture that was counted, tile by tile."""
    boxes = lesson.prompt.tightened(counter.inference.margin).exemplars or lesson.references.exemplars
    densities = counter.densities
    scaled = densities.scaled(lesson.image, sorted(boxes))
    blend = densities.blend(scaled)
    points = None if lesson.points is None else scaled.view.to_view(lesson.points.tolist()).reshape(-1, 2)
    size = mean_side(boxes) * scaled.view.scale
    found = []
    for box in blend.boxes:
        tile = densities.tile(scaled, box)
        if not isinstance(tile, HeldTile) or tile.compared is None:
            continue  # nothing of what was reviewed is near: it was not looked at
        compared, described = tile.compared
        tile.compared = (compared.clone(), described)  # what inference made cannot be learnt from
        found.append(
            LessonTile(
                compared=tile.compared[0],
                shape=tile.pixels.shape,
                points=None if points is None else _inside(points, box),
                size=size,
                box=torch.tensor([0.0, 0.0, size, size]),
                reviewed=_reviewed(scaled, lesson.prompt, box),
                share=None if len(blend.boxes) == 1 else blend.weight(box),
            )
        )
    return found


def square_loss(network: DecoderCounter, tile: LessonTile, generator: torch.Generator) -> Tensor:
    """The network's own loss in a square of a tile whose points are known; chance says where."""
    stride, (rows, columns) = tile.stride(network), tile.compared.shape[2:]
    height, width, margin = min(SQUARE // stride, rows), min(SQUARE // stride, columns), MARGIN // stride
    top, left = _corner(tile, (height, width), stride, generator)
    y0, x0 = max(0, top - margin), max(0, left - margin)
    seen = tile.compared[:, :, y0 : top + height + margin, x0 : left + width + margin]
    shape = torch.Size((1, 3, seen.shape[2] * stride, seen.shape[3] * stride))
    density = network.decode(seen, shape, tile.first)
    down, right = (top - y0) * stride, (left - x0) * stride
    cell = network.cell
    tall = min(height * stride, tile.shape[2] - top * stride) // cell * cell
    wide = min(width * stride, tile.shape[3] - left * stride) // cell * cell
    density = density[:, :, down : down + tall, right : right + wide]
    y, x = top * stride, left * stride
    if tile.reviewed is not None:
        density = density * tile.reviewed[y : y + tall, x : x + wide]
    points = _inside(tile.points if tile.points is not None else torch.zeros(0, 2), (y, x, y + tall, x + wide))
    return network.loss(density, _batch(density, points, tile))["total"].mean()


def count_loss(network: DecoderCounter, tiles: Sequence[LessonTile], truth: float) -> Tensor:
    """|count - truth| / (truth + 3) of a picture of which only the count is known."""
    total = tiles[0].compared.new_zeros(())
    for tile in tiles:
        density = network.decode(tile.compared, tile.shape, tile.first)[0, 0]
        for weight in (tile.share, tile.reviewed):
            density = density if weight is None else density * weight
        total = total + density.sum()
    return (total - truth).abs() / (truth + 3)


def _asked(counter: Counter | NamedCounter, correction: Correction) -> Prompt:
    """The correction's prompt, of which a name is left out for a counter that takes none."""
    prompt, takes = correction.prompt, counter.prompts
    if prompt.text is not None and "text" not in takes:
        prompt = replace(prompt, text=None)
    if "exemplars" not in takes:
        prompt = replace(prompt, exemplars=(), negatives=())
    return prompt if "negatives" in takes else replace(prompt, negatives=())


def _lesson(
    counter: Counter | NamedCounter,
    correction: Correction,
    name: str,
    image: PreparedImage,
    prompt: Prompt,
    references: ReferenceExemplars,
) -> Lesson:
    before = counter.count(image, prompt, like=references)
    points = _true_points(correction, before, prompt, references)
    truth = float(correction.count if points is None and correction.count is not None else len(points or ()))
    held = None if points is None else torch.tensor(points, dtype=torch.float64).reshape(-1, 2)
    return Lesson(name, correction.kind, image, prompt, references, truth, held, before)


def _true_points(
    correction: Correction, before: CountResult, prompt: Prompt, references: ReferenceExemplars
) -> list[Any] | None:
    """The things in what was reviewed; None: only their number is known."""
    if correction.count is not None:
        return None
    if correction.points is not None:
        points = np.array(correction.points, np.float64).reshape(-1, 2)
    else:
        boxes = prompt.exemplars or references.exemplars
        side = mean_side(boxes) if boxes else None
        points = edited_points(before.points, correction.added, correction.removed, side)
    size = np.array(before.size)
    outside = np.flatnonzero(((points < -1) | (points > size + 1)).any(axis=1))
    if len(outside):
        x, y = points[outside[0]]
        raise LikewiseError(f"point ({x:g}, {y:g}) lies outside the picture, which is {size[0]} x {size[1]} pixels")
    points = points.clip(0, size)
    if prompt.region is not None:
        points = points[
            inside_polygon(torch.from_numpy(points), torch.tensor(prompt.region, dtype=torch.float64)).numpy()
        ]
    found: list[Any] = points.tolist()
    return found


def _reviewed(scaled: ScaledImage, prompt: Prompt, box: TileBox) -> Tensor | None:
    if prompt.region is None:
        return None
    y0, x0, y1, x1 = box
    corners = scaled.view.to_view(prompt.region) - torch.tensor([float(x0), float(y0)])
    return polygon_coverage(corners, y1 - y0, x1 - x0)


def _inside(points: Tensor, box: TileBox) -> Tensor:
    """Points (N, 2) in a box (y0, x0, y1, x1), from its corner."""
    y0, x0, y1, x1 = box
    moved = points - torch.tensor([float(x0), float(y0)])
    held = ((moved >= 0) & (moved < torch.tensor([float(x1 - x0), float(y1 - y0)]))).all(1)
    return moved[held]


def _corner(tile: LessonTile, size: tuple[int, int], stride: int, generator: torch.Generator) -> tuple[int, int]:
    """(top, left) of a square by chance; where a part was reviewed, round a place of that."""
    most = [n - own for n, own in zip(tile.compared.shape[2:], size, strict=True)]
    if tile.reviewed is None:
        top, left = (int(torch.randint(0, m + 1, (1,), generator=generator)) for m in most)
        return top, left
    places = tile.reviewed[stride // 2 :: stride, stride // 2 :: stride].nonzero()
    if not len(places):
        return 0, 0
    middle = places[int(torch.randint(0, len(places), (1,), generator=generator))].tolist()
    top, left = (min(max(0, at - own // 2), m) for at, own, m in zip(middle, size, most, strict=True))
    return top, left


def _batch(density: Tensor, points: Tensor, tile: LessonTile) -> CountBatch:
    sizes = torch.full((len(points),), tile.size)
    prompt = PromptBatch(exemplars=(tile.box[None].to(density.device),))
    return CountBatch(density, prompt, (points.to(density.device),), (sizes.to(density.device),))


def relative_error(count: float, truth: float) -> float:
    """|count - truth| / truth; of a picture with nothing in it, the count."""
    return abs(count - truth) / max(truth, 1.0)


def log_error(count: float, truth: float) -> float:
    """log((truth + 0.5) / (count + 0.5)), as `likewise.engine.calibration` measures errors."""
    return math.log((truth + 0.5) / (max(count, 0.0) + 0.5))
