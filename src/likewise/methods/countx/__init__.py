"""CounTX: counting by name or description, with an image encoder that is told what to look for.

Paper: Amini-Naieni et al., "Open-world Text-specified Object Counting", BMVC 2023.
Authors' code: github.com/niki-amini-naieni/CounTX (MIT; nothing of it is used here); their checkpoints are loaded
through `convert_keys`. Licence of this code: Apache-2.0.

Left out because nothing depends on it: queries, keys and their norm in the cross-attention to the one text token
(`likewise.methods.countx.interaction`), CLIP's class token after the last block. Deviations: a picture of any size and
shape is scaled until its shorter side is one window, and windows overlap in a weighted average (``blend``).
``countx-lite`` is the same network with other numbers: MobileNetV2 for CLIP's vision transformer, learned words for its text
tower, and a similarity map between the two that gates what the decoder sees, without which the name changes little.

Shapes: B pictures, N windows, C = ``width`` channels, h w grid of image features.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.methods.countx.decoder import DoublingDecoder, doubled
from likewise.methods.countx.interaction import EPS, InteractionLayer, Mixing, sincos_positions
from likewise.methods.countx.matching import Match, Similarity
from likewise.methods.countx.matching_losses import told_boxes
from likewise.methods.countx.mobile_tower import STRIDE, SmallTower
from likewise.methods.countx.refinement import Places, SecondLook, ToldBoxes, alike_found
from likewise.methods.countx.word_encoder import WordEncoder
from likewise.nn.clip import CLIP_MEAN, CLIP_STD, Clip, ClipConfig, as_map, clip_state, load_published
from likewise.ops.counting_loss import l2_loss
from likewise.ops.density.windows import WindowBlend, Windows, density_of_windows, windows_of
from likewise.types import CountBatch, Preprocess, PromptBatch, Trust
from likewise.weights import Preset, WeightCard, renamed

#: Pictures (B, 3, H, W) RGB in [0, 1], or what `CounTX.prepare` made of them.
Shown = Tensor | Windows


@dataclass(frozen=True)
class Config:
    """The numbers of the network; the defaults are the published ones.

    Attributes:
        image_tower: "clip": a vision transformer, on windows. "mobilenetv2": convolutions, on the picture as a whole.
        text_tower: "clip", frozen; "words": a learned vector for every word of ``vocabulary``.
        clip: both towers of CLIP, where they are used.
        vocabulary: names that the "words" tower is taught.
        width: channels of the image features as they meet the text; CLIP's are ``clip.features``.
        layers: of the feature interaction.
        heads: of its self-attention.
        mixing: "attention": over all places. "convolution": over 7x7 places, whose cost grows with the picture's
            area only and which sees a picture of any size as it saw the training crops.
        gated: the text scales the hidden units of the interaction's MLPs (not in the paper).
        similarity: the decoder sees features gated by, and beside them, how well each place matches the text (not in
            the paper).
        examples: with MobileNetV2 and ``similarity``, a match is judged again by how alike each place is to those that
            match the text best, which the decoder sees too (`likewise.methods.countx.refinement`; not in the paper).
        by_example: weights of a counter by example, to which `likewise.predict` shows the best matches as examples:
            with ``examples``, places tell the box of what they show too. Empty: the network's own density is the count.
        expansion: of the interaction's MLPs.
        decoder: channels of the decoder's 3x3 convolutions, each but the last followed by twice as many places.
        normed: whether each is followed by GroupNorm(8), whose statistics are those of a whole window.
        rectified: densities are not negative and, with ``similarity``, gated once more by it: without a match there is
            nothing. In training a tenth of what is negative passes, or the decoder would die at zero before the
            similarity has learned what the texts mean.
        window: side in pixels of the windows that CLIP sees; it sees them at ``clip.image_size``.
        decoder_grid: with CLIP, features are interpolated to this many places a side before the decoder.
        stride: distance in pixels of the windows over a larger picture.
        blend: how overlapping windows are put together; "paper" as published (see `likewise.ops.density.windows`).
        density_factor: the decoder gives this many times the objects in a place.
        sigma: of the target's Gaussians in ``sigma_unit``, pixels or object sizes (sqrt(width x height)), and at
            least ``least_sigma`` pixels, so that small objects do not rule the squared error.
        loss_stride: the squared error is that of sums over squares of this many pixels.
        match_weight: weight of each of the losses of `likewise.methods.countx.matching_losses` on the similarity map.
        preprocess: how pictures become inputs.
        trust: how far off counts by name are, where ``likewise calibrate`` has learnt it.
        trust_full: the same with the signs of two more looks.

    Raises:
        LikewiseError: ``examples`` without what they are found by.
    """

    image_tower: Literal["clip", "mobilenetv2"] = "clip"
    text_tower: Literal["clip", "words"] = "clip"
    clip: ClipConfig = field(default_factory=ClipConfig)
    vocabulary: tuple[str, ...] = ()
    width: int = 512
    layers: int = 2
    heads: int = 16
    mixing: Mixing = "attention"
    gated: bool = False
    similarity: bool = False
    examples: bool = False
    by_example: str = ""
    expansion: int = 4
    decoder: tuple[int, ...] = (256, 256, 256, 256)
    normed: bool = True
    rectified: bool = False
    window: int = 384
    decoder_grid: int = 24
    stride: int = 128
    blend: WindowBlend = "average"
    density_factor: float = 60.0
    sigma: float = 1.0
    sigma_unit: Literal["pixels", "objects"] = "pixels"
    least_sigma: float = 0.0
    loss_stride: int = 1
    match_weight: float = 0.0
    preprocess: Preprocess = field(default=Preprocess(mean=CLIP_MEAN, std=CLIP_STD, fit=(2048, 2048), tile=0))
    trust: Trust | None = None
    trust_full: Trust | None = None

    def __post_init__(self) -> None:
        if self.examples and not (self.similarity and self.image_tower == "mobilenetv2"):
            raise LikewiseError("examples=True needs similarity=True and image_tower='mobilenetv2'")
        if self.by_example and not self.examples:
            raise LikewiseError(f"by_example={self.by_example!r} needs examples=True")


class CounTX(nn.Module):
    """The counter: pictures and names or descriptions in, a density whose sum is the count out."""

    method = "countx"
    task = "count"
    prompts = ("text",)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.clip = Clip(config.clip) if "clip" in (config.image_tower, config.text_tower) else None
        if self.clip is not None:
            for part in (self.clip.text, self.clip.image.ln_post):  # the first frozen, the second not used
                part.requires_grad_(requires_grad=False)
        self.words = WordEncoder(config.vocabulary, width) if config.text_tower == "words" else None
        self.tower = SmallTower(width, config.expansion) if config.image_tower == "mobilenetv2" else None
        self.similarity = Similarity(width) if config.similarity else None
        self.interaction = nn.ModuleList(
            InteractionLayer(width, config.heads, mixing=config.mixing, gated=config.gated, expansion=config.expansion)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width, eps=EPS)
        self._widths = [width, *(self.tower.widths if self.tower is not None and config.examples else [])]
        self.second = SecondLook(len(self._widths)) if config.examples else None
        self.boxes = ToldBoxes(sum(self._widths[1:])) if config.by_example else None
        shown = width + 2 * config.similarity + len(self._widths) * config.examples
        self.decoder = DoublingDecoder(shown, config.decoder, normed=config.normed)
        self._colours = (config.preprocess.mean, config.preprocess.std)
        self._match: Match | None = None

    @property
    def cell(self) -> int:
        """Side, in pixels, of the squares in which the density is constant."""
        return 1 if self.tower is None else STRIDE // 2 ** (len(self.config.decoder) - 1)

    def forward(self, image: Shown, prompt: PromptBatch) -> Tensor:
        """Count in each picture what its text says.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size and shape.
            prompt: B texts in ``text``.

        Returns:
            (B, 1, H, W) objects per pixel; the sum over a picture is its count.

        Raises:
            LikewiseError: a picture without a text, one without a known word, or one too long for CLIP.
        """
        if prompt.text is None or len(prompt.text) != image.shape[0]:
            raise LikewiseError("CounTX counts by name: every picture needs a text, such as 'strawberries'")
        return self.count(image, self.encode(prompt.text))

    def check(self, text: str) -> None:
        """See that a text can be counted by, before a picture is looked at.

        Raises:
            LikewiseError: no word of it is known; the nearest known names are given.
        """
        if self.words is not None:
            self.words.check(text)

    def knows(self, text: str) -> bool:
        """Whether any word of a text is known."""
        return self.words is None or bool(self.words.knows(text))

    def encode(self, texts: tuple[str, ...]) -> Tensor:
        """What the text tower makes of texts: (B, C)."""
        tower: Any = self.words if self.clip is None or self.words is not None else self.clip.text
        return tower(texts)

    def prepare(self, image: Tensor) -> Windows:
        """What no text changes of looking at pictures (B, 3, H, W); it may be given wherever a picture is.

        MobileNetV2 sees each picture as one window.
        """
        if self.tower is not None:
            stacked = self.tower.stacked(self.normalised(image))
            features = torch.cat([self.tower.joined(stacked), *[stacked] * self.config.examples], dim=1)
            padded = (STRIDE * features.shape[2], STRIDE * features.shape[3])
            return Windows(features, image.shape, padded, (image.shape[2], image.shape[3]))

        config, side = self.config, self.config.clip.image_size

        def see(windows: Tensor) -> Tensor:
            return self._see(self.normalised(F.interpolate(windows, (side, side), mode="bicubic", antialias=True)))

        return windows_of(image, window=config.window, multiple=config.clip.patch, stride=config.stride).through(see)

    def count(self, image: Shown, text: Tensor) -> Tensor:
        """The density (B, 1, H, W) as in `forward`, of what encoded texts (B, C) describe."""
        config = self.config
        begun = image if isinstance(image, Windows) else self.prepare(image)
        if self.tower is None:
            return density_of_windows(begun, text, self._answer, stride=config.stride, blend=config.blend)
        cells = self._read(begun.content, text).float()
        side = self.cell
        pixels = cells.repeat_interleave(side, 2).repeat_interleave(side, 3) / side**2
        return pixels[:, :, : begun.inside[0], : begun.inside[1]] / config.density_factor

    def find(self, image: Shown, text: Tensor) -> Places:
        """Where pictures show what encoded texts (B, C) name, and its boxes; with ``config.by_example``."""
        if self.boxes is None:
            raise LikewiseError("this configuration of CounTX tells no boxes; it needs by_example='spdcn-lite'")
        begun = image if isinstance(image, Windows) else self.prepare(image)
        stages = begun.content.split(self._widths, dim=1)
        match, _ = self._matched(stages, text.to(begun.content.dtype))
        raw: Tensor = self.boxes(torch.cat(stages[1:], dim=1))
        return Places(match.logits(), told_boxes(raw.float(), STRIDE), STRIDE)

    def look(self, windows: Tensor, text: Tensor) -> Tensor:
        """The published network itself, on windows.

        Args:
            windows: (N, 3, S, S), normalised, of ``config.clip.image_size`` pixels a side.
            text: (N, C) of `encode`.

        Returns:
            60 x density (N, 1, 16 g, 16 g) with g the ``decoder_grid``, float32.
        """
        return doubled(self._read(self._see(windows), text)).float()

    def loss(self, density: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        """What separates a density (B, 1, H, W) from a batch's points: terms (B,) by name, and "total".

        The matching term needs the similarity behind the density: `forward` must have just made it, with gradients.
        """
        config, match, things = self.config, self._match, batch.things
        units = (s if config.sigma_unit == "objects" else torch.ones_like(s) for s in batch.sizes)
        sigma = [(config.sigma * unit).clamp(min=config.least_sigma) for unit in units]
        total = l2_loss(density, batch.points, sigma=sigma, factor=config.density_factor, stride=config.loss_stride)
        terms = {"density": total}
        if config.match_weight and match is not None:
            names = None if things is None else self.similarity.unit(self.encode(things.asked))  # type: ignore[union-attr]
            matching = match.losses(batch, names, STRIDE)
            terms |= matching
            total = total + config.match_weight * torch.stack(list(matching.values())).sum(0)
        return {**terms, "total": total}

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        """Optimiser groups: a pretrained MobileNetV2 learns at three tenths of the rate, rarely met words at thrice."""
        slow = [] if self.tower is None else list(self.tower.stages.parameters())
        quick = [] if self.words is None else list(self.words.embedding.parameters())
        held = {id(p) for p in (*slow, *quick)}
        new = [p for p in self.parameters() if p.requires_grad and id(p) not in held]
        groups = [(new, lr), (slow, 0.3 * lr), (quick, 3 * lr)]
        return [{"params": params, "lr": rate} for params, rate in groups if params]

    def load_clip(self) -> None:
        """Start from LAION's CLIP, as published; downloaded on first use (`likewise.nn.clip.load_published`)."""
        if self.clip is None:
            raise LikewiseError("this configuration of CounTX has no CLIP tower to load")
        load_published(self.clip, "laion2b_s34b_b88k")

    def load_trunk(self, state: Mapping[str, Tensor]) -> None:
        """Start MobileNetV2 from ImageNet weights under timm's names for ``mobilenetv2_100``."""
        if self.tower is None:
            raise LikewiseError("this configuration of CounTX has no MobileNetV2 to load")
        self.tower.load_imagenet(state)

    def _read(self, features: Tensor, text: Tensor) -> Tensor:
        """Features (B, C, h, w), told texts (B, C), as the decoder's raw output."""
        stages = features.split(self._widths, dim=1)
        features, grid = stages[0], (features.shape[2], features.shape[3])
        text = text.to(features.dtype)
        match, alike = (None, []) if self.similarity is None else self._matched(stages, text)
        tokens = features.flatten(2).transpose(1, 2)
        if self.config.mixing == "attention":
            tokens = tokens + sincos_positions(*grid, self.config.width).to(tokens)
        for layer in self.interaction:
            tokens = layer(tokens, text, grid)
        told = as_map(self.norm(tokens), grid)
        gate = None
        if match is not None:
            # the matching alone teaches what texts mean, or counting would unteach it
            logits = match.logits().detach() if self.config.match_weight else match.logits()
            gate = logits.sigmoid()
            told = torch.cat([told * gate, gate, logits / 8, *alike], dim=1)
        self._match = match if torch.is_grad_enabled() else None
        if self._match is not None and self.boxes is not None:
            self._match = self._match._replace(boxes=self.boxes(torch.cat(stages[1:], dim=1)))
        if self.config.image_tower == "clip":
            told = F.interpolate(told, (self.config.decoder_grid,) * 2, mode="bilinear")
        raw: Tensor = self.decoder(told)
        if not self.config.rectified:
            return raw
        bent = F.leaky_relu(raw.float(), 0.1 if self.training else 0.0)
        return bent if gate is None else bent * F.interpolate(gate, raw.shape[-2:], mode="bilinear")

    def _matched(self, stages: Sequence[Tensor], text: Tensor) -> tuple[Match, list[Tensor]]:
        """How texts (B, C) match what the stages show, and by what a second look judged that, where there is one."""
        match: Match = self.similarity(stages[0], text)  # type: ignore[misc]  # only called with a similarity
        if self.second is None:
            return match, []
        first = match.first()
        alike = alike_found(stages, first)
        return match._replace(again=self.second(alike, first.detach())), [alike]

    def _see(self, windows: Tensor) -> Tensor:
        """What CLIP sees in normalised windows (N, 3, S, S): (N, C, h, w)."""
        clip: Clip = self.clip  # type: ignore[assignment]  # only called with CLIP's image tower
        side = self.config.clip.image_size // self.config.clip.patch
        return as_map(clip.image.patch_features(windows), (side, side))

    def _answer(self, features: Tensor, text: Tensor) -> Tensor:
        """The density of windows as CLIP sees them."""
        return doubled(self._read(features, text)).float() / self.config.density_factor

    def normalised(self, image: Tensor) -> Tensor:
        """Pictures as the image tower takes them."""
        # no buffers: in bfloat16 they would be off by a grey value
        mean, std = (image.new_tensor(v).view(3, 1, 1) for v in self._colours)
        return (image - mean) / std


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
