"""Prompts, batches and results: the small frozen dataclasses every floor of the package speaks.

Convention
----------
Boxes are ``(x0, y0, x1, y1)`` and points ``(x, y)`` in float pixels; x grows to the right, y downwards, and
the centre of the top left pixel is (0.5, 0.5), so that a picture of width ``w`` spans x from 0 to ``w``.
User-facing types (`Prompt`, `CountResult`) speak the caller's pixels; `PromptBatch` and `CountBatch` speak
the network's. Density is objects per pixel: its sum is the count.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from torch import Tensor

Box = tuple[float, float, float, float]
Point = tuple[float, float]
#: What a network is for: its class attribute ``task``.
Task = Literal["count", "segment", "recognize"]

#: A corner may stick out of the picture by this many pixels (rounding in annotation tools) and is cut.
BOX_SLACK = 1.0

#: Largest spread of a count (`Calibration.spread`): beyond it, nothing is known.
WIDEST = 1e3
#: An interval that reaches beyond so many times the count, or such a part of it (a half added), is of no use ...
WIDEST_FACTOR = 3.0
#: ... and what is said of the count instead.
UNTRUSTED = "untrusted"
#: A box is never tightened to less than this share of its width or height.
TIGHTEST = 0.6


@dataclass(frozen=True)
class Prompt:
    """What to look for in one picture, in the caller's pixels.

    Attributes:
        exemplars: boxes round examples of the thing.
        negatives: boxes round look-alikes that must not be counted.
        text: its name.
        region: polygon of at least three (x, y) corners; only what lies inside is counted.

    Raises:
        LikewiseError: a box without four finite numbers, with swapped corners or of zero area; a polygon
            with fewer than three corners; a text that is blank, several or not in one line.

    Example:
        >>> Prompt(exemplars=((81, 39, 120, 74),), text="coins").to_dict()
        {'exemplars': [[81.0, 39.0, 120.0, 74.0]], 'text': 'coins'}
    """

    exemplars: tuple[Box, ...] = ()
    negatives: tuple[Box, ...] = ()
    text: str | None = None
    region: tuple[Point, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "exemplars", _boxes("exemplars", self.exemplars))
        object.__setattr__(self, "negatives", _boxes("negatives", self.negatives))
        if self.text is not None:
            _check_text(self.text)
        if self.region is not None:
            object.__setattr__(self, "region", _polygon(self.region))

    def inside(self, width: int, height: int) -> Prompt:
        """Check every box against a picture's size; corners out by rounding only are cut to the edge.

        Raises:
            LikewiseError: a box that reaches outside the picture.
        """
        return replace(
            self,
            exemplars=tuple(_inside("exemplars", i, b, width, height) for i, b in enumerate(self.exemplars)),
            negatives=tuple(_inside("negatives", i, b, width, height) for i, b in enumerate(self.negatives)),
        )

    def tightened(self, margin: float) -> Prompt:
        """The same with boxes so many pixels less wide and high round the same centres, down to `TIGHTEST` of them."""
        kept = tuple(tuple(_tight(box, margin) for box in boxes) for boxes in (self.exemplars, self.negatives))
        return replace(self, exemplars=kept[0], negatives=kept[1])

    def to_dict(self) -> dict[str, Any]:
        """The prompt as plain JSON values, unset parts left out."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: _plain(v) for k, v in named.items() if v not in ((), None)}


@dataclass(frozen=True)
class PromptBatch:
    """The prompts of a batch of B pictures, in network pixels.

    Attributes:
        exemplars: B tensors (K_i, 4), xyxy; K_i may differ from picture to picture.
        negatives: the same for look-alikes, or None.
        text: B names, or None.
    """

    exemplars: tuple[Tensor, ...] = ()
    negatives: tuple[Tensor, ...] | None = None
    text: tuple[str, ...] | None = None

    def texts(self, pictures: int) -> tuple[str, ...]:
        """The names, of so many pictures.

        Raises:
            LikewiseError: there are none, or not as many.
        """
        if self.text is None or len(self.text) != pictures:
            told = "none" if self.text is None else len(self.text)
            raise LikewiseError(f"every picture needs a text, such as 'strawberries'; got {told} for {pictures}")
        return self.text

    def to(self, device: Any, **kwargs: Any) -> PromptBatch:
        """The same prompts with every tensor on ``device``."""
        return replace(
            self,
            exemplars=tuple(b.to(device, **kwargs) for b in self.exemplars),
            negatives=None if self.negatives is None else tuple(b.to(device, **kwargs) for b in self.negatives),
        )


@dataclass(frozen=True)
class NamedThings:
    """Everything that can be named in a batch of B pictures, whether it is to be counted or not.

    Attributes:
        points: B tensors (M_i, 2), x y.
        kinds: B tensors (M_i,), int64: the entry of ``names`` that each thing goes by.
        names: K full names, those of the first picture first; two pictures may have the same.
        asked: K ways to ask for them.
    """

    points: tuple[Tensor, ...]
    kinds: tuple[Tensor, ...]
    names: tuple[str, ...]
    asked: tuple[str, ...]

    def to(self, device: Any, **kwargs: Any) -> NamedThings:
        """The same things with every tensor on ``device``."""
        return replace(
            self,
            points=tuple(p.to(device, **kwargs) for p in self.points),
            kinds=tuple(k.to(device, **kwargs) for k in self.kinds),
        )


@dataclass(frozen=True)
class CountBatch:
    """A batch of B counting pictures with their truth, in network pixels.

    Attributes:
        image: (B, 3, H, W) RGB in [0, 1].
        prompt: what to count in each.
        points: B tensors (N_i, 2), x y: one point an object; N_i may be 0.
        sizes: B tensors (N_i,): each object's sqrt(width x height).
        names: B picture names, for reports.
        things: everything in the pictures that can be named, where that is known.
        boxes: B tensors (N_i, 4), xyxy: each object's box, NaN where it is not known; empty: none is.
    """

    image: Tensor
    prompt: PromptBatch
    points: tuple[Tensor, ...]
    sizes: tuple[Tensor, ...]
    names: tuple[str, ...] = ()
    things: NamedThings | None = None
    boxes: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.points)

    def to(self, device: Any, **kwargs: Any) -> CountBatch:
        """The same batch with every tensor on ``device``."""
        return replace(
            self,
            image=self.image.to(device, **kwargs),
            prompt=self.prompt.to(device, **kwargs),
            points=tuple(p.to(device, **kwargs) for p in self.points),
            sizes=tuple(s.to(device, **kwargs) for s in self.sizes),
            things=None if self.things is None else self.things.to(device, **kwargs),
            boxes=tuple(b.to(device, **kwargs) for b in self.boxes),
        )


@dataclass(frozen=True)
class SupportBatch:
    """The examples that B queries are segmented by, in network pixels; sizes and numbers of shots may differ.

    Attributes:
        images: for each query its K_i >= 1 pictures (3, h, w), RGB in [0, 1].
        masks: for each of those where the thing is, (h, w) bool.
    """

    images: tuple[tuple[Tensor, ...], ...]
    masks: tuple[tuple[Tensor, ...], ...]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: Any, **kwargs: Any) -> SupportBatch:
        """The same examples with every tensor on ``device``."""
        images = tuple(tuple(image.to(device, **kwargs) for image in shots) for shots in self.images)
        return replace(self, images=images, masks=tuple(tuple(m.to(device) for m in shots) for shots in self.masks))


@dataclass(frozen=True)
class SegmentBatch:
    """A batch of B queries with their examples and their truth, in network pixels.

    Attributes:
        image: (B, 3, H, W) RGB in [0, 1].
        support: what to look for in each.
        mask: (B, H, W) int64: 1 where the thing is, 0 elsewhere, 255 where nobody says.
        names: B names of the queries, for reports.
    """

    image: Tensor
    support: SupportBatch
    mask: Tensor
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: Any, **kwargs: Any) -> SegmentBatch:
        """The same batch with every tensor on ``device``."""
        image, mask = self.image.to(device, **kwargs), self.mask.to(device, **kwargs)
        return replace(self, image=image, support=self.support.to(device, **kwargs), mask=mask)


@dataclass(frozen=True)
class ClassBatch:
    """A batch of B pictures that each show one of C classes.

    Attributes:
        image: (B, 3, H, W) RGB in [0, 1].
        target: (B,) int64, the class of each.
        names: B picture names, for reports.
    """

    image: Tensor
    target: Tensor
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.target)

    def to(self, device: Any, **kwargs: Any) -> ClassBatch:
        """The same batch with every tensor on ``device``."""
        return replace(self, image=self.image.to(device, **kwargs), target=self.target.to(device, **kwargs))


@dataclass(frozen=True)
class Calibration:
    """How far off the counts of some weights are, judged by signs: fitted, and part of a config, so that it travels.

    A count's spread, base + the sum of weight x sign, is about what nine in ten errors stay below; errors are
    |log((truth + 0.5) / (count + 0.5))|.

    Attributes:
        signs: names of the signs that are looked at (`likewise.predict.uncertainty`); each is 0 where nothing is odd.
        weights: one a sign, none negative.
        base: the spread where nothing is odd, or its log where spreads do not add up.
        below: the interval begins so many spreads below the count, measured as errors are ...
        above: ... and ends so many above it.
        doubt: a count with a spread above this is warned of.
        additive: False: the spread is exp(base + the sum) instead, as older files mean it.

    Raises:
        LikewiseError: not as many weights as signs; a number that is not finite, or negative but for the log.
    """

    signs: tuple[str, ...]
    weights: tuple[float, ...]
    base: float
    below: float
    above: float
    doubt: float
    additive: bool = False

    def __post_init__(self) -> None:
        if len(self.signs) != len(self.weights):
            raise LikewiseError(f"{len(self.weights)} weights for {len(self.signs)} signs; expected as many")
        for name in ("base", "below", "above", "doubt"):
            least = -math.inf if name == "base" and not self.additive else 0.0
            self._check(name, math.isfinite(getattr(self, name)) and getattr(self, name) >= least)
        self._check("weights", all(0 <= weight < math.inf for weight in self.weights))

    def _check(self, name: str, good: bool) -> None:
        if not good:
            value = getattr(self, name)
            raise LikewiseError(f"trust: {name} = {value}, expected finite numbers, at least 0 but for a base in logs")

    def spread(self, signs: Mapping[str, float]) -> float:
        """How far off a count with these signs may be; a sign that is not given is 0. Never more than `WIDEST`."""
        found = self.base + sum(w * signs.get(s, 0.0) for s, w in zip(self.signs, self.weights, strict=True))
        within = found < (WIDEST if self.additive else math.log(WIDEST))  # what is no number is not
        return (found if self.additive else math.exp(found)) if within else WIDEST

    def interval(self, count: float, signs: Mapping[str, float]) -> tuple[float, float] | None:
        """(low, high): in nine of ten cases the truth lies between them; one thing may always have been missed.

        None, not to be trusted, where an end would be beyond `WIDEST_FACTOR`.
        """
        below, above = (by * self.spread(signs) for by in (self.below, self.above))
        if not (max(below, above) <= math.log(WIDEST_FACTOR) and math.isfinite(count)):
            return None
        low, high = ((count + 0.5) * math.exp(by) - 0.5 for by in (-below, above))
        return max(low, 0.0), max(high, 1.0)


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise LikewiseError(f"text = {text!r}: expected the name of one thing, such as 'strawberries'")
    if not text.strip():
        raise LikewiseError("text is blank; expected the name of a thing, such as 'strawberries'")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text.strip()):
        raise LikewiseError(f"text = {text!r} is not one line of letters; expected a name such as 'strawberries'")


def _boxes(name: str, boxes: Sequence[Sequence[float]]) -> tuple[Box, ...]:
    if not _is_list(boxes):
        raise LikewiseError(f"{name} = {boxes!r:.80}: expected a list of boxes, {name}=[(x0, y0, x1, y1), ...]")
    if len(boxes) == 4 and all(_is_number(v) for v in boxes):
        raise LikewiseError(f"{name} must be a list of boxes; for a single box write {name}=[{tuple(boxes)}]")
    return tuple(_box(name, i, box) for i, box in enumerate(boxes))


def _box(name: str, index: int, box: Sequence[float]) -> Box:
    what = f"{name}[{index}] = {_show(box) if _is_list(box) else repr(box)}"
    if not _is_list(box) or len(box) != 4 or not all(_is_number(v) and math.isfinite(v) for v in box):
        raise LikewiseError(f"{what}: expected four finite numbers x0, y0, x1, y1")
    x0, y0, x1, y1 = (float(v) for v in box)
    if x0 == x1 or y0 == y1:
        raise LikewiseError(f"{what} has zero area; expected x0 < x1 and y0 < y1")
    if x0 > x1 or y0 > y1:
        fixed = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        raise LikewiseError(f"{what} has swapped corners; expected x0 < x1 and y0 < y1, did you mean {_show(fixed)}?")
    return x0, y0, x1, y1


def _tight(box: Box, margin: float) -> Box:
    x0, y0, x1, y1 = box
    dx, dy = (min(margin, (1 - TIGHTEST) * side) / 2 for side in (x1 - x0, y1 - y0))
    return x0 + dx, y0 + dy, x1 - dx, y1 - dy


def _inside(name: str, index: int, box: Box, width: int, height: int) -> Box:
    x0, y0, x1, y1 = box
    cut = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    if max(abs(a - b) for a, b in zip(box, cut, strict=True)) <= BOX_SLACK and cut[0] < cut[2] and cut[1] < cut[3]:
        return cut
    what = f"{name}[{index}] = {_show(box)}"
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        raise LikewiseError(f"{what} lies outside the picture, which is {width} x {height} pixels (width x height)")
    raise LikewiseError(
        f"{what} reaches outside the picture, which is {width} x {height} pixels; the part inside is {_show(cut)} "
        "(boxes are x0, y0, x1, y1, not x, y, width, height)"
    )


def _polygon(region: Sequence[Sequence[float]]) -> tuple[Point, ...]:
    if not _is_list(region) or len(region) < 3 or not all(map(_is_corner, region)):
        raise LikewiseError(f"region = {region!r}: expected a polygon of at least three (x, y) corners")
    return tuple((float(x), float(y)) for x, y in region)


def _is_list(value: object) -> bool:
    """Whether it is several things in a row: a tuple, a list, an array or a tensor."""
    return isinstance(value, (tuple, list)) or getattr(value, "ndim", 0) > 0


def _is_corner(point: Sequence[float]) -> bool:
    return _is_list(point) and len(point) == 2 and all(_is_number(v) and math.isfinite(v) for v in point)


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]  # the question is whether this works: numpy and torch scalars do
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str)


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _show(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{v:g}" if _is_number(v) else repr(v) for v in values) + ")"
