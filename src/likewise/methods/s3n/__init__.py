"""S3N: fine-grained recognition by selective sparse sampling.

Paper: Ding et al., "Selective Sparse Sampling for Fine-Grained Image Recognition", ICCV 2019.
Authors' code carries no licence: everything here is written from the paper's mathematics, and their checkpoints are
loaded through `convert_keys`. Licence of this code and of the bundled weights: Apache-2.0.

A picture is looked at once; the places to which its classifier responds are its peaks. They make two saliency maps,
of what tells classes apart and of what else is there, by which the picture is sampled twice and looked at again with
the same trunk. A classifier of all three looks answers.

Deviations, each a field of `Config` or said here: a picture without peaks is left as it is (the original fails),
chance plays no part outside training, any trunk and any picture size. ``s3n-lite`` is the same network on MobileNetV2,
with depthwise convolutions before the classifiers of its branches, other settings where they are fields, and weights
for 81 kinds of groceries. What is as published and what is not: docs/methods/s3n.md.

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
from likewise.inference import OpenSet
from likewise.methods.s3n.selection import Chosen, Selection, selected
from likewise.nn.spatial_trunk import SpatialTrunk
from likewise.ops.response_peaks import class_response, entropy_gate, response_means, response_peaks
from likewise.ops.saliency_sampling import attention_bumps, sample_by_saliency
from likewise.preprocess.rules import Preprocess
from likewise.preprocess.square_view import SquareView
from likewise.types import ClassBatch
from likewise.weights import Preset, WeightCard, renamed

BRANCHES = ("discriminative", "complementary")
Branches = Literal["none", "discriminative", "complementary", "both"]


@dataclass(frozen=True)
class Config:
    """The numbers of the network; the defaults are the published ones.

    Attributes:
        classes: how many there are.
        labels: their names; empty: they have none.
        trunk: timm's name of the trunk.
        folded: see `likewise.nn.spatial_trunk.SpatialTrunk`.
        same_padding: likewise.
        branches: which sampled pictures are looked at; "none" is the plain trunk with its classifier.
        depthwise: the 3x3 convolution before a branch's classifier is one a channel, not over all of them.
        map_size: cells a side of response and saliency maps.
        top: most probable classes whose entropy is the gate, and that are mixed where it is closed.
        gate: the most probable class's response is used alone where sum(p log p) is above this.
        ranking: how probable classes are for that: by the softmax over the means of their response "maps", as
            published, or over the logits of the "pooled" features, which weigh border cells as much as others.
        base: level of the saliency where there is no peak.
        radii: the widths of discriminative and complementary bumps as shares of a map's side, before training.
        reach: of the sampler's Gaussian kernel, in cells.
        fwhm: its full width at half maximum, in cells.
        centred: a class's response is taken relative to the mean of all classes, a part of the weights that no answer
            depends on, but that may drown the rest of the response; False as published.
        aligned: the sampling grid's corners are the centres of the corner pixels, as in the version of PyTorch that the
            authors ask for, 0.4.1. False is what later versions make of the same call: half a pixel off.
        smoothing: share of the target that the other classes get, in the losses of the first look and of the
            complementary branch.
        first_stage: share of a run in which every peak goes to both maps: the published 21 of 60 epochs.
        early_validation: what is validated in that share is what is trained there, as published: every peak goes to
            both maps. False: the extremes, as in use.
        trunk_rate: the trunk's learning rate, relative to that of the classifiers.
        branch_rate: that of the convolutions before the branches' classifiers and of their norms, likewise.
        radius_slowdown: the radii learn so many times slower than the trunk.
        radius_decay: the optimiser's weight decay holds for the radii as well.
        dropout: on the pooled features of each look while training, before they are classified; published: none.
        view: what is seen of a picture.
        preprocess: its colours.
        open_set: when a picture shows none of the classes, where ``likewise calibrate`` has learnt it.
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
    ranking: Literal["maps", "pooled"] = field(default="maps", metadata={"absent": "pooled"})
    base: float = 0.09
    radii: tuple[float, float] = (0.09, 0.3)
    reach: int = 30
    fwhm: float = 13.0
    centred: bool = False
    aligned: bool = True
    smoothing: float = 0.15
    first_stage: float = 21 / 60
    early_validation: bool = field(default=True, metadata={"absent": False})
    trunk_rate: float = 0.1
    branch_rate: float = 0.1
    radius_slowdown: float = 1e4
    radius_decay: bool = True
    dropout: float = 0.0
    view: SquareView = field(default_factory=SquareView)
    preprocess: Preprocess = field(default_factory=Preprocess)
    open_set: OpenSet | None = None

    def __post_init__(self) -> None:
        if self.labels and len(self.labels) != self.classes:
            raise LikewiseError(f"{len(self.labels)} labels for {self.classes} classes; expected one a class, or none")


class S3NOutput(NamedTuple):
    """What the network makes of pictures.

    Attributes:
        logits: (B, C), the answer.
        origin: (B, C) of the first look alone.
        discriminative: (B, C) of that branch alone; None where there is none.
        complementary: likewise.
        response: (B, M, M) class response map, from 0 to 1.
        peaks: (B, M, M) bool: its peaks.
        sampled: (B, 3, H, W) the pictures that the branches saw, by branch, normalised as the input was.
        features: (B, D) that the answer was read from: the pooled ones of all looks.
    """

    logits: Tensor
    origin: Tensor
    discriminative: Tensor | None
    complementary: Tensor | None
    response: Tensor
    peaks: Tensor
    sampled: dict[str, Tensor]
    features: Tensor


class S3N(nn.Module):
    """The recogniser: pictures in, logits of their classes out, and why.

    Example:
        >>> network = S3N_LITE.build().eval()
        >>> network(torch.rand(1, 3, 128, 128)).logits.shape
        torch.Size([1, 81])
    """

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
        self._early, self._validated_early = True, False

    def forward(self, image: Tensor) -> S3NOutput:
        """Recognise what each picture shows.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size.
        """
        selection: Selection = "every" if self._validated_early else "extremes"
        if self.training:
            selection = "every" if self._early else "drawn"
        return self.look(self.config.preprocess.normalised(image), selection)

    def begin_step(self, fraction: float) -> None:
        """Told before a step of training how much of the run is done: which peaks make which map depends on it."""
        self._early = fraction < self.config.first_stage

    def begin_validation(self, fraction: float) -> None:
        """Told before a validation how much of the run is done."""
        self._validated_early = self.config.early_validation and fraction < self.config.first_stage

    def end_validation(self) -> None:
        """Told after a validation: from here on it is used as when it is loaded."""
        self._validated_early = False

    def look(self, image: Tensor, selection: Selection) -> S3NOutput:
        """The published network itself, on normalised pictures (B, 3, H, W)."""
        config = self.config
        features = self.trunk(image)
        pooled = [self.dropout(features.mean((2, 3)))]
        origin = self.origin(pooled[0])
        response, peaks = self._respond(features, origin)
        chosen = selected(response, peaks, selection)
        logits, sampled = {}, {}
        for name in self.names:
            branch = self.branches[name]
            saliency = config.base + branch.saliency(response, chosen[name])  # type: ignore[operator]
            sampled[name] = self._sampled(image, saliency, peaks)
            logits[name], vector = branch(self.trunk(sampled[name]))
            pooled.append(vector)
        joined = torch.cat(pooled, dim=1)
        answer = self.joined(joined) if self.names else origin
        branches = (logits.get("discriminative"), logits.get("complementary"))
        return S3NOutput(answer, origin, *branches, response, peaks, sampled, joined)

    def loss(self, output: S3NOutput, batch: ClassBatch) -> dict[str, Tensor]:
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
        """Optimiser groups: classifiers at the rate; trunk, branches' convolutions and radii at their shares of it."""
        config, branches = self.config, list(self.branches.values())
        radii = [branch.radius for branch in branches]
        convs = [p for branch in branches for part in (branch.conv, branch.norm) for p in part.parameters()]  # type: ignore[union-attr]
        trunk = list(self.trunk.parameters())
        held = {id(p) for p in (*trunk, *convs, *radii)}
        decay = {} if config.radius_decay else {"weight_decay": 0.0}
        groups: list[dict[str, object]] = [
            {"params": [p for p in self.parameters() if id(p) not in held], "lr": lr},
            {"params": trunk, "lr": config.trunk_rate * lr},
            {"params": convs, "lr": config.branch_rate * lr},
            {"params": radii, "lr": config.trunk_rate * lr / config.radius_slowdown, **decay},
        ]
        return [group for group in groups if group["params"]]

    def load_trunk(self, state: Mapping[str, Tensor]) -> None:
        """Start the trunk from weights under timm's names; see `SpatialTrunk.load_imagenet`."""
        self.trunk.load_imagenet(state)

    @torch.no_grad()
    def _respond(self, features: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Response map and its peaks, (B, M, M) each."""
        config = self.config
        size = (config.map_size, config.map_size)
        if config.ranking == "maps":
            logits = response_means(features, self.origin.weight, self.origin.bias, size)
        shares = entropy_gate(logits, top=config.top, threshold=config.gate)
        weight = self.origin.weight - self.origin.weight.mean(0) if config.centred else self.origin.weight
        response = class_response(features, weight, shares, size)
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


def _cross_entropy(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy (B,) with 1 - smoothing on the target and the rest spread over the other classes."""
    logs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(1)
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
        ranking="pooled",
        centred=True,
        first_stage=1 / 3,
        early_validation=False,
        trunk_rate=0.2,
        branch_rate=1.0,
        radius_slowdown=1.0,
        radius_decay=False,
        view=SquareView(size=192, share=0.0, squeezed=False),
        preprocess=Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3),
    ),
    card=WeightCard(
        licence="Apache-2.0",
        data="the Grocery Store data set (github.com/marcusklasson/GroceryStoreDataset, MIT), train split: 2640 phone "
        "pictures of 81 kinds of groceries",
        file="s3n-lite.safetensors",
        sha256="000a4c0603550477b86bccb9dd476f1c23f86f9fe24b535656d0743d42e09c3a",
        source="likewise train s3n-lite-grocery, seed 0, 1485 steps of 16 pictures of 192 x 192, and the pack shots of "
        "the same set; the trunk started from ImageNet MobileNetV2 (github.com/google-coral/test_data, Apache-2.0), "
        "every layer was trained",
        paper="Ding et al., Selective Sparse Sampling for Fine-Grained Image Recognition, ICCV 2019",
        scores={"grocery val": "296 pictures, top-1 85.1 %, top-5 96.3 %"},
        notes=(
            "Of pictures of other things, one in ten or so is taken for one of its 81 kinds all the same.",
            "Train and val pictures are from different places; packages of other shops and countries are in neither.",
        ),
    ),
)
