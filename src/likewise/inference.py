"""How weights are used, apart from the numbers of their network and of its loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from likewise.errors import LikewiseError
from likewise.preprocess.rules import Preprocess
from likewise.types import Calibration

#: No pictures are so unlike what weights know that counts are off by more than this: they are wrong then.
MOST_FACTOR = 1000.0


@dataclass(frozen=True)
class EvalProtocol:
    """How a counter's published numbers of a data set were measured, as far as that is not plain.

    A network's ``protocols`` hold one for each data set. ``likewise eval --protocol`` follows the one it is told, or
    the one that the weights name (`InferenceConfig.protocol`).

    Attributes:
        exemplars: at most so many of a picture's exemplars are shown, the first ones; 0: all.
        merge_points: points that fall on one pixel of the network's input (`likewise.boxes.points_to_pixels`) are one
            object, so that a picture may have fewer than there are dots in it.
        config: which numbers of the network's config are others then, by the names of their fields.
    """

    exemplars: int = 0
    merge_points: bool = False
    config: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenSet:
    """When a recogniser says that a picture shows none of its classes: learnt, and part of its config.

    Attributes:
        threshold: of the familiarity (`likewise.predict.recognizer.familiarity`), below which it does.

    Raises:
        LikewiseError: a threshold that is not a finite number.
    """

    threshold: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise LikewiseError(f"open set: threshold = {self.threshold}, expected a finite number")


@dataclass(frozen=True)
class InferenceConfig:
    """What is done with pictures, boxes and densities round a counter's network; part of its config.

    Attributes:
        preprocess: how pictures become inputs.
        whole_boxes: boxes are brought to whole pixels of the network's input, each at least one wide and high.
        margin: a box is taken to be so many of the caller's pixels wider and higher than its thing: a rim that is a
            large part of a small thing's box (`Prompt.tightened`).
        snap_peaks: a peak whose density lies between these counts as one thing; None: sums as they are.
        colour_groups: where what is found falls into two groups of colours and all examples are in one, the other is
            of another kind and not counted (`likewise.predict.colour_groups`).
        factor: the density, peaks snapped, is multiplied by this: what counts of some sort of pictures are off by, as
            corrected ones showed (`likewise.adapt`).
        calibration: how far off the counts of the weights are, where ``likewise calibrate`` has learnt it; None: it is
            not known.
        calibration_full: the same for counts whose picture is looked at again, mirrored and at another scale.
        counted_by: weights of a counter by example that counts what these find by name (`likewise.predict.named`);
            empty: they count themselves.
        named_by: weights of a classifier of photographs, whose names are looked up there first
            (`likewise.predict.naming`); empty: these know all names there are.
        protocol: which of their network's published protocols they are measured by unless told otherwise
            (`EvalProtocol`); empty: plainly.

    Raises:
        LikewiseError: a factor beyond `MOST_FACTOR`, either way.
    """

    preprocess: Preprocess
    whole_boxes: bool = False
    margin: float = 0.0
    snap_peaks: tuple[float, float] | None = None
    colour_groups: bool = False
    factor: float = 1.0
    calibration: Calibration | None = None
    calibration_full: Calibration | None = None
    counted_by: str = ""
    named_by: str = ""
    protocol: str = ""
    OLD_FIELDS: ClassVar[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
        # was written out, by the one network that had any
        "evaluation": lambda held: {"protocol": "fsc147" if held["merge_points"] else ""}
    }

    def __post_init__(self) -> None:
        if not 1 / MOST_FACTOR <= self.factor <= MOST_FACTOR:
            raise LikewiseError(
                f"factor = {self.factor}: expected a number from {1 / MOST_FACTOR:g} to {MOST_FACTOR:g}"
            )


#: Where the numbers of older versions' flat configs are now, for the ``OLD_FIELDS`` of configs that hold this one.
FLAT_FIELDS: Final[Mapping[str, str]] = {
    "preprocess": "inference.preprocess",
    "margin": "inference.margin",
    "settle": "inference.snap_peaks",
    "trust": "inference.calibration",
    "trust_full": "inference.calibration_full",
}
