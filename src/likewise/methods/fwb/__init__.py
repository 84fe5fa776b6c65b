"""FWB: few-shot segmentation by feature weighting and boosting.

Paper: Nguyen & Todorovic, "Feature Weighting and Boosting for Few-Shot Segmentation", ICCV 2019.
Authors' code: BSD-3 (nothing of it is used here); their checkpoints are loaded through `convert_keys`.
Licence of this code: Apache-2.0.

Deviations: an expert is weighed by the support pictures alone (the authors' evaluation script weighs it by the query's
own truth, which nobody has outside of an evaluation); a support mask
without background leaves every channel as relevant as any other, one too small for the grid counts by the share of
cells it covers, an empty one is refused. ``fwb-lite`` is the same network on MobileNetV2 with other numbers. What is as
published and what is not: docs/methods/fwb.md.

Shapes: B queries, K shots, E experts, C channels of deep features, H W picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.methods.fwb.boosting import Margin, boost
from likewise.methods.fwb.gated_conv import GatedConv
from likewise.methods.fwb.prototypes import directions, inside_and_outside, relevance, resemblance
from likewise.methods.fwb.support import Levels, Prototype, check_support, joined
from likewise.methods.fwb.trunk import DilatedName, DilatedTrunk, Norms, trunk_keys
from likewise.preprocess.rules import Preprocess
from likewise.types import SegmentBatch, SupportBatch
from likewise.weights import Preset, WeightCard

#: Label of pixels of which nobody says what they show.
IGNORED = 255

PAPER = "Nguyen & Todorovic, Feature Weighting and Boosting for Few-Shot Segmentation, ICCV 2019"


@dataclass(frozen=True)
class Config:
    """The numbers of the network; the defaults are the published ones.

    Attributes:
        trunk: "resnet101", "vgg16" (with batch norm) or "mobilenetv2", all at stride 8.
        hidden: channels between the head's two convolutions.
        projection: deep features pass through a learned 1x1 convolution to so many channels (not in the paper); 0: not.
        similarity_channel: the head sees the similarity itself beside the features that it scales (not in the paper).
        weighting: the channels that tell the thing from its background in the support weigh more.
        boosting: steps by which the class vector follows its own error on the support, at test time; 0: none.
        boosting_lr: Adam's rate for them ...
        boosting_relative: ... in units of the class vector's root mean square, so that it means the same whatever the
            scale of the features and the number of shots (not in the paper).
        vote: "hard": experts vote with masks, as published; "soft": with probabilities.
        shots: what several examples become. "sum": one class vector, the sum of theirs, as in the authors' code.
            "mean": their mean, as in the paper; boosting, whose steps have one length, then moves it further. "masks":
            each example segments the query by itself, boosted by itself, and the scores are averaged.
        last_shot_features: with several shots, the query's similarity scales the early features of the *last support
            picture* when experts vote: what the authors' code does, and the parity fixtures hold. It asks for pictures
            of one size. The clean value is False: the query's own.
        overlap_weight: in training, weight of 1 - (soft intersection over union) (not in the paper).
        unlabelled: in training, pixels labelled 255 count as "background", as published, or are "ignored".
        support_gradient: in training, the trunk also learns by way of the support. False, as published: support
            pictures are read without gradient and in eval mode, and the trunk learns from the query alone.
        norms: in training, batch norms go by the queries' statistics ("batch", as published) or keep theirs ("fixed").
        head_std: standard deviation of the weights of the head's first convolution before training, and ...
        logit_std: ... of its last one; 0: torch's own start.
        trunk_rate: the trunk learns at this share of the learning rate; 0: it stays as it is.
        edges: scores are brought to the edges of the picture by a guided filter, in windows that reach this share of
            the longer side (not in the paper); 0: they stay as coarse as they are.
        preprocess: how pictures become inputs.
    """

    trunk: DilatedName = "resnet101"
    hidden: int = 128
    projection: int = 0
    similarity_channel: bool = False
    weighting: bool = True
    boosting: int = 10
    boosting_lr: float = 1e-2
    boosting_relative: bool = False
    vote: Literal["soft", "hard"] = "hard"
    shots: Literal["sum", "mean", "masks"] = "sum"
    last_shot_features: bool = False
    overlap_weight: float = 0.0
    unlabelled: Literal["background", "ignored"] = field(default="background", metadata={"absent": "ignored"})
    support_gradient: bool = field(default=False, metadata={"absent": True})
    norms: Norms = field(default="batch", metadata={"absent": "fixed"})
    head_std: float = 0.042
    logit_std: float = field(default=1.0, metadata={"absent": 0.0})
    trunk_rate: float = 1.0
    edges: float = field(default=0.0, metadata={"absent": 0.04})
    preprocess: Preprocess = field(default=Preprocess(fit=(1024, 1024), multiple=1, tile=0))


class FWB(nn.Module):
    """The segmenter: pictures and examples in, two logits a pixel (background, thing) out.

    Example:
        >>> network, (image, example) = FWB_LITE.build().eval(), torch.rand(2, 1, 3, 64, 96)
        >>> support = SupportBatch(images=((example[0],),), masks=((torch.ones(64, 96, dtype=torch.bool),),))
        >>> network(image, support).shape
        torch.Size([1, 2, 64, 96])
    """

    method = "fwb"
    task = "segment"
    prompts = ("support",)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.trunk = DilatedTrunk(config.trunk, config.norms)
        early, late = self.trunk.channels
        self.projection = nn.Conv2d(late, config.projection, 1) if config.projection else None
        self.head = nn.Sequential(
            nn.Conv2d(early + config.similarity_channel, config.hidden, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(config.hidden, 2, 1),
        )
        for part, std in ((self.head[0], config.head_std), (self.head[2], config.logit_std)):
            if std and isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=std)
        if not config.trunk_rate:
            self.trunk.requires_grad_(requires_grad=False)

    def forward(self, image: Tensor, support: SupportBatch) -> Tensor:
        """Segment in each picture what its support shows.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size.
            support: examples for each of the B.

        Returns:
            (B, 2, H, W) logits; their softmax is the score. In training without boosting.

        Raises:
            LikewiseError: not one support a query, one without pictures, or an empty mask.
        """
        if len(support) != len(image):
            raise LikewiseError(f"{len(image)} queries came with {len(support)} supports; expected one each")
        queries = self.look(image)  # before the support, which is read with the statistics that these leave behind
        prototypes = self.describe(support)
        return torch.stack([self.answer(seen, each) for seen, each in zip(queries, prototypes, strict=True)])

    def look(self, images: Sequence[Tensor] | Tensor) -> list[Levels]:
        """What the trunk sees in pictures (3, H, W), RGB in [0, 1]; those of one size go through it together."""
        sizes: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images):
            sizes.setdefault((image.shape[1], image.shape[2]), []).append(index)
        found: dict[int, Levels] = {}
        for size, indices in sizes.items():
            pictures = torch.stack([images[i] for i in indices])
            early, late = self.trunk(self.config.preprocess.normalised(pictures))
            found.update((i, Levels(e, d, size)) for i, e, d in zip(indices, early, late, strict=True))
        return [found[index] for index in range(len(images))]

    def describe(self, support: SupportBatch) -> list[Prototype]:
        """What each support says, boosted (but not in training); made once, used for many queries.

        Raises:
            LikewiseError: a support without pictures, or an empty mask.
        """
        check_support(support)
        with self._reading_support():
            seen = iter(self.look([image for images in support.images for image in images]))
        return [self.prototype([(next(seen), mask) for mask in masks]) for masks in support.masks]

    def prototype(self, shots: Sequence[tuple[Levels, Tensor]]) -> Prototype:
        """One support's pictures, as seen, and masks (H, W), not empty, as what queries are segmented by."""
        config = self.config
        if config.shots == "masks" and len(shots) > 1:
            return joined([self.prototype([shot]) for shot in shots])
        with self._reading_support():
            vector, weights = self._class_vector(shots)
        features = shots[-1][0].early if config.last_shot_features and len(shots) > 1 else None
        if self.training or not config.boosting:
            return Prototype(vector[None], vector.new_ones(1), weights, features)
        with torch.inference_mode(mode=False):  # what is cloned here can take part in gradients
            vector, weights = vector.detach().clone(), weights.detach().clone()
            own = [(Levels(s.early.detach().clone(), s.late.detach().clone(), s.size), m.clone()) for s, m in shots]
            tries = [(self._margin(seen, weights), mask) for seen, mask in own]
        unit = float(vector.square().mean().sqrt()) if config.boosting_relative else 1.0
        experts, votes = boost(vector, tries, config.boosting, config.boosting_lr * (unit or 1.0))
        return Prototype(experts, votes, weights, features)

    def answer(self, seen: Levels, prototype: Prototype) -> Tensor:
        """The logits (2, H, W) of one picture."""
        parts = list(prototype.parts())
        if self.training or len(prototype.experts) == 1:
            found = [self._logits(seen, experts[0], relevance) for experts, _, relevance in parts]
            return found[0] if len(found) == 1 else _mean_score(found)
        score = (self.votes(seen, prototype) / prototype.weights.sum()).clamp(1e-6, 1 - 1e-6)
        return torch.stack([(1 - score).log(), score.log()])

    def votes(self, seen: Levels, prototype: Prototype) -> Tensor:
        """The experts' votes for each pixel, (H, W): the sum over experts of weight x mask (section 3.3)."""
        if prototype.features is not None:
            seen = replace(seen, early=prototype.features)
        with torch.no_grad():
            total = seen.early.new_zeros(seen.size)
            for experts, weights, relevance in prototype.parts():
                margin = self._margin(seen, relevance)
                for expert, weight in zip(experts, weights, strict=True):
                    found = margin(expert)
                    total += weight * (found.sigmoid() if self.config.vote == "soft" else (found > 0).to(total.dtype))
        return total

    def similarity(self, seen: Levels, prototype: Prototype) -> Tensor:
        """How much each place is like the first expert's class, (1, H / 4, W / 4) in [0, 1]; of shots the mean."""
        return torch.stack(
            [self._alike(seen, vectors[0], weights)[0] for vectors, _, weights in prototype.parts()]
        ).mean(0)

    def loss(self, logits: Tensor, batch: SegmentBatch) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, 2, H, W), averaged over pixels: terms (B,) by name, and "total"."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        background = self.config.unlabelled == "background"
        truth = batch.mask.where(batch.mask != IGNORED, 0) if background else batch.mask
        labelled = (truth != IGNORED).to(logits.dtype)
        each = F.cross_entropy(logits, truth, ignore_index=IGNORED, reduction="none")
        total = each.sum((1, 2)) / labelled.sum((1, 2)).clamp_min(1)
        terms = {"pixels": total}
        if self.config.overlap_weight:
            score, thing = logits.softmax(1)[:, 1] * labelled, (truth == 1).to(logits.dtype)
            both = (score * thing).sum((1, 2))
            terms["overlap"] = 1 - (both + 1) / (score.sum((1, 2)) + thing.sum((1, 2)) - both + 1)
            total = total + self.config.overlap_weight * terms["overlap"]
        return {**terms, "total": total}

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        """Optimiser groups of what is trained: the trunk at its share of the rate."""
        trunk = [p for p in self.trunk.parameters() if p.requires_grad]
        held = {id(p) for p in trunk}
        new = [p for p in self.parameters() if p.requires_grad and id(p) not in held]
        groups: list[dict[str, object]] = [{"params": new, "lr": lr}]
        return [*groups, {"params": trunk, "lr": self.config.trunk_rate * lr}] if trunk else groups

    def load_trunk(self, state: Mapping[str, Tensor]) -> None:
        """Start the trunk from ImageNet weights under torchvision's names; MobileNetV2's under timm's."""
        self.trunk.load_imagenet(state)

    @contextmanager
    def _reading_support(self) -> Iterator[None]:
        """How support pictures are read: in training without gradient and in eval mode, unless it is wanted."""
        if not self.training or self.config.support_gradient:
            yield
            return
        was = self.trunk.training
        self.trunk.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.trunk.train(was)

    def _class_vector(self, shots: Sequence[tuple[Levels, Tensor]]) -> tuple[Tensor, Tensor]:
        """The weighted class vector (C,) and the channels' relevance (C,) of several shots together."""
        pooled = [inside_and_outside(self._late(seen), mask[None, None]) for seen, mask in shots]
        inside, difference = (torch.stack(parts).sum(0) for parts in zip(*pooled, strict=True))
        if self.config.shots == "mean":
            inside = inside / len(shots)  # the relevance is of unit length whatever its sum
        weights = relevance(difference if self.config.weighting else torch.zeros_like(difference))[0]
        return (inside[0] * weights if self.config.weighting else inside[0]), weights

    def _logits(self, seen: Levels, vector: Tensor, weights: Tensor) -> Tensor:
        """(2, H, W): what the head makes of a picture by a weighted class vector (C,)."""
        logits = self.head(self._early(seen) * self._alike(seen, vector, weights))
        return F.interpolate(logits, seen.size, mode="bilinear", align_corners=True)[0]

    def _margin(self, seen: Levels, weights: Tensor) -> Margin:
        """What a class vector (C,) gives in one picture: the thing's logit minus the background's, (H, W)."""
        weight, bias, last, last_bias = self.head.parameters()
        with torch.no_grad():  # only the class vector is to be changed
            gated = GatedConv(self._early(seen)[0], weight.detach(), bias.detach())
            between, offset = (last[1] - last[0])[:, 0, 0], last_bias[1] - last_bias[0]
            places, grid = self._places(seen, weights), (seen.early.shape[1], seen.early.shape[2])

        def margin(vector: Tensor) -> Tensor:
            hidden = gated(resemblance(places, vector[None, None], grid)[0, 0]).relu()
            small = torch.einsum("chw,c->hw", hidden, between) + offset
            return F.interpolate(small[None, None], seen.size, mode="bilinear", align_corners=True)[0, 0]

        return margin

    def _early(self, seen: Levels) -> Tensor:
        """What the head sees, (1, C', h, w), before it is scaled by the similarity."""
        early = seen.early[None]
        return torch.cat([early, torch.ones_like(early[:, :1])], dim=1) if self.config.similarity_channel else early

    def _late(self, seen: Levels) -> Tensor:
        """What classes are told apart by, (1, C, h', w')."""
        late: Tensor = seen.late[None] if self.projection is None else self.projection(seen.late[None])
        return late

    def _places(self, seen: Levels, weights: Tensor) -> Tensor:
        """What each place of a picture shows, (1, C, h', w') of unit length, its channels weighted like a class's."""
        return directions(self._late(seen), weights if self.config.weighting else None)

    def _alike(self, seen: Levels, vector: Tensor, weights: Tensor) -> Tensor:
        """(1, 1, h, w): how much each place is like a weighted class vector (C,)."""
        return resemblance(self._places(seen, weights), vector[None, None], (seen.early.shape[1], seen.early.shape[2]))


def _mean_score(logits: Sequence[Tensor]) -> Tensor:
    """Logits (2, H, W) whose softmax is the mean of those of several."""
    return torch.stack([each.log_softmax(0) for each in logits]).logsumexp(0) - math.log(len(logits))


def convert_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the authors' checkpoint -> names of this module; tensors are passed on as they are."""
    vgg = any(name.startswith("features.") for name in state)
    head = {name.replace("exit_layer.", "head."): t for name, t in state.items() if name.startswith("exit_layer.")}
    trunk = {name: tensor for name, tensor in state.items() if not name.startswith("exit_layer.")}
    mapped = trunk_keys(trunk, "vgg16" if vgg else "resnet101")
    return head | {f"trunk.{name}": tensor for name, tensor in mapped.items()}


FWB_PAPER = Preset(
    name="fwb",
    model=FWB,
    config=Config(),
    card=WeightCard(
        licence="not bundled; the authors' code is BSD-3, their checkpoints state none",
        data="PASCAL-5i, three of its four folds",
        how_to="get the authors' checkpoint, then 'likewise convert fwb CHECKPOINT -o fwb.safetensors'",
        paper=PAPER,
        scores={
            "PASCAL-5i, 1 shot (published)": "mean IoU 56.2, experts weighed with the query's truth",
            "PASCAL-5i, 5 shots (published)": "mean IoU 59.9, experts weighed with the query's truth",
            "COCO-20i, 1 / 5 shots (published)": "mean IoU 21.2 / 23.7, experts weighed with the query's truth",
        },
    ),
)

FWB_VGG16 = Preset(
    name="fwb-vgg16",
    model=FWB,
    config=Config(trunk="vgg16", head_std=0.0, logit_std=0.0),
    card=WeightCard(
        licence="not bundled; the authors' code is BSD-3, their checkpoints state none",
        data="PASCAL-5i, three of its four folds",
        how_to="get the authors' checkpoint, then 'likewise convert fwb-vgg16 CHECKPOINT -o fwb-vgg16.safetensors'",
        paper=PAPER,
        scores={
            "PASCAL-5i, 1 shot (published)": "mean IoU 51.9, experts weighed with the query's truth",
            "PASCAL-5i, 5 shots (published)": "mean IoU 55.1, experts weighed with the query's truth",
        },
    ),
)

FWB_LITE = Preset(
    name="fwb-lite",
    model=FWB,
    config=Config(
        trunk="mobilenetv2",
        hidden=32,
        projection=128,
        similarity_channel=True,
        boosting_lr=0.15,
        boosting_relative=True,
        vote="soft",
        overlap_weight=3.0,
        unlabelled="ignored",
        support_gradient=True,
        norms="fixed",
        head_std=0.0,
        logit_std=0.0,
        # weights that ship have every layer trained, the trunk too (a rule of the project: keep it above 0)
        trunk_rate=0.1,
        edges=0.04,
        preprocess=Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3, fit=(320, 320), multiple=1, tile=0),
    ),
    card=WeightCard(
        licence="Apache-2.0",
        data="clothing's train split (github.com/bearpaw/clothing-co-parsing, Apache-2.0; the people in its "
        "photographs are third parties), and 250 rendered scenes with grocery's cut-outs and photographs "
        "(github.com/marcusklasson/GroceryStoreDataset, MIT)",
        file="fwb-lite.safetensors",
        sha256="f752462e38f7aab7dcc0333c8cfc2cfee41c7af18b058f18bc0273d951462600",
        source="likewise train fwb-lite, seed 0: 1000 steps of what stands on the trunk, then 120 of all layers; "
        "the trunk started from ImageNet MobileNetV2 (github.com/google-coral/test_data, Apache-2.0)",
        paper=PAPER,
        scores={
            "clothing val, 1 example": "mean IoU 49.7 %, FB-IoU 72.4 % (432 episodes of taught classes)",
            "clothing val, 5 examples": "mean IoU 55.1 %, FB-IoU 75.6 %",
            "without weighting and boosting": "mean IoU 42.3 % and 47.7 %, edges coarse; with them 45.2 % and 50.3 %",
            "nearest prototype on ImageNet's trunk": "mean IoU 18.9 % and 19.7 %",
        },
        notes=(
            "Classes it was not taught are found less well: 38 % and 42 %, trained on 18 others (docs/results.md).",
            "It was taught clothes and rendered things; neighbouring cloth is taken in, small bags are missed.",
        ),
    ),
)
