"""CounTX: counting by name or description, with an image encoder that is told what to look for.

Paper: Amini-Naieni et al., "Open-world Text-specified Object Counting", BMVC 2023.
Authors' code: github.com/niki-amini-naieni/CounTX (MIT; nothing of it is used here); their checkpoints are loaded
through `convert_keys`. Licence of this code: Apache-2.0.

Left out because nothing depends on it: queries, keys and their norm in the cross-attention to the one text token
(`likewise.methods.countx.interaction`), CLIP's class token after the last block. Deviations: a picture of any size and
shape is scaled until its shorter side is one window, and windows overlap in a weighted average (``blend``;
`CounTX.protocols` has the published one). What is as published and what is not: docs/methods/countx.md.
``countx-lite``, a smaller network after the same idea, is `likewise.methods.countx.lite`.

Shapes: B pictures, N windows, C = ``width`` channels, h w grid of image features.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.inference import FLAT_FIELDS, EvalProtocol, InferenceConfig
from likewise.methods.countx.decoder import DoublingDecoder, doubled
from likewise.methods.countx.interaction import EPS, InteractionLayer, sincos_positions
from likewise.nn.clip import CLIP_MEAN, CLIP_STD, Clip, ClipConfig, as_map, clip_state, load_published
from likewise.nn.clip_text import tokenize
from likewise.ops.counting_loss import l2_loss
from likewise.ops.density.maps import Dots, placed
from likewise.ops.density.windows import WindowBlend, Windows, check_window_rules, density_of_windows, windows_of
from likewise.preprocess.rules import Preprocess
from likewise.types import CountBatch, PromptBatch
from likewise.weights import OldFields, Preset, RemovedField, WeightCard, renamed


@dataclass(frozen=True)
class Config:
    """The numbers of the network; the defaults are the published ones.

    Attributes:
        clip: both towers; the text tower is frozen.
        width: channels of the image features as they meet the text: ``clip.features``.
        layers: of the feature interaction.
        heads: of its self-attention.
        expansion: of its MLPs.
        decoder: channels of the decoder's 3x3 convolutions, each but the last followed by twice as many places.
        window: side in pixels of the windows that CLIP sees; it sees them at ``clip.image_size``.
        decoder_grid: features are interpolated to this many places a side before the decoder.
        stride: distance in pixels of the windows over a larger picture.
        blend: how overlapping windows are put together; "paper" as published (see `likewise.ops.density.windows`).
        size: (height, width) that every picture is brought to, whatever its shape; None: its shorter side becomes a
            window.
        density_factor: the decoder gives this many times the objects in a pixel.
        sigma: of the target's Gaussians, in pixels.
        dots: where they stand: "pixels", at the centre of the pixel that holds a dot, as published, or "exact".
        loss_share: while training, this share of the pixels is compared, drawn for each batch; 1: all are.
        decay_vectors: whether weight decay pulls on biases, norms and other parameters of one dimension too.
        inference: how the weights are used: pictures and densities round the network.
    """

    clip: ClipConfig = field(default_factory=ClipConfig)
    width: int = 512
    layers: int = 2
    heads: int = 16
    expansion: int = 4
    decoder: tuple[int, ...] = (256, 256, 256, 256)
    window: int = 384
    decoder_grid: int = 24
    stride: int = 128
    blend: WindowBlend = "average"
    size: tuple[int, int] | None = None
    density_factor: float = 60.0
    sigma: float = 1.0
    dots: Dots = field(default="pixels", metadata={"absent": "exact"})
    loss_share: float = field(default=0.8, metadata={"absent": 1.0})
    decay_vectors: bool = field(default=False, metadata={"absent": True})
    inference: InferenceConfig = field(
        default=InferenceConfig(Preprocess(mean=CLIP_MEAN, std=CLIP_STD, fit=(2048, 2048), tile=0))
    )
    #: Files were once of one configuration for this network and the lite one.
    OLD_FIELDS: ClassVar[OldFields] = {
        **FLAT_FIELDS,
        "image_tower": RemovedField("clip"),
        "text_tower": RemovedField("clip"),
        "vocabulary": RemovedField(),
        "mixing": RemovedField("attention"),
        "gated": RemovedField(only=False),
        "similarity": RemovedField(only=False),
        "examples": RemovedField(only=False),
        "by_example": RemovedField(""),
        "normed": RemovedField(only=True),
        "rectified": RemovedField(only=False),
        "sigma_unit": RemovedField(),  # this and the next were of the loss alone
        "least_sigma": RemovedField(),
        "loss_stride": RemovedField(),
        "match_weight": RemovedField(),
    }

    def __post_init__(self) -> None:
        if not 0 < self.loss_share <= 1:
            raise LikewiseError(f"loss_share = {self.loss_share}: expected above 0, at most 1")
        check_window_rules(self.size, None, self.window)


class CounTX(nn.Module):
    """The counter: pictures and names or descriptions in, a density whose sum is the count out.

    Example:
        >>> import torch
        >>> with torch.device("meta"):  # weights that take no memory
        ...     CounTX(Config()).prompts
        ('text',)
    """

    method = "countx"
    task = "count"
    prompts = ("text",)
    protocols: ClassVar[Mapping[str, EvalProtocol]] = {
        "fsc147": EvalProtocol(config={"blend": "paper"}),
        "carpk": EvalProtocol(config={"blend": "paper"}),
    }

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.clip = Clip(config.clip)
        for part in (self.clip.text, self.clip.image.ln_post):  # the first frozen, the second not used
            part.requires_grad_(requires_grad=False)
        self.interaction = nn.ModuleList(
            InteractionLayer(config.width, config.heads, expansion=config.expansion) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width, eps=EPS)
        self.decoder = DoublingDecoder(config.width, config.decoder, normed=True)

    @property
    def cell(self) -> int:
        """Side, in pixels, of the squares in which the density is constant."""
        return 1

    def forward(self, image: Tensor | Windows, prompt: PromptBatch) -> Tensor:
        """Count in each picture what its text says.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size and shape, or what `prepare` made of it.
            prompt: B texts in ``text``.

        Returns:
            (B, 1, H, W) objects per pixel; the sum over a picture is its count.

        Raises:
            LikewiseError: a picture without a text, or one too long for CLIP.
        """
        return self.count(image, self.encode(prompt.texts(image.shape[0])))

    def check(self, text: str) -> None:
        """See that a text can be counted by, before a picture is looked at.

        Raises:
            LikewiseError: it is too long for CLIP.
        """
        tokenize((text,))

    def encode(self, texts: tuple[str, ...]) -> Tensor:
        """What CLIP makes of texts: (B, C)."""
        features: Tensor = self.clip.text(texts)
        return features

    def prepare(self, image: Tensor) -> Windows:
        """What no text changes of looking at pictures (B, 3, H, W); it may be given wherever a picture is."""
        config, side = self.config, self.config.clip.image_size

        def see(windows: Tensor) -> Tensor:
            seen = F.interpolate(windows, (side, side), mode="bicubic", antialias=True)
            return self._see(config.inference.preprocess.normalised(seen))

        windows = windows_of(
            image, window=config.window, multiple=config.clip.patch, stride=config.stride, size=config.size
        )
        return windows.through(see)

    def count(self, image: Tensor | Windows, text: Tensor) -> Tensor:
        """The density (B, 1, H, W) as in `forward`, of what encoded texts (B, C) describe."""
        config = self.config
        stem = image if isinstance(image, Windows) else self.prepare(image)
        return density_of_windows(stem, text, self._answer, stride=config.stride, blend=config.blend)

    def look(self, windows: Tensor, text: Tensor) -> Tensor:
        """The published network itself, on windows.

        Args:
            windows: (N, 3, S, S), normalised, of ``config.clip.image_size`` pixels a side.
            text: (N, C) of `encode`.

        Returns:
            60 x density (N, 1, 16 g, 16 g) with g the ``decoder_grid``, float32 or better.
        """
        return self._grown(self._read(self._see(windows), text))

    def loss(self, density: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        """What separates a density (B, 1, H, W) from a batch's points: terms (B,) by name, and "total".

        In training the squared differences of the pixels that are not drawn count as 0 in the mean over all pixels.
        """
        config = self.config
        points = [placed(dots, config.dots) for dots in batch.points]
        drawn = self.training and config.loss_share < 1
        weight = (
            (torch.rand(density.shape[2:], device=density.device) < config.loss_share).to(density) if drawn else None
        )
        total = l2_loss(density, points, sigma=config.sigma, factor=config.density_factor, weight=weight)
        return {"density": total, "total": total}

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        """Optimiser groups: all but CLIP's text tower learns at the same rate; see `Config.decay_vectors`."""
        learnt = [p for p in self.parameters() if p.requires_grad]
        if self.config.decay_vectors:
            return [{"params": learnt, "lr": lr}]
        return [
            {"params": [p for p in learnt if p.ndim > 1], "lr": lr},
            {"params": [p for p in learnt if p.ndim <= 1], "lr": lr, "weight_decay": 0.0},
        ]

    def load_clip(self) -> None:
        """Start from LAION's CLIP, as published; downloaded on first use (`likewise.nn.clip.load_published`)."""
        load_published(self.clip, "laion2b_s34b_b88k")

    def _see(self, windows: Tensor) -> Tensor:
        """What CLIP sees in normalised windows (N, 3, S, S): (N, C, h, w)."""
        side = self.config.clip.image_size // self.config.clip.patch
        return as_map(self.clip.image.patch_features(windows), (side, side))

    def _read(self, features: Tensor, text: Tensor) -> Tensor:
        """Features (N, C, h, w), told texts (N, C), as the decoder's raw output."""
        grid, text = (features.shape[2], features.shape[3]), text.to(features.dtype)
        tokens = features.flatten(2).transpose(1, 2)
        tokens = tokens + sincos_positions(*grid, self.config.width).to(tokens)
        for layer in self.interaction:
            tokens = layer(tokens, text, grid)
        conditioned = as_map(self.norm(tokens), grid)
        raw: Tensor = self.decoder(F.interpolate(conditioned, (self.config.decoder_grid,) * 2, mode="bilinear"))
        return raw

    def _answer(self, features: Tensor, text: Tensor) -> Tensor:
        """The density of windows as CLIP sees them."""
        return self._grown(self._read(features, text)) / self.config.density_factor

    @staticmethod
    def _grown(raw: Tensor) -> Tensor:
        """The decoder's output at twice as many places a side, float32 or better."""
        large = doubled(raw)
        return large.to(torch.promote_types(large.dtype, torch.float32))


def convert_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the authors' checkpoint -> names of this module; what nothing depends on is left out."""
    clip = {name.removeprefix("clip_model."): t for name, t in state.items() if name.startswith("clip_model.")}
    own = {renamed(name, _RENAMES): t for name, t in state.items() if not name.startswith("clip_model.")}
    towers = {f"clip.{name}": tensor for name, tensor in clip_state(clip).items()}
    return {name: tensor for name, tensor in (own | towers).items() if not re.search(_UNUSED, name)}


_UNUSED = r"^fim_blocks\.\d+\.(norm1|attn\.w[qk])\.|^fim_pos_embed$"
_RENAMES = (
    (r"fim_blocks\.(\d+)\.norm0\.", r"interaction.\1.norm_mix."),
    (r"fim_blocks\.(\d+)\.selfattn\.", r"interaction.\1.mix."),
    (r"fim_blocks\.(\d+)\.attn\.wv\.", r"interaction.\1.value."),
    (r"fim_blocks\.(\d+)\.attn\.proj\.", r"interaction.\1.proj."),
    (r"fim_blocks\.(\d+)\.norm2\.", r"interaction.\1.norm_mlp."),
    (r"fim_blocks\.(\d+)\.mlp\.", r"interaction.\1."),
    (r"fim_norm\.", "norm."),
    (r"decode_head3\.3\.", "decoder.last."),
    (r"decode_head(\d)\.0\.", r"decoder.convs.\1."),
    (r"decode_head(\d)\.1\.", r"decoder.norms.\1."),
)


PAPER = "Amini-Naieni et al., Open-world Text-specified Object Counting, BMVC 2023"
COUNTX_PAPER = Preset(
    name="countx",
    model=CounTX,
    config=Config(),
    card=WeightCard(
        licence="not bundled; the authors' code is MIT, their checkpoint states none",
        data="FSC-147 train split with FSC-147-D's descriptions; CLIP by LAION (LAION-2B)",
        source="https://github.com/niki-amini-naieni/CounTX",
        how_to="get the authors' checkpoint, then 'likewise convert countx CHECKPOINT -o countx.safetensors'",
        paper=PAPER,
        scores={
            "FSC-147 val, descriptions (published)": "MAE 17.10, RMSE 65.61",
            "FSC-147 test, descriptions (published)": "MAE 15.88, RMSE 106.29",
            "FSC-147 test, class names (published)": "MAE 15.73, RMSE 106.88",
        },
    ),
)
