"""From a picture of any size to what a network trains on: random crops, and the published canvas.

A transform is called with a `CountSample` and a `numpy.random.Generator` and returns a `CountSample` in network
pixels; all its randomness comes from the generator.

Convention: that of `likewise.data.counting.geometry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from likewise.boxes import box_centres, box_sides
from likewise.data.counting.canvas import FSC147Canvas
from likewise.data.counting.exemplars import choose_exemplars
from likewise.data.counting.geometry import moved, ordered, resized, to_bytes, to_tensor
from likewise.data.counting.negatives import choose_negatives, empty_ground
from likewise.data.counting.sample import CountSample
from likewise.data.photometric import ColorJitter, jitter_colours
from likewise.errors import LikewiseError

__all__ = ["Crop", "FSC147Canvas", "SceneCrop", "TrainCrop"]


@dataclass(frozen=True)
class Crop:
    """What `TrainCrop` cuts.

    Attributes:
        size: side of the square crop, network pixels.
        object_size: the exemplars' mean sqrt(width x height) becomes this many pixels ...
        jitter: ... times a factor drawn log-uniformly from this range.
        scale_range: smallest and largest rescaling of the picture.
        exemplars: fewest and most exemplars of a crop.
        box_jitter: each side of an exemplar moves by a normal error of this share of the box's size, as a hand does.
        box_growth: all boxes of a crop are wider and higher than their things by a factor from this range: there are
            hands, and programs, that draw loosely.
        turns: whether the crop is flipped and turned by quarter turns.
        reflect: probability of mirroring a picture smaller than the crop at its borders, objects and all, where no
            object is cut by them; otherwise the rest is black, the picture's mean colour, or its edge drawn out.
        at_object: probability that a `SceneCrop` is placed to hold the centre of one of the exemplars, if it has any.
        negatives: probability that things of other kinds in the crop, if there are any, are shown as negatives.
        ground: probability, where none are shown, that boxes of empty ground are.
        negative_number: fewest and most negatives of a crop that has some.
        look: changes of colour and sharpness; None: none.
    """

    size: int = 256
    object_size: float = 36.0
    jitter: tuple[float, float] = (0.6, 1.5)
    scale_range: tuple[float, float] = (0.05, 4.0)
    exemplars: tuple[int, int] = (1, 5)
    box_jitter: float = 0.04
    box_growth: tuple[float, float] = (1.0, 1.0)
    turns: bool = True
    reflect: float = 0.5
    at_object: float = 0.0
    negatives: float = 0.0
    ground: float = 0.0
    negative_number: tuple[int, int] = (1, 3)
    look: ColorJitter | None = field(default_factory=ColorJitter)


class TrainCrop:
    """A random square crop at the size objects have for the network, with exemplars drawn from it.

    1 to 5 objects that fit into one crop are drawn; the picture is rescaled so that their mean sqrt(width x height)
    is `Crop.object_size` times the jitter; the crop is placed at random so that they lie fully inside. Objects
    whose point is outside the crop are dropped: one cut by its border counts if its point is inside. Boxes
    are not cut. Negatives are drawn from things of other kinds, or from empty ground, that lie inside the crop.

    Args:
        crop: sizes and strengths.
    """

    def __init__(self, crop: Crop | None = None) -> None:
        self.crop = crop or Crop()

    def __call__(self, sample: CountSample, rng: np.random.Generator) -> CountSample:
        """One crop of a picture.

        Raises:
            LikewiseError: the picture has a count only, or neither a box nor an exemplar is known.
        """
        crop = self.crop
        if sample.truth is not None:
            raise LikewiseError(f"{sample.name} has a count but no points; a crop of it has no known count")
        goal = crop.object_size * float(np.exp(rng.uniform(*np.log(crop.jitter))))
        chosen = choose_exemplars(sample, goal, crop.size - 2.0, crop.scale_range, crop.exemplars, rng)
        cut = _place(sample, chosen.scale, chosen.union, crop.size, rng)
        sample = replace(sample, negatives=_negatives(sample, chosen.boxes, cut, crop, rng))
        out = _cut(sample, chosen.boxes, cut, rng)
        out = _fill(out, cut, crop, rng)
        out = _turn(out, int(rng.integers(8))) if crop.turns else out
        growth = float(np.exp(rng.uniform(*np.log(crop.box_growth))))
        exemplars, negatives = (_shaken(_grown(boxes, growth), crop, rng) for boxes in (out.exemplars, out.negatives))
        out = _inside(replace(out, exemplars=exemplars, negatives=negatives), crop.size)
        return out if crop.look is None else replace(out, image=jitter_colours(out.image, crop.look, rng))


class SceneCrop:
    """A random square crop at the picture's own scale times a jitter: for prompts without boxes.

    Nothing tells how large the wanted things are, and a crop may show none of them: it lies anywhere, or
    where an exemplar is (`Crop.at_object`). Objects whose point is outside
    the crop are dropped; exemplars are dropped too.

    Args:
        crop: sizes and strengths; what it says of exemplars is not used.
    """

    def __init__(self, crop: Crop | None = None) -> None:
        self.crop = crop or Crop()

    def __call__(self, sample: CountSample, rng: np.random.Generator) -> CountSample:
        """One crop of a picture.

        Raises:
            LikewiseError: the picture has a count only.
        """
        crop = self.crop
        if sample.truth is not None:
            raise LikewiseError(f"{sample.name} has a count but no points; a crop of it has no known count")
        low, high = (float(np.clip(factor, *crop.scale_range)) for factor in crop.jitter)
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        cut = _place(sample, scale, _to_hold(sample.exemplars, crop.at_object, rng), crop.size, rng)
        out = _fill(_cut(sample, np.empty((0, 4)), cut, rng), cut, crop, rng)
        out = _inside(_turn(out, int(rng.integers(8))) if crop.turns else out, crop.size)
        return out if crop.look is None else replace(out, image=jitter_colours(out.image, crop.look, rng))


@dataclass(frozen=True)
class _Axis:
    """One axis of a crop: picture pixels start..stop become crop pixels at..at + length."""

    start: float
    stop: float
    at: int
    length: int

    @property
    def scale(self) -> float:
        return self.length / (self.stop - self.start)


def _place(
    sample: CountSample, scale: float, union: NDArray[np.float64], size: int, rng: np.random.Generator
) -> tuple[_Axis, _Axis]:
    """Where the crop lies, x then y: the union of the exemplars inside it, no more padding than needed."""
    axes = []
    for axis, extent in enumerate((sample.size[1], sample.size[0])):
        window = size / scale
        if extent < window:
            length = min(max(round(extent * scale), 1), size)
            axes.append(_Axis(0.0, extent, int(rng.integers(size - length + 1)), length))
            continue
        low, high = max(0.0, union[2 + axis] - window), min(extent - window, union[axis])
        start = float(rng.uniform(low, max(low, high)))
        axes.append(_Axis(start, min(start + window, float(extent)), 0, size))
    return axes[0], axes[1]


def _negatives(
    sample: CountSample, exemplars: NDArray[np.float64], cut: tuple[_Axis, _Axis], crop: Crop, rng: np.random.Generator
) -> Tensor:
    """Boxes of what is not to be counted, in the picture's pixels, that lie inside the crop."""
    window = np.array([cut[0].start, cut[1].start, cut[0].stop, cut[1].stop])
    boxes = np.empty((0, 4))
    if crop.negatives == crop.ground == 0:
        return torch.from_numpy(boxes.astype(np.float32))
    number = int(rng.integers(crop.negative_number[0], crop.negative_number[1] + 1))
    if rng.random() < crop.negatives:
        boxes = choose_negatives(sample, window, number, rng)
    if not len(boxes) and rng.random() < crop.ground:
        boxes = empty_ground(sample, exemplars, window, number, rng)
    return torch.from_numpy(boxes.astype(np.float32))


def _to_hold(exemplars: Tensor, probability: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """What a crop must hold, as a box: with this probability the centre of one exemplar, else nothing."""
    if not len(exemplars) or rng.random() >= probability:
        return np.array([np.inf, np.inf, -np.inf, -np.inf])
    box = exemplars[int(rng.integers(len(exemplars)))].numpy().astype(np.float64)
    return np.tile(box_centres(box), 2)


def _cut(
    sample: CountSample, exemplars: NDArray[np.float64], cut: tuple[_Axis, _Axis], rng: np.random.Generator
) -> CountSample:
    """The piece of the picture at its new size, not yet padded; its coordinates start at the piece's corner."""
    x, y = cut
    # only the part that is needed is handed to Pillow, which copies what it gets
    left, top = int(x.start), int(y.start)
    part = to_bytes(sample.image)[top : int(np.ceil(y.stop)), left : int(np.ceil(x.stop))]
    box = (x.start - left, y.start - top, min(x.stop - left, part.shape[1]), min(y.stop - top, part.shape[0]))
    sharp = rng.random() < 0.25
    piece = resized(part, box, (x.length, y.length), Image.Resampling.BICUBIC if sharp else Image.Resampling.BILINEAR)
    scale = np.array([x.scale, y.scale])
    drawn = replace(sample, image=to_tensor(piece), exemplars=torch.from_numpy(exemplars.astype(np.float32)))
    return moved(drawn, scale, -scale * (x.start, y.start))


def _fill(piece: CountSample, cut: tuple[_Axis, _Axis], crop: Crop, rng: np.random.Generator) -> CountSample:
    """The piece on the whole crop, the rest filled."""
    rows, columns = piece.size
    x, y = cut
    if (rows, columns) == (crop.size, crop.size):
        return piece
    around = ((y.at, crop.size - y.at - rows), (x.at, crop.size - x.at - columns), (0, 0))
    if rng.random() < crop.reflect and _whole(piece, crop.size):
        filled = np.pad(to_bytes(piece.image), around, mode="symmetric")
        piece = _mirrored(piece, x, y, crop.size)
    elif rng.random() < 0.4:
        filled = np.pad(to_bytes(piece.image), around, mode="edge")
    else:
        mean = to_bytes(piece.image).mean(axis=(0, 1)) * float(rng.integers(2))
        filled = np.broadcast_to(mean.astype(np.uint8), (crop.size, crop.size, 3)).copy()
        filled[y.at : y.at + rows, x.at : x.at + columns] = to_bytes(piece.image)
    return moved(replace(piece, image=to_tensor(filled)), np.ones(2), np.array([x.at, y.at], np.float64))


def _whole(piece: CountSample, size: int) -> bool:
    """Whether mirroring along the sides that are shorter than the crop cuts no object in half, as far as is known."""
    for axis, length in enumerate((piece.size[1], piece.size[0])):
        low, high = piece.boxes[:, axis], piece.boxes[:, 2 + axis]
        if length < size and not bool(((low > 0.5) & (high < length - 0.5)).all()):
            return False
    return True


def _mirrored(piece: CountSample, x: _Axis, y: _Axis, size: int) -> CountSample:
    """The same objects and their mirror images all over a crop of this size; unknown boxes do not occur here."""
    points, boxes, visible, kinds = [], [], [], []
    for down in range(-y.at // y.length, -((y.at - size) // y.length)):
        for across in range(-x.at // x.length, -((x.at - size) // x.length)):
            corners = torch.cat((piece.points, piece.boxes), dim=1).view(-1, 3, 2).clone()
            for axis, (k, length) in enumerate(((across, x.length), (down, y.length))):
                place = length - corners[..., axis] if k % 2 else corners[..., axis]
                corners[..., axis] = place + k * length
            points.append(corners[:, 0])
            boxes.append(ordered(corners[:, 1:]))
            visible.append(piece.visible)
            kinds.append(piece.kinds)
    return replace(
        piece, points=torch.cat(points), boxes=torch.cat(boxes), visible=_all_of(visible), kinds=_all_of(kinds)
    )


def _all_of(parts: Sequence[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known) if known else None


def _turn(sample: CountSample, turn: int) -> CountSample:
    """One of the eight symmetries of a square: mirrored in x (bit 0), in y (bit 1), then transposed (bit 2)."""
    image = sample.image.flip([d for bit, d in ((1, 2), (2, 1)) if turn & bit])
    sign = np.array([-1.0 if turn & 1 else 1.0, -1.0 if turn & 2 else 1.0])
    far = np.array([sample.size[1] * (turn & 1), sample.size[0] * (turn >> 1 & 1)], np.float64)
    out = moved(replace(sample, image=image), sign, far)
    if not turn & 4:
        return out
    points, boxes, exemplars, negatives = (
        v.view(-1, v.shape[1] // 2, 2).flip(2).flatten(1) for v in (out.points, out.boxes, out.exemplars, out.negatives)
    )
    image = image.transpose(1, 2)
    return replace(out, image=image, points=points, boxes=boxes, exemplars=exemplars, negatives=negatives)


def _inside(sample: CountSample, size: int) -> CountSample:
    """Without the objects whose point lies outside a crop of this size."""
    keep = ((sample.points >= 0) & (sample.points < size)).all(dim=1)
    visible, kinds = (None if v is None else v[keep] for v in (sample.visible, sample.kinds))
    return replace(sample, points=sample.points[keep], boxes=sample.boxes[keep], visible=visible, kinds=kinds)


def _grown(boxes: Tensor, factor: float) -> Tensor:
    """Boxes about the same centres with sides so many times as long."""
    centres = box_centres(boxes).repeat(1, 2)
    return centres + (boxes - centres) * factor


def _shaken(boxes: Tensor, crop: Crop, rng: np.random.Generator) -> Tensor:
    """Boxes as drawn by hand; never outside the crop, never less than half their size."""
    sides = box_sides(boxes).repeat(1, 2)
    errors = torch.from_numpy(rng.standard_normal(boxes.shape, dtype=np.float32)).clamp_(-2.5, 2.5) * crop.box_jitter
    return (boxes + errors.clamp_(-0.25, 0.25) * sides).clamp_(0.0, float(crop.size))
