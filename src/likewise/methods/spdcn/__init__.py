"""SPDCN: object counting guided by exemplars through scale-prior deformable convolution.

Paper: Lin et al., "Scale-Prior Deformable Convolution for Exemplar-Guided Class-Agnostic Counting", BMVC 2022.
Authors' code carries no licence: everything here is written from the paper's mathematics, and their checkpoints are
loaded through `convert_keys`. Licence of this code and of the bundled weights: Apache-2.0.

Deviations, each a field of `Config` or said here: any number of exemplars >= 1 (the original insists on three), any
size of picture (``forward`` pads at the bottom and right and cuts afterwards; counters of the preset lay pictures on
the published canvas), density returned in objects per pixel (the original returns 128 times that). ``spdcn-lite`` is
the same network with other numbers on a MobileNetV2 trunk, whose narrow stages are followed by scale-prior blocks as
residuals rather than having convolutions replaced.

Shapes: B batch, K exemplars of a picture, C channels, h w the grid of stride 8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.boxes import mean_exemplar_sizes
from likewise.errors import LikewiseError
from likewise.inference import FLAT_FIELDS, EvalProtocol, InferenceConfig
from likewise.methods.spdcn.block_count import block_count_error
from likewise.methods.spdcn.cards import SPDCN_LITE_CARD, SPDCN_PAPER_CARD
from likewise.methods.spdcn.decoder import density_decoder
from likewise.methods.spdcn.scale_prior import ImageOrStem, ScalePrior, ScalePriorTrunk, StemFeatures
from likewise.methods.spdcn.similarity_features import (
    ExemplarFeatures,
    Features,
    check_feature_tensors,
    encode_exemplars,
    evidence,
    with_kernels,
    with_levels,
)
from likewise.nn.trunks import TrunkName, at_grid, channels_at_stride
from likewise.ops.counting_loss import TransportSettings, bayesian_loss, generalized_terms, l2_loss
from likewise.ops.density.maps import Dots
from likewise.ops.similarity import cosine_similarity_map
from likewise.preprocess.rules import Preprocess
from likewise.types import CountBatch, PromptBatch
from likewise.weights import OldFields, Preset, renamed

STRIDE = 8
#: Samples a side of an exemplar; the memory they take grows with the square.
MAX_ROI = 64


@dataclass(frozen=True)
class Config:
    """The numbers of the network; the defaults are the published ones.

    Attributes:
        trunk: convolutional trunk, cut at stride 8 (VGG-19) or joined there from strides 4, 8, 16 (MobileNetV2).
        scale_prior: what the offsets of the deformable convolutions are told: "both" the picture around (local)
            and the exemplars' size (global), "local" only the first; "none": ordinary convolutions instead.
        offset_channels: width of the branches that give the offsets.
        size_unit: exemplar sizes are divided by this many pixels before they enter a network (published: 1).
        channels: width of the class features and of the density features.
        roi_size: samples a side with which an exemplar is pooled.
        roi_aligned: False reproduces the original's RoIAlign, half a cell off; True is the clean value.
        evidence: also show the decoder, besides the density features gated by similarity, the similarity to the
            nearest exemplar, the trunk's own similarities at each joined stage, the product with the class vector
            and the correlation with 3x3 exemplar kernels (not in the paper).
        evidence_channels: width of the product and the correlation as the decoder sees them.
        negatives: whether boxes of look-alikes may be shown too; their similarity joins the evidence.
        decoder: (channels, pixel shuffle) of each 3x3 convolution before the last.
        decoder_std: the decoder's weights start at random with this standard deviation and its biases at 0; None: with
            that of He et al., and biases as PyTorch draws them.
        density_factor: the last convolution gives this many times the objects in a cell.
        loss: how a density is compared with points; see `likewise.ops.counting_loss`.
        scale_sensitive: whether the generalised loss's unit of distance grows with the exemplars.
        loss_solver: transport solver of the generalised loss.
        reach: strength of the generalised loss's marginal terms; the published 0.5 is paid for with a tenth of the
            count (docs/losses.md), 5 with a hundredth.
        dots: the points of the generalised loss: "pixels" they are the pixels that hold them, two in one are one;
            "exact": as they are, and all count. See `TransportSettings`.
        loss_stride: the generalised and the L2 loss see the density summed over squares of this many pixels.
        sigma: of the L2 target's Gaussians, in object sizes (sqrt(width x height)).
        count_weight: weight of |count - truth| / (truth + 3), a term the paper does not have.
        vector_decay: whether weight decay acts on one-dimensional parameters too (biases, norms).
        block_weight: weight of the same, added up over squares whose side is ``block`` pixels.
        inference: how the weights are used: pictures, boxes and densities round the network.
    """

    trunk: TrunkName = "vgg19"
    scale_prior: ScalePrior = "both"
    offset_channels: int = 32
    size_unit: float = 1.0
    channels: int = 512
    roi_size: int = 16
    roi_aligned: bool = False
    evidence: bool = False
    evidence_channels: int = 0
    negatives: bool = False
    decoder: tuple[tuple[int, int], ...] = ((256, 1), (256, 8))
    decoder_std: float | None = field(default=0.005, metadata={"absent": None})
    density_factor: float = 128.0
    loss: Literal["generalized", "l2", "bayesian"] = "generalized"
    scale_sensitive: bool = True
    loss_solver: Literal["reference", "log"] = "reference"
    reach: float = 0.5
    dots: Dots = field(default="pixels", metadata={"absent": "exact"})
    loss_stride: int = 1
    sigma: float = 0.12
    count_weight: float = 0.0
    block_weight: float = 0.0
    block: int = 32
    vector_decay: bool = field(default=False, metadata={"absent": True})
    inference: InferenceConfig = field(
        default=InferenceConfig(
            Preprocess(
                mean=(0.5635, 0.5066, 0.4591), std=(0.2839, 0.2805, 0.3042), fit=(384, 576), canvas=True, tile=0
            ),
            whole_boxes=True,
            protocol="fsc147",
        )
    )
    OLD_FIELDS: ClassVar[OldFields] = FLAT_FIELDS

    @property
    def prompts(self) -> tuple[str, ...]:
        """The kinds of prompt that the network takes."""
        return ("exemplars", "negatives") if self.negatives else ("exemplars",)


class SPDCN(nn.Module):
    """The counter: pictures and exemplar boxes in, a density whose sum is the count out.

    Example:
        >>> network, box = SPDCN_LITE.build().eval(), torch.tensor([[8.0, 8.0, 24.0, 24.0]])
        >>> network(torch.rand(1, 3, 64, 96), PromptBatch(exemplars=(box,))).shape
        torch.Size([1, 1, 64, 96])
    """

    method = "spdcn"
    task = "count"
    prompts: tuple[str, ...] = ("exemplars",)
    protocols: ClassVar[Mapping[str, EvalProtocol]] = {"fsc147": EvalProtocol(exemplars=3, merge_points=True)}
    stride = STRIDE

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        if config.negatives and not config.evidence:
            raise LikewiseError("negatives=True needs evidence=True: they are part of it")
        if not 1 <= config.roi_size <= MAX_ROI:
            raise LikewiseError(f"roi_size = {config.roi_size}: expected from 1 to {MAX_ROI}")
        self.prompts = config.prompts
        self.trunk = ScalePriorTrunk(config.trunk, config.scale_prior, config.offset_channels)
        joined = [self.trunk.infos[i] for i in self.trunk.joined]
        width = sum(channels_at_stride(info, STRIDE) for info in joined)
        self.to_classes = nn.Conv2d(width, config.channels, 1)
        self.to_density = nn.Conv2d(width, config.channels, 1)
        decoded = config.channels
        if config.evidence:
            self.product = nn.Conv2d(config.channels, config.evidence_channels, 1)
            self.correlation = nn.Conv2d(config.channels, config.evidence_channels, 1)
            # two maps of similarity at each depth, the class features' and the joined stages', two more of negatives
            decoded += 2 * config.evidence_channels + (4 if config.negatives else 2) * (1 + len(joined))
        self.decoder = density_decoder(decoded, config.decoder, config.decoder_std)

    @property
    def cell(self) -> int:
        """Side, in pixels, of the squares in which the density is constant."""
        return STRIDE // math.prod(shuffle for _, shuffle in self.config.decoder)

    def forward(self, image: ImageOrStem, prompt: PromptBatch) -> Tensor:
        """Count what each picture's exemplars show.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size.
            prompt: at least one exemplar a picture and any number of negatives, xyxy in pixels of ``image``.

        Returns:
            (B, 1, H, W) objects per pixel; the sum over a picture is its count.
        """
        return self.answer(image, prompt)[0]

    def answer(self, image: ImageOrStem, prompt: PromptBatch) -> tuple[Tensor, tuple[ExemplarFeatures, ...]]:
        """What `forward` gives, and what the exemplars look like, which it has to find out anyway."""
        features = self._features(image, mean_exemplar_sizes(_exemplars(prompt)))
        described = self._describe(features, prompt)
        return self._count(features, described, image.shape), described

    def encode_exemplars(
        self, image: ImageOrStem, prompt: PromptBatch, size: Tensor | None = None
    ) -> tuple[ExemplarFeatures, ...]:
        """What each picture's exemplars look like, to count them elsewhere with `count_like`.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].
            prompt: at least one exemplar a picture; with ``size`` there may be only negatives, or nothing.
            size: (B, 2) mean height and width of *all* the exemplars, where a picture shows only some of them.
        """
        size = mean_exemplar_sizes(_exemplars(prompt)) if size is None else size
        return self._describe(self._features(image, size), prompt)

    def features_of(self, tensors: Mapping[str, Tensor]) -> ExemplarFeatures:
        """What `ExemplarFeatures.to_tensors` gave, checked."""
        widths = [self.config.channels, *(self.trunk.infos[i].channels for i in self.trunk.joined)]
        check_feature_tensors(tensors, widths, evidence=self.config.evidence)
        return ExemplarFeatures.from_tensors(tensors)

    def count_like(self, image: ImageOrStem, exemplar_features: Sequence[ExemplarFeatures]) -> Tensor:
        """Count, in each picture (B, 3, H, W), what its description shows: density (B, 1, H, W)."""
        return self.decode(self.decoder_input(image, exemplar_features), image.shape)

    def decoder_input(self, image: ImageOrStem, exemplar_features: Sequence[ExemplarFeatures]) -> Tensor:
        """What the decoder is given of pictures (B, 3, H, W) and their descriptions: (B, C, h, w) at stride 8.

        It does not change while only the decoder learns.
        """
        size = torch.stack([d.sizes.mean(0) for d in exemplar_features])
        return self._compared(self._features(image, size), exemplar_features)

    def decode(self, compared: Tensor, shape: torch.Size, first: int = 0) -> Tensor:
        """The density (B, 1, H, W) of pictures of this shape, of what the decoder's layer ``first`` is given."""
        raw = self.decoder[first:](compared.contiguous(memory_format=torch.channels_last))
        # Summed over a picture, half precision would lose objects.
        objects = raw.to(compared.dtype)
        cells = F.relu(objects) / self.config.density_factor
        side = self.cell
        pixels = cells.repeat_interleave(side, 2).repeat_interleave(side, 3) / side**2 if side > 1 else cells
        return pixels[:, :, : shape[2], : shape[3]]

    def loss(self, density: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        """What separates a density (B, 1, H, W) from a batch's points: terms (B,) by name, and "total"."""
        config = self.config
        total = _map_term(config, density, batch)
        terms: dict[str, Tensor] = {config.loss: total}
        for name, side, weight in (("count", None, config.count_weight), ("block", config.block, config.block_weight)):
            if weight:
                terms[name] = block_count_error(density, batch.points, side)
                total = total + weight * terms[name]
        return {**terms, "total": total}

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        """Optimiser groups: a pretrained MobileNetV2 trunk learns at a tenth of the rate of what is new.

        As published, one-dimensional parameters are apart, and do not decay.
        """
        slow = list(self.trunk.stages.parameters()) if self.trunk.residual else []
        new = [p for p in self.parameters() if id(p) not in set(map(id, slow))]
        groups: list[dict[str, object]] = []
        for parameters, rate in ((new, lr), (slow, 0.1 * lr)):
            vectors = [] if self.config.vector_decay else [p for p in parameters if p.dim() == 1]
            others = [p for p in parameters if id(p) not in set(map(id, vectors))]
            groups += [{"params": others, "lr": rate}] if others else []
            groups += [{"params": vectors, "lr": rate, "weight_decay": 0.0}] if vectors else []
        return groups

    def load_trunk(self, state: Mapping[str, Tensor]) -> None:
        """Start the trunk from ImageNet weights; see `ScalePriorTrunk.load_imagenet`."""
        self.trunk.load_imagenet(state)

    def prepare(self, image: Tensor) -> StemFeatures:
        """What no prompt changes of looking at pictures (B, 3, H, W); it may be given wherever a picture is."""
        rules = self.config.inference.preprocess
        multiple = max(rules.multiple, STRIDE)
        margins = (0, -image.shape[3] % multiple, 0, -image.shape[2] % multiple)
        padded = F.pad(rules.normalised(image), margins)  # with the mean colour
        return self.trunk.start(padded, image.shape, STRIDE)

    def _features(self, image: ImageOrStem, size: Tensor) -> Features:
        stem = image if isinstance(image, StemFeatures) else self.prepare(image)
        stages = self.trunk(stem, size.to(stem.last.device) / self.config.size_unit)
        later = [at_grid(stage, stem.grid) for stage in stages[len(stem.on_grid) :]]
        joined = torch.cat([*stem.on_grid, *later], dim=1)
        return Features(stages, self.to_classes(joined), self.to_density(joined))

    def _describe(self, features: Features, prompt: PromptBatch) -> tuple[ExemplarFeatures, ...]:
        described = self._described(features, prompt.exemplars)
        if self.config.evidence:
            described = with_kernels(described, features, prompt.exemplars, STRIDE)
        if prompt.negatives is None or not any(map(len, prompt.negatives)):
            return tuple(described)
        if not self.config.negatives:
            raise LikewiseError("these weights take no negatives; give boxes of what is to be counted only")
        against = self._described(features, prompt.negatives)
        return tuple(replace(d, negatives=n) for d, n in zip(described, against, strict=True))

    def _described(self, features: Features, boxes: Sequence[Tensor]) -> list[ExemplarFeatures]:
        config = self.config
        found = encode_exemplars(features, boxes, STRIDE, size=config.roi_size, aligned=config.roi_aligned)
        strides = [self.trunk.infos[i].stride for i in self.trunk.joined]
        return with_levels(found, features, boxes, strides) if config.evidence else found

    def _count(self, features: Features, exemplar_features: Sequence[ExemplarFeatures], shape: torch.Size) -> Tensor:
        return self.decode(self._compared(features, exemplar_features), shape)

    def _compared(self, features: Features, exemplar_features: Sequence[ExemplarFeatures]) -> Tensor:
        """Features gated by similarity, and the evidence: what the decoder is given, (B, C, h, w)."""
        vectors = torch.stack([d.vectors.mean(0) for d in exemplar_features])[:, None]
        similarity = F.relu(cosine_similarity_map(features.classes, vectors))
        seen = [features.density * similarity]
        if self.config.evidence:
            found = evidence(features, exemplar_features, negatives=self.config.negatives)
            seen += [self.product(found.product), self.correlation(found.correlation), similarity, found.nearest]
            seen += found.levels + ([] if found.against is None else [found.against])
        return torch.cat(seen, dim=1)


def _map_term(config: Config, density: Tensor, batch: CountBatch) -> Tensor:
    stride = config.loss_stride
    if config.loss == "generalized":
        sizes = mean_exemplar_sizes(batch.prompt.exemplars) if config.scale_sensitive else None
        settings = TransportSettings(config.loss_solver, stride, reach=config.reach, dots=config.dots)
        return generalized_terms(density, batch.points, exemplar_sizes=sizes, settings=settings)["total"]
    if config.loss == "bayesian":
        return bayesian_loss(density, batch.points)
    sigmas = [config.sigma * sizes for sizes in batch.sizes]
    return l2_loss(density, batch.points, sigma=sigmas, factor=config.density_factor, stride=stride)


def convert_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the authors' checkpoint -> names of this module; tensors are passed on as they are."""
    return {renamed(name, _RENAMES): tensor for name, tensor in state.items()}


_RENAMES = (
    (r"encoder\.modlist\.(\d+)\.", r"trunk.stages.\1."),
    (r"encoder\.selist\.(\d+)\.", r"trunk.scale_priors.\1."),
    (r"encoder\.clsfc\.", "to_classes."),
    (r"encoder\.denfc\.", "to_density."),
    (r"decoder\.decoder\.(\d+)\.conv\.", r"decoder.\1.0."),
    (r"decoder\.decoder\.3\.", "decoder.2."),
)


def _exemplars(prompt: PromptBatch) -> tuple[Tensor, ...]:
    if not prompt.exemplars or any(len(boxes) == 0 for boxes in prompt.exemplars):
        raise LikewiseError("SPDCN counts by example: every picture needs at least one exemplar box")
    return prompt.exemplars


SPDCN_PAPER = Preset(
    name="spdcn",
    model=SPDCN,
    config=Config(),
    card=SPDCN_PAPER_CARD,
)

SPDCN_LITE = Preset(
    name="spdcn-lite",
    model=SPDCN,
    config=Config(
        trunk="mobilenetv2",
        offset_channels=16,
        size_unit=32.0,
        channels=96,
        roi_size=4,
        roi_aligned=True,
        evidence=True,
        evidence_channels=32,
        negatives=True,
        decoder=((96, 1), (96, 2), (64, 2)),
        decoder_std=None,
        loss="l2",
        dots="exact",
        loss_stride=2,
        count_weight=0.5,
        block_weight=0.5,
        vector_decay=True,
        inference=InferenceConfig(
            Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3, object_size=36.0, multiple=16, tile=1024),
            snap_peaks=(0.4, 1.5),
            colour_groups=True,
        ),
    ),
    card=SPDCN_LITE_CARD,
)
