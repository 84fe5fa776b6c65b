"""VLCounter: counting by name in one stage, with CLIP's own picture of where the name is.

Paper: Kang et al., "VLCounter: Text-Aware Visual Representation for Zero-Shot Object Counting", AAAI 2024.
Authors' code: github.com/Seunggu0305/VLCounter (MIT; nothing of it is used here); their checkpoints are loaded through
`convert_keys`. Licence of this code: Apache-2.0.

Quirks of the original that are kept, each a field of `Config`: the class embedding enters the class token twice; the
rank-aware loss lets cells outside a set contribute exp(0). Left out because nothing depends on them: the fourth
intermediate map, the deep prompts of the last block (which passes on values only), its queries, keys and MLP, and the
last decoder stage's norm. Deviations: a picture of any size and shape is scaled until its shorter side is one window
(the original counts nothing in what is narrower than a window) and windows overlap in a weighted average (``blend``;
`VLCounter.protocols` has the published one); the last decoder stage's 1x1 convolution comes before its interpolation,
with which it commutes. What is as published and what is not: docs/methods/vlcounter.md.

Shapes: B pictures, N windows, F = 512 features, g = 24 patches a side, D = 64 decoder channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.inference import FLAT_FIELDS, EvalProtocol, InferenceConfig
from likewise.methods.vlcounter.decoder import Decoder
from likewise.methods.vlcounter.prompts import sentences
from likewise.methods.vlcounter.rank_loss import rank_loss
from likewise.nn.clip import CLIP_MEAN, CLIP_STD, Clip, ClipConfig, as_map, load_published
from likewise.nn.clip_text import tokenize
from likewise.ops.counting_loss import l2_loss
from likewise.ops.density.maps import Dots, gaussian_density, placed
from likewise.ops.density.windows import WindowBlend, Windows, check_window_rules, density_of_windows, windows_of
from likewise.preprocess.rules import Preprocess
from likewise.types import CountBatch, PromptBatch
from likewise.weights import OldFields, Preset, WeightCard


@dataclass(frozen=True)
class Config:
    """The numbers of the network; the defaults are the published ones.

    Attributes:
        clip: both towers; ``image_size`` is the side of a window, ``patch`` is 16: the decoder doubles four times.
        class_twice: add the class embedding twice, as the original does.
        tuning: "semantic": prompt tokens conditioned on the name (SPT); "visual": without it (VPT, the ablation's
            control); "none": CLIP as it is.
        prompt_tokens: visual prompt tokens a block.
        prompt_init: prompt tokens begin within this of 0.
        prompt_dropout: while training, on the projected prompts and on the projected name, each by itself.
        affine: the learnable affine transform (LAT) of the similarity map.
        skips: the segment-aware skip connections (SaSC) from intermediate blocks into the decoder.
        skip_blocks: those blocks, counted from 0, in the order of the decoder's stages.
        plural: name things in the plural.
        channels: width of similarity and decoder.
        stride: distance in pixels of the windows over a larger picture.
        blend: how overlapping windows are put together; "paper" as published (see `likewise.ops.density.windows`).
        size: (height, width) that every picture is brought to, whatever its shape, as published for CARPK; None: its
            shorter side becomes a window.
        square_limit: one object is taken off for each square of 16 x 16 pixels that holds more than this, as published
            for CARPK; None: none is (`likewise.ops.density.windows.without_doubles`).
        density_factor: the last convolution gives this many times the objects in a pixel.
        sigma: of the target's Gaussians, in pixels.
        dots: where they stand: "pixels", at the centre of the pixel that holds a dot, as published, or "exact".
        rank_weight: of the rank-aware contrastive loss.
        rank_form: "reference" as the original computes it, "clean" over the cells of each set only.
        rank_temperature: of the clean form.
        inference: how the weights are used: pictures and densities round the network.

    Raises:
        LikewiseError: a patch of another size, a picture's size below a window, a limit below 1.
    """

    clip: ClipConfig = field(default=ClipConfig(image_size=384, quick_gelu=True))
    class_twice: bool = True
    tuning: Literal["semantic", "visual", "none"] = "semantic"
    prompt_tokens: int = 10
    prompt_init: float = field(default=0.0625, metadata={"absent": 0.1})
    prompt_dropout: float = 0.1
    affine: bool = True
    skips: bool = True
    skip_blocks: tuple[int, int, int] = (8, 7, 6)
    plural: bool = True
    channels: int = 64
    stride: int = 128
    blend: WindowBlend = "average"
    size: tuple[int, int] | None = None
    square_limit: float | None = None
    density_factor: float = 60.0
    sigma: float = 3.0
    dots: Dots = field(default="pixels", metadata={"absent": "exact"})
    rank_weight: float = 1e-6
    rank_form: Literal["reference", "clean"] = "reference"
    rank_temperature: float = 1.0
    inference: InferenceConfig = field(
        default=InferenceConfig(Preprocess(mean=CLIP_MEAN, std=CLIP_STD, fit=(2048, 2048), tile=0))
    )
    OLD_FIELDS: ClassVar[OldFields] = FLAT_FIELDS

    def __post_init__(self) -> None:
        if self.clip.patch != 16:
            raise LikewiseError(f"clip.patch = {self.clip.patch}: expected 16, the decoder doubles a patch four times")
        check_window_rules(self.size, self.square_limit, self.clip.image_size)


#: What each row of the paper's ablation leaves out of `Config`'s defaults; the rank loss goes with the affine map.
ABLATION: dict[str, dict[str, object]] = {
    "M1": {"tuning": "none", "affine": False, "skips": False, "rank_weight": 0.0},
    "VPT": {"tuning": "visual", "affine": False, "skips": False, "rank_weight": 0.0},
    "M2": {"affine": False, "skips": False, "rank_weight": 0.0},
    "M3": {"skips": False},
    "M4": {"affine": False, "rank_weight": 0.0},
    "M5": {},
    "M5 singular": {"plural": False},
}


def ablated(row: str, config: Config | None = None) -> Config:
    """The configuration of a row of the ablation, "M1" (frozen CLIP, similarity, decoder) to "M5" (all of it).

    Args:
        row: a key of `ABLATION`.
        config: what the row is taken out of; None: the published one.

    Raises:
        LikewiseError: there is no such row.
    """
    if row not in ABLATION:
        raise LikewiseError(f"no row {row!r} in the ablation; expected one of {', '.join(ABLATION)}")
    return replace(config or Config(), **ABLATION[row])  # type: ignore[arg-type]  # fields by name


class PromptTuning(nn.Module):
    """Prompt tokens for every block that attends, told what is looked for (SPT) or not (VPT)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, blocks = config.clip.image_width, config.clip.image_layers - 1
        self.tokens = nn.Parameter(torch.empty(blocks, config.prompt_tokens, width))
        nn.init.uniform_(self.tokens, -config.prompt_init, config.prompt_init)
        self.prompt_proj = nn.Linear(width, width)
        self.text_proj = nn.Linear(config.clip.features, width) if config.tuning == "semantic" else None
        self.prompt_norm = nn.LayerNorm(width)
        self.prompt_dropout = nn.Dropout(config.prompt_dropout)
        self.text_dropout = nn.Dropout(config.prompt_dropout)

    def forward(self, text: Tensor) -> list[Tensor]:
        """(N, P, C) tokens for each block, from the name's features (N, F)."""
        tokens = self.prompt_dropout(self.prompt_proj(self.tokens)[:, None].expand(-1, len(text), -1, -1))
        if self.text_proj is not None:
            # drawn for each block anew, and for all of its tokens at once
            tokens = tokens + self.text_dropout(self.text_proj(text).expand(len(tokens), -1, -1))[:, :, None]
        return list(tokens)


class VLCounterOutput(NamedTuple):
    """What `VLCounter` makes of B pictures.

    Attributes:
        density: (B, 1, H, W) objects per pixel; the sum over a picture is its count.
        similarity: (B, 1, g, g), where each picture is like its name; None where one is more than one window.
    """

    density: Tensor
    similarity: Tensor | None


class VLCounter(nn.Module):
    """The counter: pictures and names in, a density whose sum is the count out.

    The towers of CLIP are frozen; ``bfloat16()`` makes everything run in that (docs/counting_by_name.md).

    Example:
        >>> with torch.device("meta"):  # weights that take no memory
        ...     VLCounter(Config()).prompts
        ('text',)
    """

    method = "vlcounter"
    task = "count"
    prompts = ("text",)
    protocols: ClassVar[Mapping[str, EvalProtocol]] = {
        "fsc147": EvalProtocol(config={"blend": "paper"}),
        "carpk": EvalProtocol(config={"blend": "paper", "size": (384, 683), "square_limit": 1.224}),
    }

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.window = config.clip.image_size
        self.clip = Clip(config.clip).requires_grad_(requires_grad=False)
        self.tuning = None if config.tuning == "none" else PromptTuning(config)
        self.t_proj = nn.Linear(config.clip.features, config.channels)
        self.v_proj = nn.Linear(config.clip.features, config.channels)
        if config.affine:
            side = self.window // config.clip.patch
            self.affine_weight = nn.Parameter(torch.ones(1, 1, side, side))
            self.affine_bias = nn.Parameter(torch.zeros(1, 1, side, side))
        self.decoder = Decoder(config.channels, config.clip.image_width if config.skips else None)

    @property
    def cell(self) -> int:
        """Side, in pixels, of the squares in which the density is constant."""
        return 1

    def forward(self, image: Tensor | Windows, prompt: PromptBatch) -> VLCounterOutput:
        """Count in each picture what its name says.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size and shape, or what `prepare` made of it.
            prompt: B names in ``text``.

        Raises:
            LikewiseError: a picture without a name, or one too long for CLIP.
        """
        return self._counted(image, self.encode(prompt.texts(image.shape[0])))

    def check(self, text: str) -> None:
        """See that a name can be counted by, before a picture is looked at.

        Raises:
            LikewiseError: it is too long for CLIP.
        """
        tokenize(sentences(text, plural=self.config.plural))

    def encode(self, names: tuple[str, ...]) -> Tensor:
        """What CLIP makes of names: (B, F), the normalised mean of eleven sentences about each."""
        lines = [sentence for name in names for sentence in sentences(name, plural=self.config.plural)]
        return mean_feature(self.clip.text(lines).unflatten(0, (len(names), -1)))

    def prepare(self, image: Tensor) -> Windows:
        """What no name changes of looking at pictures (B, 3, H, W); it may be given wherever a picture is.

        That is little: CLIP's image tower is told the name, through the prompt tokens.
        """
        config = self.config
        return windows_of(image, window=self.window, multiple=config.clip.patch, stride=config.stride, size=config.size)

    def count(self, image: Tensor | Windows, text: Tensor) -> Tensor:
        """The density (B, 1, H, W) as in `forward`, of what features (B, F) describe."""
        return self._counted(image, text).density

    def _counted(self, image: Tensor | Windows, text: Tensor) -> VLCounterOutput:
        config, kept = self.config, []
        windows = image if isinstance(image, Windows) else self.prepare(image)

        def look(some: Tensor, texts: Tensor) -> Tensor:
            density, similarity = self.look(config.inference.preprocess.normalised(some), texts)
            kept.append(similarity)
            return density / config.density_factor

        density = density_of_windows(
            windows, text, look, stride=config.stride, blend=config.blend, square_limit=config.square_limit
        )
        alone = len(windows.content) == windows.shape[0]
        return VLCounterOutput(density, torch.cat(kept) if alone else None)

    def look(self, windows: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """The network itself, on windows.

        Args:
            windows: (N, 3, S, S), normalised, of ``config.clip.image_size`` pixels a side.
            text: (N, F), normalised.

        Returns:
            60 x density (N, 1, S, S) and the similarity map (N, 1, g, g), both float32 or better.
        """
        tower, text = self.clip.image, text.to(self.clip.image.dtype)
        grid = (windows.shape[2] // self.config.clip.patch, windows.shape[3] // self.config.clip.patch)
        blocks = self.config.skip_blocks if self.config.skips else ()
        prompts = () if self.tuning is None else self.tuning(text)
        tokens = tower.embed(windows, mode="bilinear", class_twice=self.config.class_twice)
        patches, kept = tower.run(tokens, prompts=prompts, keep=blocks, dense=True)
        if self.tuning is not None:
            patches = self.tuning.prompt_norm(patches)
        features = self.v_proj(F.normalize(tower.project(patches, norm=True), dim=-1))
        similarity = as_map(features @ self.t_proj(text)[:, :, None], grid)
        if self.config.affine:
            similarity = self.affine_weight * similarity + self.affine_bias
        maps = [as_map(F.normalize(kept[block], dim=-1), grid) for block in blocks]
        density: Tensor = self.decoder(as_map(features, grid), similarity, maps)
        full = torch.promote_types(density.dtype, torch.float32)
        return density.to(full), similarity.to(full)

    def loss(self, output: VLCounterOutput, batch: CountBatch) -> dict[str, Tensor]:
        """What separates an output from a batch's points: terms (B,) by name, and "total".

        The rank-aware term is of pictures of one window each, and of training: in validation it is left out.
        """
        config, (density, similarity) = self.config, output
        points = [placed(dots, config.dots) for dots in batch.points]
        total = l2_loss(density, points, sigma=config.sigma, factor=config.density_factor)
        terms = {"density": total}
        if config.rank_weight and self.training and similarity is not None:
            size = (density.shape[2], density.shape[3])
            truth = torch.stack([gaussian_density(p.to(density), config.sigma, size) for p in points])
            terms["rank"] = rank_loss(similarity, truth[:, None], config.rank_form, config.rank_temperature)
            total = total + config.rank_weight * terms["rank"]
        return {**terms, "total": total}

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        """Optimiser groups: prompts, projections, affine maps and decoder; CLIP stays as it is."""
        return [{"params": [p for p in self.parameters() if p.requires_grad], "lr": lr}]

    def load_clip(self) -> None:
        """Start from OpenAI's CLIP, as published; downloaded on first use (`likewise.nn.clip.load_published`)."""
        load_published(self.clip, "openai", mode="bilinear")


def mean_feature(features: Tensor) -> Tensor:
    """One direction (B, F) of several sentences' features (B, S, F): normalised, averaged, normalised."""
    return F.normalize(F.normalize(features, dim=-1).mean(1), dim=-1)


def convert_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the authors' checkpoint -> names of this module.

    Tensors are passed on as they are, except that the prompts of the first and the later blocks become one. What has
    no effect on a density is left out: the last block's deep prompts, the last decoder stage's norm, CLIP's scale.
    """
    named = {name: tensor for name, tensor in state.items() if not re.match(_LEFT_OUT, name)}
    renamed: dict[str, Tensor] = {}
    for name, tensor in named.items():
        for pattern, new in _RENAMES:
            if re.match(pattern, name):
                name = re.sub(pattern, new, name)  # noqa: PLW2901  # several apply, one after the other
        renamed[name] = tensor
    if {"tuning.first", "tuning.later"} <= renamed.keys():
        renamed["tuning.tokens"] = torch.cat([renamed.pop("tuning.first"), renamed.pop("tuning.later")[:-1]])
    return renamed


#: The last block's attention stands in the file twice, under two names.
_LEFT_OUT = r"v_enc\.transformer\.resblocks\.\d+\.attn\.(qkv|proj)\.|decoder\.4\.gn\.|t_enc\.logit_scale$"
_RENAMES = (
    (r"v_enc\.prompt_embeddings$", "tuning.first"),
    (r"v_enc\.deep_prompt_embeddings$", "tuning.later"),
    (r"v_enc\.(text_proj|prompt_proj|prompt_norm)\.", r"tuning.\1."),
    (r"v_enc\.attn\.qkv\.", "v_enc.transformer.resblocks.11.attn.in_proj_"),
    (r"v_enc\.attn\.proj\.", "v_enc.transformer.resblocks.11.attn.out_proj."),
    (r"v_enc\.", "clip.image."),
    (r"t_enc\.", "clip.text."),
    (r"attn_(weight|bias)$", r"affine_\1"),
    (r"decoder\.4\.conv\.", "decoder.last."),
    (r"decoder\.(\d)\.", r"decoder.stages.\1."),
    (r"proj\.0\.", "decoder.skips.0.conv."),
    (r"proj\.1\.", "decoder.skips.0.gn."),
    (r"proj([12])\.0\.", r"decoder.skips.\1.conv."),
    (r"proj([12])\.1\.", r"decoder.skips.\1.gn."),
)


VLCOUNTER = Preset(
    name="vlcounter",
    model=VLCounter,
    config=Config(),
    card=WeightCard(
        licence="not bundled; the authors' code is MIT",
        data="FSC-147 train split, on OpenAI's CLIP ViT-B/16",
        source="https://github.com/Seunggu0305/VLCounter",
        how_to="download the authors' checkpoint as the README of github.com/Seunggu0305/VLCounter says, then "
        "'likewise convert vlcounter CHECKPOINT -o vlcounter.safetensors' and '--model vlcounter.safetensors'",
        paper="Kang et al., VLCounter: Text-Aware Visual Representation for Zero-Shot Object Counting, AAAI 2024",
        scores={
            "FSC-147 val (published)": "MAE 18.06, RMSE 65.13",
            "FSC-147 test (published)": "MAE 17.05, RMSE 106.16",
            "CARPK (published)": "MAE 6.46, RMSE 8.68",
            "PUCPR+ (published)": "MAE 48.94, RMSE 69.08",
        },
        notes=("It takes a name only; exemplars are refused.",),
    ),
)
