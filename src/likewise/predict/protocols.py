"""What networks must offer to be used: small, typed, and all of it required.

A network says in ``prompts`` how it is asked: one that names "exemplars" there meets `ExemplarCounter`, one that names
"text" meets `TextCounter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from likewise.class_names import ClassNames
from likewise.inference import EvalProtocol, InferenceConfig, OpenSet
from likewise.preprocess.rules import Preprocess
from likewise.preprocess.square_view import SquareView
from likewise.types import PromptBatch


class Prepared(Protocol):
    """What a network prepared of a picture: a tensor, or an object of its own with tensors in it."""

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""


class Preparable(Protocol):
    """A network that can do what no prompt changes once, and be given the outcome in a picture's place."""

    def prepare(self, image: Tensor) -> Prepared:
        """What no prompt changes of looking at pictures (B, 3, H, W) RGB in [0, 1]."""


class CounterConfig(Protocol):
    """The part of a counter's config that says how its weights are used."""

    inference: InferenceConfig


class CounterModel(Preparable, Protocol):
    """What every counter offers.

    Attributes:
        config: has an ``inference``.
        prompts: the kinds of prompt it takes, of "exemplars", "negatives" and "text".
        protocols: how its published numbers were measured, by data set.
    """

    config: CounterConfig
    prompts: tuple[str, ...]
    protocols: Mapping[str, EvalProtocol]

    @property
    def cell(self) -> int:
        """Side, in pixels, of the squares in which its densities are constant."""

    def to(self, device: torch.device) -> Self:
        """The same on a device."""

    def eval(self) -> Self:
        """The same, ready to be used."""

    def named_parameters(self) -> Iterable[tuple[str, Tensor]]:
        """Its weights by name."""


class ExemplarFeatures(Protocol):
    """What exemplars look like to a network, apart from the picture they were drawn in."""

    def mean_cosine(self) -> float | None:
        """The mean cosine of every two exemplars; None where there are not two."""

    def to_tensors(self) -> dict[str, Tensor]:
        """All of it by name, for files."""

    @staticmethod
    def merge(parts: Sequence[ExemplarFeatures]) -> ExemplarFeatures:
        """Those of all exemplars and negatives of the parts."""


class ExemplarCounter(CounterModel, Protocol):
    """Counts what looks like exemplars."""

    def answer(self, image: Tensor | Prepared, prompt: PromptBatch) -> tuple[Tensor, Sequence[ExemplarFeatures]]:
        """Densities (B, 1, H, W) that sum to each picture's count, and what its exemplars look like."""

    def encode_exemplars(
        self, image: Tensor | Prepared, prompt: PromptBatch, size: Tensor | None = None
    ) -> Sequence[ExemplarFeatures]:
        """What each picture's exemplars look like; ``size`` (B, 2) is the mean height and width of all of them."""

    def features_of(self, tensors: Mapping[str, Tensor]) -> ExemplarFeatures:
        """What `ExemplarFeatures.to_tensors` gave, checked.

        Raises:
            LikewiseError: it is not what this network makes of exemplars.
        """

    def count_like(self, image: Tensor | Prepared, exemplar_features: Sequence[ExemplarFeatures]) -> Tensor:
        """The density, as above, of what each picture's exemplars show, wherever these were seen."""


class TextCounter(CounterModel, Protocol):
    """Counts what a text names."""

    def check(self, text: str) -> None:
        """See that a text can be counted by, before a picture is looked at.

        Raises:
            LikewiseError: it cannot; the nearest names that can are given.
        """

    def encode(self, texts: tuple[str, ...]) -> Tensor:
        """What texts mean to the network: (B, C)."""

    def count(self, image: Tensor | Prepared, text: Tensor) -> Tensor:
        """Densities (B, 1, H, W) that sum to each picture's count, of what encoded texts (B, C) name."""


class TextProposals(Protocol):
    """Where a picture shows what a text names, place by place.

    Attributes:
        logits: (B, 1, h, w), how sure each place is.
        boxes: (B, h, w, 4) xyxy in pixels of what each place shows, whatever its name.
        stride: pixels between two places.
    """

    @property
    def logits(self) -> Tensor:
        """(B, 1, h, w)."""

    @property
    def boxes(self) -> Tensor:
        """(B, h, w, 4)."""

    @property
    def stride(self) -> int:
        """Pixels between two places."""


class TextFinder(TextCounter, Protocol):
    """Finds examples of what a text names, to be counted by example."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The names it was taught."""

    def knows(self, text: str) -> bool:
        """Whether it knows anything of a text."""

    def boxes_at_places(self, image: Tensor | Prepared) -> tuple[Tensor, int]:
        """Boxes (B, h, w, 4) xyxy in pixels of what each place shows, whatever its name; pixels between two places."""

    def find(self, image: Tensor | Prepared, text: Tensor) -> TextProposals:
        """Where pictures show what encoded texts (B, C) name, and the boxes of what they show."""


class PlaceNamer(Preparable, Protocol):
    """A classifier of places: what it prepares of pictures is logits (B, C, h, w), a place of 32 pixels a side each.

    Attributes:
        names: of its classes.
    """

    names: ClassNames

    def to(self, device: torch.device) -> Self:
        """The same on a device."""

    def eval(self) -> Self:
        """The same, ready to be used."""


class SegmenterConfig(Protocol):
    """The part of a segmenter's config that says how its weights are used.

    Attributes:
        preprocess: how pictures become inputs.
        edges: reach of the windows in which scores are brought to a picture's edges, as a share of its longer side;
            0: they are not.
    """

    preprocess: Preprocess
    edges: float


class Encoded(Protocol):
    """What a segmenter sees in a picture.

    Attributes:
        size: (height, width) of the picture as it saw it.
    """

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture as it was seen."""


class SegmenterModel(Protocol):
    """What a network must offer to be segmented with; its prototypes are its own."""

    config: SegmenterConfig

    def to(self, device: torch.device) -> Self:
        """The same on a device."""

    def eval(self) -> Self:
        """The same, ready to be used."""

    def look(self, images: Sequence[Tensor]) -> Sequence[Encoded]:
        """What it sees in pictures (3, H, W), RGB in [0, 1]."""

    def prototype(self, shots: Sequence[tuple[Encoded, Tensor]]) -> object:
        """What examples, as seen, and their masks (H, W) say."""

    def answer(self, seen: Encoded, prototype: object) -> Tensor:
        """Logits (2, H, W), background and thing, of one picture as seen."""


class RecognizerConfig(Protocol):
    """The part of a recogniser's config that says how its weights are used."""

    classes: int
    labels: tuple[str, ...]
    view: SquareView
    preprocess: Preprocess
    open_set: OpenSet | None


class Recognition(Protocol):
    """What a recogniser makes of pictures: logits and features, a response map, its peaks, and what it sampled."""

    @property
    def logits(self) -> Tensor:
        """(B, C)."""

    @property
    def features(self) -> Tensor:
        """(B, D), which the logits are a linear function of."""

    @property
    def response(self) -> Tensor:
        """(B, M, M) from 0 to 1."""

    @property
    def peaks(self) -> Tensor:
        """(B, M, M) bool."""

    @property
    def sampled(self) -> dict[str, Tensor]:
        """Pictures (B, 3, S, S) that it looked at then, by the name of the branch."""


class RecognizerModel(Protocol):
    """What a network must offer to be recognised with."""

    config: RecognizerConfig

    def to(self, device: torch.device) -> Self:
        """The same on a device."""

    def eval(self) -> Self:
        """The same, ready to be used."""

    def __call__(self, image: Tensor) -> Recognition:
        """Of pictures (B, 3, S, S) RGB in [0, 1]."""
