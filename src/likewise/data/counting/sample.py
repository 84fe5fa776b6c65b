"""What a counting data set gives: one picture, what to count in it, and the truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from likewise.boxes import box_sizes
from likewise.errors import LikewiseError


@dataclass(frozen=True, eq=False)
class Things:
    """Everything in a picture that can be named.

    Attributes:
        points: (M, 2) float32.
        kinds: (M,) int64, the entry of ``names`` that each goes by.
        names: full names.
        asked: a way to ask for each of them.
    """

    points: Tensor
    kinds: Tensor
    names: tuple[str, ...]
    asked: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Others:
    """Things of other kinds in a picture, of which some may be shown as what is not to be counted.

    Attributes:
        boxes: (M, 4) float32 xyxy.
        weights: (M,) float32, how good an example of a look-alike each is: well visible, and of a kind that differs
            from what is counted in colour or size only.
    """

    boxes: Tensor
    weights: Tensor


def _no_boxes() -> Tensor:
    return torch.zeros(0, 4)


@dataclass(frozen=True, eq=False)
class CountSample:
    """One counting picture; a counting data set is a `torch.utils.data.Dataset[CountSample]`.

    Convention: boxes are xyxy and points x y in float pixels of `image`, the centre of the top left pixel is
    (0.5, 0.5).

    Attributes:
        image: (3, H, W) uint8 RGB.
        points: (N, 2) float32, one point an object to be counted.
        boxes: (N, 4) float32, the objects' boxes in the order of `points`; NaN rows where unknown.
        exemplars: (K, 4) float32, boxes to prompt with; K may be 0.
        name: the picture's name, for reports.
        prompt: the name of what is counted, where one is known.
        truth: the number of objects, where it is known without points; None: one a point.
        visible: (N,) share of each object that can be seen, in [0, 1], where that is known.
        kinds: (N,) int64, which of several kinds each object is, where they are told apart.
        things: what can be named, counted or not; in pixels of `image` as it is now, so that no transform may follow.
        negatives: (N, 4) float32, boxes to prompt with of what is not to be counted; N may be 0.
        others: what negatives may be drawn from, where it is known; no transform passes it on.

    Raises:
        LikewiseError: a tensor of another shape or type.

    Example:
        >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
        >>> picture = torch.zeros(3, 40, 40, dtype=torch.uint8)
        >>> sample = CountSample(picture, (boxes[:, :2] + boxes[:, 2:]) / 2, boxes, exemplars=boxes[:1], prompt="coins")
        >>> sample.count, sample.size
        (2.0, (40, 40))
    """

    image: Tensor
    points: Tensor
    boxes: Tensor
    exemplars: Tensor
    name: str = ""
    prompt: str | None = None
    truth: float | None = None
    visible: Tensor | None = None
    kinds: Tensor | None = None
    things: Things | None = None
    negatives: Tensor = field(default_factory=_no_boxes)
    others: Others | None = None

    def __post_init__(self) -> None:
        n = len(self.points)
        self._expect("image", self.image, (3, self.image.shape[-2], self.image.shape[-1]), torch.uint8)
        self._expect("points", self.points, (n, 2), torch.float32)
        self._expect("boxes", self.boxes, (n, 4), torch.float32)
        self._expect("exemplars", self.exemplars, (len(self.exemplars), 4), torch.float32)
        self._expect("negatives", self.negatives, (len(self.negatives), 4), torch.float32)
        if self.visible is not None:
            self._expect("visible", self.visible, (n,), torch.float32)
        if self.kinds is not None:
            self._expect("kinds", self.kinds, (n,), torch.int64)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture in pixels."""
        return self.image.shape[-2], self.image.shape[-1]

    @property
    def count(self) -> float:
        """The true number of objects."""
        return float(len(self.points)) if self.truth is None else self.truth

    @property
    def known(self) -> Tensor:
        """(N,) bool: objects whose box is known."""
        return self.boxes.isfinite().all(dim=1)

    def sizes(self) -> Tensor:
        """(N,) sqrt(width x height) of every object; the mean of the known ones where a box is unknown.

        Falls back on the exemplars where no object has a box.

        Raises:
            LikewiseError: there are objects, but neither a box nor an exemplar tells their size.
        """
        sides = box_sizes(self.boxes)
        known = self.known
        if bool(known.all()):
            return sides
        reference = sides[known] if bool(known.any()) else box_sizes(self.exemplars)
        if not len(reference):
            raise LikewiseError(f"{self.name}: no box and no exemplar tells how large its {len(sides)} objects are")
        return torch.where(known, sides, reference.mean())

    def _expect(self, what: str, value: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        if tuple(value.shape) != shape or value.dtype != dtype:
            raise LikewiseError(
                f"{self.name or 'sample'}: {what} is {value.dtype} {tuple(value.shape)}, expected {dtype} {shape}"
            )
