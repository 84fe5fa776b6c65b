"""What exemplars look like, and the evidence of where a picture shows the same and where it shows a look-alike.

Evidence is similarity at several depths: to learnt class features and to the trunk's own, joined stages. Where boxes
of look-alikes are shown too (negatives), it also says how near each place is to those; where none are shown that part
is zero, which is what a network without it would have seen.

Shapes: B batch, K exemplars and N negatives of a picture, C channels of the class features, h w the grid.

Convention
----------
Boxes are xyxy in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.boxes import box_sides
from likewise.errors import LikewiseError
from likewise.ops.similarity import correlate_kernels, pool_boxes, similarity_to_examples

#: Near-twins differ by hundredths of a cosine: differences are shown to the decoder so many times as large.
CONTRAST = 4.0
#: Beginning of the names of what negatives look like, among tensors.
NEGATIVES = "negatives."


@dataclass(frozen=True)
class ExemplarFeatures:
    """What K exemplars look like, detached from the picture they were drawn in.

    Attributes:
        sizes: (K, 2) height and width in network pixels.
        vectors: (K, C) class features, averaged over each box.
        kernels: (K, C, 3, 3) class features of each box; None without evidence, and of negatives.
        levels: for each joined stage (K, C_stage), trunk features averaged over each box; empty without evidence.
        negatives: what N look-alikes look like; None: there are none.
    """

    sizes: Tensor
    vectors: Tensor
    kernels: Tensor | None = None
    levels: tuple[Tensor, ...] = ()
    negatives: ExemplarFeatures | None = None

    def mean_cosine(self) -> float | None:
        """Mean cosine of every two exemplars' class features; None where there are not two.

        The squared length of the sum of K unit vectors is the sum of all K^2 products, of which K are each with itself.
        """
        count = len(self.vectors)
        if count < 2:
            return None
        unit = F.normalize(self.vectors.double(), dim=1)
        return float((unit.sum(0).square().sum() - unit.square().sum()) / (count * (count - 1)))

    def to_tensors(self) -> dict[str, Tensor]:
        """All of it by name, for files: those of the negatives begin with ``negatives.``."""
        found = {"sizes": self.sizes, "vectors": self.vectors}
        found |= {} if self.kernels is None else {"kernels": self.kernels}
        found |= {f"levels.{index}": level for index, level in enumerate(self.levels)}
        against = {} if self.negatives is None else self.negatives.to_tensors()
        return found | {NEGATIVES + name: tensor for name, tensor in against.items()}

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> ExemplarFeatures:
        """What `to_tensors` gave."""
        against = {k.removeprefix(NEGATIVES): v for k, v in tensors.items() if k.startswith(NEGATIVES)}
        levels = sorted(name for name in tensors if name.startswith("levels."))
        return ExemplarFeatures(
            sizes=tensors["sizes"],
            vectors=tensors["vectors"],
            kernels=tensors.get("kernels"),
            levels=tuple(tensors[name] for name in levels),
            negatives=ExemplarFeatures.from_tensors(against) if against else None,
        )

    @staticmethod
    def merge(parts: Sequence[ExemplarFeatures]) -> ExemplarFeatures:
        """One description of all the exemplars and all the negatives of ``parts``, wherever each was seen."""
        kernels = [p.kernels for p in parts if p.kernels is not None]
        negatives = [p.negatives for p in parts if p.negatives is not None]
        return ExemplarFeatures(
            sizes=torch.cat([p.sizes for p in parts]),
            vectors=torch.cat([p.vectors for p in parts]),
            kernels=torch.cat(kernels) if kernels else None,
            levels=tuple(torch.cat(stage) for stage in zip(*(p.levels for p in parts), strict=True)),
            negatives=ExemplarFeatures.merge(negatives) if negatives else None,
        )


class Features(NamedTuple):
    """A picture's features: joined trunk stages as they are, class and density features (B, C, h, w)."""

    stages: tuple[Tensor, ...]
    classes: Tensor
    density: Tensor


class Evidence(NamedTuple):
    """Where a picture shows what the exemplars show.

    Attributes:
        product: (B, C, h, w) of unit class features and class vector: about 1 where they match.
        correlation: (B, C, h, w) of unit class features with 3x3 exemplar kernels, likewise.
        nearest: (B, 1, h, w) cosine with the exemplar that is nearest, of class features.
        levels: for each joined stage (B, 2, h, w): mean and maximum cosine with the exemplars.
        against: (B, 2 + 2 S, h, w) for class features and then S joined stages: cosine with the negative that is
            nearest, and `CONTRAST` times by how much the nearest exemplar is nearer; both 0 where a picture has no
            negatives. None where negatives are not looked at.
    """

    product: Tensor
    correlation: Tensor
    nearest: Tensor
    levels: list[Tensor]
    against: Tensor | None


def check_feature_tensors(tensors: Mapping[str, Tensor], widths: Sequence[int], *, evidence: bool) -> None:
    """See that `ExemplarFeatures.to_tensors` of a network may have given these tensors.

    Args:
        tensors: by name.
        widths: channels of the class features, then of each joined stage.
        evidence: whether there are kernels and levels.

    Raises:
        LikewiseError: names what is missing, too much or of another shape.
    """
    classes, *stages = widths
    levels = {f"levels.{index}": (width,) for index, width in enumerate(stages if evidence else ())}
    rows: dict[str, tuple[int, ...]] = {"sizes": (2,), "vectors": (classes,), **levels}
    if any(name.startswith(NEGATIVES) for name in tensors):
        rows |= {NEGATIVES + name: shape for name, shape in rows.items()}
    rows |= {"kernels": (classes, 3, 3)} if evidence else {}
    if set(rows) != set(tensors):
        raise LikewiseError(f"examples have {', '.join(sorted(tensors))[:200]}; expected {', '.join(sorted(rows))}")
    for name, shape in rows.items():
        first = tensors[NEGATIVES * name.startswith(NEGATIVES) + "sizes"]
        expected = (len(first) if first.ndim else 0, *shape)
        if tensors[name].dtype != torch.float32 or tuple(tensors[name].shape) != expected or expected[0] < 1:
            found = f"{tensors[name].dtype} {tuple(tensors[name].shape)}"
            raise LikewiseError(f"examples: {name} is {found}; expected at least one row, float32 {expected}")
        if name.endswith("sizes") and not bool((tensors[name] > 0).all()):
            raise LikewiseError(f"examples: {name} holds a size that is not above 0")


def encode_exemplars(
    features: Features, boxes: Sequence[Tensor], stride: int, *, size: int, aligned: bool
) -> list[ExemplarFeatures]:
    """Sizes and class vectors of each picture's boxes, any number of them.

    Args:
        features: of B pictures.
        boxes: B tensors (K_i, 4).
        stride: of the class features.
        size: samples a side with which a box is pooled.
        aligned: see `likewise.ops.similarity.pool_boxes`.
    """
    crops = pool_boxes(features.classes, boxes, size=size, scale=1 / stride, aligned=aligned)
    return [ExemplarFeatures(box_sides(b).flip(-1).to(c), c.mean((2, 3))) for b, c in zip(boxes, crops, strict=True)]


def with_levels(
    described: Sequence[ExemplarFeatures], features: Features, boxes: Sequence[Tensor], strides: Sequence[int]
) -> list[ExemplarFeatures]:
    """Descriptions that also hold what the boxes look like at each joined stage, of these strides."""
    levels = [
        [crop.mean((2, 3)) for crop in pool_boxes(stage, boxes, size=4, scale=1 / stride)]
        for stride, stage in zip(strides, features.stages, strict=True)
    ]
    return [replace(d, levels=tuple(stage[i] for stage in levels)) for i, d in enumerate(described)]


def with_kernels(
    described: Sequence[ExemplarFeatures], features: Features, boxes: Sequence[Tensor], stride: int
) -> list[ExemplarFeatures]:
    """Descriptions that also hold each box's 3x3 kernel of class features, which are of this stride."""
    kernels = pool_boxes(F.normalize(features.classes, dim=1), boxes, size=3, scale=1 / stride)
    return [replace(d, kernels=k) for d, k in zip(described, kernels, strict=True)]


def evidence(features: Features, exemplar_features: Sequence[ExemplarFeatures], *, negatives: bool) -> Evidence:
    """Compare B pictures with what their exemplars look like, at least one each.

    Args:
        features: of B pictures.
        exemplar_features: B of them, with kernels and levels.
        negatives: whether to say how near each place is to the negatives.
    """
    grid, width = features.classes.shape[-2:], features.classes.shape[1]
    unit = F.normalize(features.classes, dim=1)
    vectors = torch.stack([d.vectors.mean(0) for d in exemplar_features])
    kernels = torch.stack([d.kernels.mean(0) for d in exemplar_features if d.kernels is not None])
    depths = (features.classes, *features.stages)
    looks = [_looks(d) for d in exemplar_features]
    against = [_looks(_negatives_of(d)) for d in exemplar_features]
    own, *stages = (
        similarity_to_examples(depth, [k[i] for k in looks], [k[i] for k in against] if negatives else None)
        for i, depth in enumerate(depths)
    )
    levels = [F.interpolate(stage, grid, mode="bilinear", antialias=True) for stage in stages]
    contrast = own.new_tensor([1.0, CONTRAST])[:, None, None]
    return Evidence(
        # Unit vectors have entries of about 1 / sqrt(C): scaled so that matching places give entries of about 1.
        product=unit * F.normalize(vectors, dim=1)[:, :, None, None] * width,
        correlation=correlate_kernels(unit, kernels.to(unit)) * (width / 9),
        nearest=own[:, 1:2],
        levels=[level[:, :2] for level in levels],
        against=torch.cat([level[:, 2:] * contrast for level in (own, *levels)], dim=1) if negatives else None,
    )


def _looks(description: ExemplarFeatures) -> tuple[Tensor, ...]:
    """What boxes look like at each depth: class features first, then the joined stages."""
    return (description.vectors, *description.levels)


def _negatives_of(description: ExemplarFeatures) -> ExemplarFeatures:
    """The negatives, none of them where there are none."""
    nothing = ExemplarFeatures(
        description.sizes[:0], description.vectors[:0], levels=tuple(level[:0] for level in description.levels)
    )
    return description.negatives or nothing
