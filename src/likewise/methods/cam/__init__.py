"""CAM: class activation maps, a classifier that says of every place what it shows.

Paper: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016. A classifier of pooled features
is linear in them, so that its weights, applied before the pooling, tell each class place by place; S3N's class response
map is the same. Licence of this code and of the bundled weights: Apache-2.0.

``cam-lite`` is ImageNet's MobileNetV2 with its classifier as published, and with classes beside those of ImageNet. It
names things for the counter by name, ``countx-lite`` (`likewise.predict.naming`). Weights published as TensorFlow Lite
files, such as iNaturalist's birds, are brought in by `convert_keys`.

Deviation: nothing is trained with global average pooling here; the published networks were.

Shapes: B pictures, C classes, D channels, h w grid of places, M = ``map_size``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from likewise.class_names import ClassNames
from likewise.errors import LikewiseError
from likewise.inference import OpenSet
from likewise.nn.spatial_trunk import SpatialTrunk
from likewise.ops.response_peaks import class_response, entropy_gate, response_peaks
from likewise.preprocess.rules import Preprocess
from likewise.preprocess.square_view import SquareView
from likewise.types import ClassBatch
from likewise.weights import Preset, WeightCard, bundled_config


@dataclass(frozen=True)
class Config:
    """The numbers of the network.

    Attributes:
        classes: how many there are.
        labels: their names, several of one class behind commas; empty: they have none.
        kinds: (name, classes) of what several classes are called together, such as ("bird", (7, 8, 9)).
        trunk: timm's name of the trunk.
        same_padding: see `likewise.nn.spatial_trunk.SpatialTrunk`, whose norms are folded.
        map_size: cells a side of response maps.
        view: what is seen of a picture, to say what it shows as a whole.
        preprocess: its colours.
        open_set: when a picture shows none of the classes, where ``likewise calibrate`` has learnt it.

    Raises:
        LikewiseError: labels that are not one a class, or kinds of classes that there are not.
    """

    classes: int = 1000
    labels: tuple[str, ...] = ()
    kinds: tuple[tuple[str, tuple[int, ...]], ...] = ()
    trunk: str = "mobilenetv2_100"
    same_padding: bool = True
    map_size: int = 31
    view: SquareView = field(default=SquareView(size=224, share=0.0, squeezed=False))
    preprocess: Preprocess = field(default=Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3))
    open_set: OpenSet | None = None

    def __post_init__(self) -> None:
        if self.labels and len(self.labels) != self.classes:
            raise LikewiseError(f"{len(self.labels)} labels for {self.classes} classes; expected one a class, or none")
        for name, classes in self.kinds:
            if not all(0 <= each < self.classes for each in classes):
                raise LikewiseError(f"kinds: {name!r} names classes beyond the {self.classes} there are")


class CAMOutput(NamedTuple):
    """What the network makes of pictures.

    Attributes:
        logits: (B, C).
        features: (B, D), pooled, that they were read from.
        response: (B, M, M) response map of what it answers, from 0 to 1.
        peaks: (B, M, M) bool: its peaks.
        sampled: empty: nothing is looked at twice.
    """

    logits: Tensor
    features: Tensor
    response: Tensor
    peaks: Tensor
    sampled: dict[str, Tensor]


class CAM(nn.Module):
    """The classifier: pictures in, logits of classes out, for a picture or for each of its places.

    Example:
        >>> network = CAM(Config(classes=3)).eval()
        >>> network(torch.rand(1, 3, 64, 96)).logits.shape, network.prepare(torch.rand(1, 3, 64, 96)).shape
        (torch.Size([1, 3]), torch.Size([1, 3, 2, 3]))
    """

    method = "cam"
    task = "recognize"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.names = ClassNames(config.labels, config.kinds)
        self.trunk = SpatialTrunk(config.trunk, folded=True, same_padding=config.same_padding)
        self.classify = nn.Linear(self.trunk.channels, config.classes)

    def forward(self, image: Tensor) -> CAMOutput:
        """What pictures (B, 3, H, W), RGB in [0, 1] and of any size, show as a whole."""
        features = self._features(image)
        pooled = features.mean((2, 3))
        logits: Tensor = self.classify(pooled)
        weight = self.classify.weight - self.classify.weight.mean(0)
        size = (self.config.map_size, self.config.map_size)
        response = class_response(features.detach(), weight.detach(), entropy_gate(logits.detach()), size)
        return CAMOutput(logits, pooled, response, response_peaks(response), {})

    def prepare(self, image: Tensor) -> Tensor:
        """Logits (B, C, h, w) of the places of pictures, as of `forward`, each `stride` pixels a side."""
        features = self._features(image)
        logits: Tensor = self.classify(features.movedim(1, -1))
        return logits.movedim(-1, 1)

    @property
    def stride(self) -> int:
        """Pixels a side of a place."""
        return int(self.trunk.net.feature_info[-1]["reduction"])

    def loss(self, output: CAMOutput, batch: ClassBatch) -> dict[str, Tensor]:
        """The cross-entropy of each picture's class (B,), under "total"."""
        return {"total": nn.functional.cross_entropy(output.logits.float(), batch.target, reduction="none")}

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        """Optimiser groups: the trunk learns at a fifth of the rate."""
        return [
            {"params": list(self.classify.parameters()), "lr": lr},
            {"params": list(self.trunk.parameters()), "lr": 0.2 * lr},
        ]

    def load_trunk(self, state: Mapping[str, Tensor]) -> None:
        """Start the trunk from weights under timm's names; see `SpatialTrunk.load_imagenet`."""
        self.trunk.load_imagenet(state)

    def _features(self, image: Tensor) -> Tensor:
        features: Tensor = self.trunk(self.config.preprocess.normalised(image))
        return features


def convert_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The layers of a MobileNetV2 in a TensorFlow Lite file, which come in timm's order -> names of this module.

    Raises:
        LikewiseError: not as many layers as the network has.
    """
    with torch.device("meta"):
        names = list(CAM(Config()).state_dict())
    if len(state) != len(names):
        raise LikewiseError(f"{len(state)} weights and biases; a MobileNetV2 with its classifier has {len(names)}")
    return dict(zip(names, state.values(), strict=True))


def config_for(config: Config, state: Mapping[str, Tensor]) -> Config:
    """A configuration with as many classes as a converted file has; their names are not in it."""
    return replace(config, classes=len(state["classify.bias"]), labels=(), kinds=())


CAM_LITE = Preset(
    name="cam-lite",
    model=CAM,
    config=bundled_config(Config, "cam-lite.safetensors", Config()),
    card=WeightCard(
        licence="Apache-2.0; names of several classes together from WordNet 3.0, Copyright 2006 Princeton University",
        data="ImageNet, by those who published the network; 82 classes beside its 1000 on the train splits of the "
        "Grocery Store data set (MIT), red_cells (MIT), blood (MIT), and, as what they are not, nuclei (CC0) and "
        "clothing (Apache-2.0)",
        file="cam-lite.safetensors",
        sha256="6527e0c25e61a67da6dd727a1196fcd9b72f959271f781b1a94f3b8bf7610def",
        source="as likewise train cam-lite makes them, seed 0; the trunk "
        "and 1000 classes are ImageNet MobileNetV2 as published in github.com/google-coral/test_data (Apache-2.0), "
        "rounded to float16",
        paper="Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016",
        scores={"named kinds in photographs (names suite)": "median error 15 %; absent names 0 %; clothes not found"},
        notes=(
            "Of names alike it takes the one that it knows better: ImageNet's lemon is an orange at times.",
            "It was rounded to eight bits before it was published; its accuracy on ImageNet was not measured.",
        ),
    ),
)
