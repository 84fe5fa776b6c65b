"""S3N: fine-grained recognition by selective sparse sampling.

Paper: Ding et al., "Selective Sparse Sampling for Fine-Grained Image Recognition", ICCV 2019.
Authors' code carries no licence: everything here is written from the paper's mathematics, and their checkpoints are
loaded through `convert_keys`. Licence of this code and of the bundled weights: Apache-2.0.

A picture is looked at once; the places to which its classifier responds are its peaks. They make two saliency maps,
of what tells classes apart and of what else is there, by which the picture is sampled twice and looked at again with
the same trunk. A classifier of all three looks answers.

Deviations, each a field of `Config` or said here: a picture without peaks is left as it is (the original fails),
chance plays no part outside training, any trunk and any picture size. The original's sampling grid is half a pixel
off, which is kept (``aligned``). ``s3n-lite`` is the same network on MobileNetV2, with depthwise convolutions before
the classifiers of its branches, and weights for 81 kinds of groceries.

Shapes: B pictures, C classes, D channels of features, M = ``map_size``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.methods.s3n.trunk import SpatialTrunk
from likewise.ops.response_peaks import class_response, entropy_gate, response_peaks
from likewise.ops.saliency_sampling import attention_bumps, sample_by_saliency
from likewise.preprocess.rules import Preprocess
from likewise.preprocess.square_view import SquareView
from likewise.types import ClassBatch
from likewise.weights import Preset, WeightCard, renamed

BRANCHES = ("discriminative", "complementary")
Branches = Literal["none", "discriminative", "complementary", "both"]

#: Which peaks make which map: "every" peak both, each peak "drawn" for one of them, the two "extremes".
Selection = Literal["every", "drawn", "extremes"]


@dataclass(frozen=True)
class Config:
    """The numbers of the network; the defaults are the published ones.

    Attributes:
        classes: how many there are.
        labels: their names; empty: they have none.
        trunk: timm's name of the trunk.
        folded: see `likewise.methods.s3n.trunk.SpatialTrunk`.
        same_padding: likewise.
        branches: which sampled pictures are looked at; "none" is the plain trunk with its classifier.
        depthwise: the 3x3 convolution before a branch's classifier is one a channel, not over all of them.
        map_size: cells a side of response and saliency maps.
        top: most probable classes whose entropy is the gate, and that are mixed where it is closed.
        gate: the most probable class's response is used alone where sum(p log p) is above this.
        base: level of the saliency where there is no peak.
        radii: the widths of discriminative and complementary bumps as shares of a map's side, before training.
        reach: of the sampler's Gaussian kernel, in cells.
        fwhm: its full width at half maximum, in cells.
        centred: a class's response is taken relative to the mean of all classes, a part of the weights that no answer
            depends on, but that may drown the rest of the response; False as published.
        aligned: False reproduces the original's grid, which is half a pixel off at the border; True is the clean value.
        smoothing: share of the target that the other classes get, in the losses of the first look and of the
            complementary branch.
        first_stage: share of a run in which every peak goes to both maps: the published 20 of 60 epochs.
        trunk_rate: the trunk's learning rate, relative to that of what is new.
        dropout: on the pooled features of each look while training, before they are classified; published: none.
        view: what is seen of a picture.
        preprocess: its colours.
    """

    classes: int = 200
    labels: tuple[str, ...] = ()
    trunk: str = "resnet50"
    folded: bool = False
    same_padding: bool = False
    branches: Branches = "both"
    depthwise: bool = False
    map_size: int = 31
    top: int = 5
    gate: float = -0.2
    base: float = 0.09
    radii: tuple[float, float] = (0.09, 0.3)
    reach: int = 30
    fwhm: float = 13.0
    centred: bool = False
    aligned: bool = False
    smoothing: float = 0.15
    first_stage: float = 1 / 3
    trunk_rate: float = 0.1
    dropout: float = 0.0
    view: SquareView = field(default_factory=SquareView)
    preprocess: Preprocess = field(default_factory=Preprocess)

    def __post_init__(self) -> None:
        if self.labels and len(self.labels) != self.classes:
            raise LikewiseError(f"{len(self.labels)} labels for {self.classes} classes; expected one a class, or none")


class Look(NamedTuple):
    """What the network makes of pictures.

    Attributes:
        logits: (B, C), the answer.
        origin: (B, C) of the first look alone.
        discriminative: (B, C) of that branch alone; None where there is none.
        complementary: likewise.
        response: (B, M, M) class response map, from 0 to 1.
        peaks: (B, M, M) bool: its peaks.
        sampled: (B, 3, H, W) the pictures that the branches saw, by branch, normalised as the input was.
    """

    logits: Tensor
    origin: Tensor
    discriminative: Tensor | None
    complementary: Tensor | None
    response: Tensor
    peaks: Tensor
    sampled: dict[str, Tensor]


class S3N(nn.Module):
    """The recogniser: pictures in, logits of their classes out, and why."""

    method = "s3n"
    task = "recognize"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.trunk = SpatialTrunk(config.trunk, folded=config.folded, same_padding=config.same_padding)
        width = self.trunk.channels
        self.names = tuple(name for name in BRANCHES if config.branches in (name, "both"))
        self.origin = nn.Linear(width, config.classes)
        radii = dict(zip(BRANCHES, config.radii, strict=True))
        self.branches = nn.ModuleDict({name: Branch(width, config, radii[name]) for name in self.names})
        self.dropout = nn.Dropout(config.dropout)
        if self.names:
            self.joined = nn.Linear(width * (1 + len(self.names)), config.classes)
        self._early = True

    def forward(self, image: Tensor) -> Look:
        """Recognise what each picture shows.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size.
        """
        selection: Selection = "extremes"
        if self.training:
            selection = "every" if self._early else "drawn"
        return self.look(self.config.preprocess.normalised(image), selection)

    def begin_step(self, fraction: float) -> None:
        """Told before a step of training how much of the run is done: which peaks make which map depends on it."""
        self._early = fraction < self.config.first_stage

    def look(self, image: Tensor, selection: Selection) -> Look:
        """The published network itself, on normalised pictures (B, 3, H, W)."""
        config = self.config
        features = self.trunk(image)
        pooled = [self.dropout(features.mean((2, 3)))]
        origin = self.origin(pooled[0])
        response, peaks = self._respond(features, origin)
        chosen = _selected(response, peaks, selection)
        logits, sampled = {}, {}
        for name in self.names:
            branch = self.branches[name]
            saliency = config.base + branch.saliency(response, chosen[name])  # type: ignore[operator]
            sampled[name] = self._sampled(image, saliency, peaks)
            logits[name], vector = branch(self.trunk(sampled[name]))
            pooled.append(vector)
        answer = self.joined(torch.cat(pooled, dim=1)) if self.names else origin
        branches = (logits.get("discriminative"), logits.get("complementary"))
        return Look(answer, origin, *branches, response, peaks, sampled)

    def loss(self, output: Look, batch: ClassBatch) -> dict[str, Tensor]:
        """What separates a look from a batch's classes: terms (B,) by name, and "total".

        Cross-entropies, summed: with a smoothed target of the first look and the complementary branch, with the plain
        one of the discriminative branch and of the answer.
        """
        target, smoothing = batch.target, self.config.smoothing
        terms = {"origin": _cross_entropy(output.origin, target, smoothing)}
        if output.complementary is not None:
            terms["complementary"] = _cross_entropy(output.complementary, target, smoothing)
        if output.discriminative is not None:
            terms["discriminative"] = _cross_entropy(output.discriminative, target, 0.0)
        if self.names:
            terms["joined"] = _cross_entropy(output.logits, target, 0.0)
        return {**terms, "total": torch.stack(list(terms.values())).sum(0)}

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        """Optimiser groups: what is new, the pretrained trunk at ``trunk_rate`` of the rate, radii without decay."""
        radii = [branch.radius for branch in self.branches.values()]
        held = {id(p) for p in (*self.trunk.parameters(), *radii)}
        groups: list[dict[str, object]] = [
            {"params": [p for p in self.parameters() if id(p) not in held], "lr": lr},
            {"params": list(self.trunk.parameters()), "lr": self.config.trunk_rate * lr},
        ]
        return [*groups, {"params": radii, "lr": self.config.trunk_rate * lr, "weight_decay": 0.0}] if radii else groups

    def load_trunk(self, state: Mapping[str, Tensor]) -> None:
        """Start the trunk from weights under timm's names; see `SpatialTrunk.load_imagenet`."""
        self.trunk.load_imagenet(state)

    @torch.no_grad()
    def _respond(self, features: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Response map and its peaks, (B, M, M) each."""
        config = self.config
        shares = entropy_gate(logits, top=config.top, threshold=config.gate)
        weight = self.origin.weight - self.origin.weight.mean(0) if config.centred else self.origin.weight
        response = class_response(features, weight, shares, (config.map_size,) * 2)
        return response, response_peaks(response)

    def _sampled(self, image: Tensor, saliency: Tensor, peaks: Tensor) -> Tensor:
        config = self.config
        seen = sample_by_saliency(image, saliency, reach=config.reach, fwhm=config.fwhm, aligned=config.aligned)
        return torch.where(peaks.any(2).any(1)[:, None, None, None], seen, image)


class Branch(nn.Module):
    """One sampled look: how salient its peaks are, and what is made of the features of the sampled picture.

    Args:
        width: channels of the features.
        config: its ``classes``, ``depthwise`` and ``dropout`` are read.
        radius: width of the bumps as a share of the map's side, learned from there.
    """

    def __init__(self, width: int, config: Config, radius: float) -> None:
        super().__init__()
        groups = width if config.depthwise else 1
        self.radius = nn.Parameter(torch.tensor(radius))
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=1, groups=groups, bias=False)
        if config.depthwise:
            nn.init.dirac_(self.conv.weight, groups=width)  # features are passed on as they are until it is learned
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(width, config.classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C) and pooled features (B, D) of features (B, D, h, w)."""
        pooled = self.dropout(F.relu(self.norm(self.conv(features))).mean((2, 3)))
        return self.classify(pooled), pooled

    def saliency(self, response: Tensor, chosen: Chosen) -> Tensor:
        """(B, M, M): bumps round the chosen peaks, whose width grows with the root of the response there."""
        shape = (len(response), response.shape[1], response.shape[2])
        width = shape[2] * self.radius.abs() * chosen.response.sqrt()
        return attention_bumps(chosen.cells, chosen.weight, width, shape)


class Chosen(NamedTuple):
    """Peaks of a map: (N, 3) picture, row, column; (N,) the weight of each; (N,) its response."""

    cells: Tensor
    weight: Tensor
    response: Tensor


def _selected(response: Tensor, peaks: Tensor, selection: Selection) -> dict[str, Chosen]:
    """Which peaks make which map: a peak weighs its response in the discriminative map, 1 / response in the other."""
    if selection == "extremes":
        return _extremes(response, peaks)
    cells = peaks.nonzero()
    height = response[peaks]
    ones = torch.ones_like(height)
    kept = (height > torch.rand_like(height)).to(height) if selection == "drawn" else ones
    left = 1 - kept if selection == "drawn" else ones
    return {
        "discriminative": Chosen(cells, kept * height, height),
        "complementary": Chosen(cells, left / height, height),
    }


def _extremes(response: Tensor, peaks: Tensor) -> dict[str, Chosen]:
    """The highest peak of each picture and the lowest; a picture without peaks gets bumps of no weight."""
    some = peaks.any(2).any(1).to(response)
    found = {}
    for name, best in (
        ("discriminative", response.where(peaks, -torch.inf).flatten(1).argmax(1)),
        ("complementary", response.where(peaks, torch.inf).flatten(1).argmin(1)),
    ):
        picture = torch.arange(len(best), device=best.device)
        row, column = best // response.shape[2], best % response.shape[2]
        height = response[picture, row, column]
        weight = some * (height if name == "discriminative" else 1 / height.where(some > 0, 1.0))
        found[name] = Chosen(torch.stack([picture, row, column], dim=1), weight, height)
    return found


def _cross_entropy(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy (B,) with 1 - smoothing on the target and the rest spread over the other classes."""
    logs = logits.float().log_softmax(1)
    right = logs.gather(1, target[:, None])[:, 0]
    others = max(logits.shape[1] - 1, 1)
    return -(1 - smoothing) * right - smoothing * (logs.sum(1) - right) / others


def convert_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the authors' checkpoint -> names of this module; tensors are passed on as they are.

    Radii that the file does not hold are the published ones. The classifier's copy that made the response maps and the
    sampler's constant kernel are left out.
    """
    radii = {f"branches.{name}.radius": torch.tensor(radius) for name, radius in _RADII}
    kept = {renamed(name, _RENAMES): tensor for name, tensor in state.items() if not re.match(_UNUSED, name)}
    return radii | {name: t.reshape(()) if name.endswith(".radius") else t for name, t in kept.items()}


def config_for(config: Config, state: Mapping[str, Tensor]) -> Config:
    """A configuration with as many classes as a converted checkpoint has; its labels are not in the file."""
    return replace(config, classes=len(state["origin.bias"]), labels=()) if "origin.bias" in state else config


_RADII = tuple(zip(BRANCHES, Config().radii, strict=True))
_UNUSED = r"(filter|map_origin)\."
_RENAMES = (
    (r"features\.0\.", "trunk.net.conv1."),
    (r"features\.1\.", "trunk.net.bn1."),
    *((rf"features\.{i + 3}\.", f"trunk.net.layer{i}.") for i in (1, 2, 3, 4)),
    (r"raw_classifier\.", "origin."),
    (r"con_classifier\.", "joined."),
    (r"radius_inv(\.\w+)?$", "branches.complementary.radius"),
    (r"radius(\.\w+)?$", "branches.discriminative.radius"),
    (r"sampler_buffer1\.0\.", "branches.complementary.conv."),
    (r"sampler_buffer1\.1\.", "branches.complementary.norm."),
    (r"sampler_classifier1\.", "branches.complementary.classify."),
    (r"sampler_buffer\.0\.", "branches.discriminative.conv."),
    (r"sampler_buffer\.1\.", "branches.discriminative.norm."),
    (r"sampler_classifier\.", "branches.discriminative.classify."),
)


S3N_PAPER = Preset(
    name="s3n",
    model=S3N,
    config=Config(),
    card=WeightCard(
        licence="not bundled; the authors state none for their checkpoint",
        data="CUB-200-2011, Stanford Cars or FGVC-Aircraft, train split",
        how_to="train it with 'likewise train s3n-cub --data CUB_200_2011', or convert a checkpoint of the authors' "
        "with 'likewise convert s3n CHECKPOINT -o s3n.safetensors'",
        paper="Ding et al., Selective Sparse Sampling for Fine-Grained Image Recognition, ICCV 2019",
        scores={
            "CUB-200-2011 test (published)": "top-1 88.5 %",
            "Stanford Cars test (published)": "top-1 94.7 %",
            "FGVC-Aircraft test (published)": "top-1 92.8 %",
        },
    ),
)

S3N_LITE = Preset(
    name="s3n-lite",
    model=S3N,
    config=Config(
        classes=81,
        trunk="mobilenetv2_100",
        folded=True,
        same_padding=True,
        depthwise=True,
        centred=True,
        aligned=True,
        trunk_rate=0.2,
        view=SquareView(size=192, share=0.0),
        preprocess=Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3),
    ),
    card=WeightCard(
        licence="Apache-2.0",
        data="the Grocery Store data set (github.com/marcusklasson/GroceryStoreDataset, MIT), train split: 2640 phone "
        "pictures of 81 kinds of groceries",
        file="s3n-lite.safetensors",
        sha256="80f4f811ed28803467c7c7e8eb7fda0d97af92c2ce2c479cafae52de3b4cf4bf",
        source="likewise train s3n-lite-grocery, seed 0, 1485 steps of 16 pictures of 192 x 192, and the pack shots of "
        "the same set; the trunk started from ImageNet MobileNetV2 (github.com/google-coral/test_data, Apache-2.0), "
        "every layer was trained",
        paper="Ding et al., Selective Sparse Sampling for Fine-Grained Image Recognition, ICCV 2019",
        scores={"grocery val": "296 pictures, top-1 85.1 %, top-5 96.3 %"},
        notes=(
            "It answers with one of its 81 kinds whatever a picture shows.",
            "Train and val pictures are from different places; packages of other shops and countries are in neither.",
        ),
    ),
)
