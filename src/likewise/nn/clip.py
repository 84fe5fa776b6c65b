"""CLIP's two towers (Radford et al., ICML 2021), opened up for dense use: patch maps, prompt tokens, text features.

The architecture, the tokeniser and the published weights are open_clip's; the towers here hold its modules, under its
names, and run them so that nothing is computed that is thrown away. Every rewrite is exact up to rounding:

- text is cut after the longest prompt's end token, which causal attention never looks past, and the last block works
  on end tokens alone; features of a frozen tower are kept (`likewise.nn.clip_text`);
- a block that only some tokens are wanted of computes queries and MLP for those;
- attention is fused (`scaled_dot_product_attention`), without weights being returned.

Shapes: B batch, C width, h w grid of patches, F features shared by both towers. Licence of OpenAI's and LAION's
weights: MIT.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.nn.clip_block import attend, with_value
from likewise.nn.clip_text import TextTower

#: Mean and standard deviation that OpenAI trained with; LAION's models have the same.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

Interpolation = Literal["bilinear", "bicubic"]
#: Published weights of ViT-B/16, by open_clip's name for them.
ClipWeights = Literal["openai", "laion2b_s34b_b88k"]


@dataclass(frozen=True)
class ClipConfig:
    """The numbers of both towers; the defaults are ViT-B/16's.

    Attributes:
        image_size: side in pixels that the stored position table is for.
        patch: side of a patch in pixels.
        image_width: channels of an image token.
        image_layers: blocks of the image tower.
        image_heads: attention heads of each.
        text_width: channels of a text token.
        text_layers: blocks of the text tower.
        text_heads: attention heads of each.
        features: channels that both towers are projected to.
        quick_gelu: x sigmoid(1.702 x) in the MLPs instead of GELU: OpenAI's weights need it, LAION's do not.
    """

    image_size: int = 224
    patch: int = 16
    image_width: int = 768
    image_layers: int = 12
    image_heads: int = 12
    text_width: int = 512
    text_layers: int = 12
    text_heads: int = 8
    features: int = 512
    quick_gelu: bool = False


class ImageTower(nn.Module):
    """CLIP's vision transformer, run on patches.

    Args:
        visual: open_clip's module; its parts are taken over under their names.
        config: its numbers.
    """

    def __init__(self, visual: Any, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.class_embedding: nn.Parameter = visual.class_embedding
        self.positional_embedding: nn.Parameter = visual.positional_embedding
        self.proj: nn.Parameter = visual.proj
        self.conv1: nn.Conv2d = visual.conv1
        self.ln_pre: nn.LayerNorm = visual.ln_pre
        self.transformer: Any = visual.transformer
        self.ln_post: nn.LayerNorm = visual.ln_post

    @property
    def dtype(self) -> torch.dtype:
        """What the tower computes in."""
        return self.proj.dtype

    def embed(self, image: Tensor, *, mode: Interpolation = "bicubic", class_twice: bool = False) -> Tensor:
        """Tokens that enter the first block: the class token, then patches row by row.

        Args:
            image: (B, 3, H, W), normalised; H and W multiples of the patch.
            mode: how the position table is brought to another grid than its own.
            class_twice: add the class embedding twice, as VLCounter's authors do.

        Returns:
            (B, 1 + h w, C).

        Raises:
            LikewiseError: a size that is no multiple of the patch.
        """
        if image.shape[2] % self.config.patch or image.shape[3] % self.config.patch:
            raise LikewiseError(f"image is {tuple(image.shape)}: expected multiples of {self.config.patch} pixels")
        patches = self.conv1(image.to(self.dtype))
        table = resize_positions(self.positional_embedding, (patches.shape[2], patches.shape[3]), mode)
        first = self.class_embedding + table[0] + (self.class_embedding if class_twice else 0)
        rest = patches.flatten(2).transpose(1, 2) + table[1:]
        return self.ln_pre(torch.cat([first.expand(len(image), 1, -1), rest], dim=1))

    def run(
        self,
        tokens: Tensor,
        *,
        prompts: Sequence[Tensor] = (),
        keep: Collection[int] = (),
        dense: bool = False,
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Send tokens through all blocks.

        Args:
            tokens: (B, 1 + h w, C) of `embed`.
            prompts: for each block but a dense last one, or for none, (B, P, C) prompt tokens that stand between the
                class token and the patches; whatever a block made of the last ones is dropped.
            keep: blocks, counted from 0, whose patches are returned as well.
            dense: "MaskCLIP": of the last block only ``x + out_proj(v)``, no attention and no MLP.

        Returns:
            Patch tokens (B, h w, C) after the last block, and after each of ``keep``.

        Raises:
            LikewiseError: another number of prompts than blocks.
        """
        blocks = list(self.transformer.resblocks)
        whole = blocks[:-1] if dense else blocks
        if prompts and len(prompts) != len(whole):
            raise LikewiseError(f"{len(prompts)} prompts for {len(whole)} blocks: expected one for each, or none")
        count = tokens.shape[1] - 1  # patches stand last, whatever stands before them
        kept: dict[int, Tensor] = {}
        for index, block in enumerate(whole):
            if prompts:
                prompt = prompts[index].to(tokens)
                tokens = torch.cat([tokens[:, :1], prompt, tokens[:, -count:]], dim=1)
            last = index == len(whole) - 1  # nobody looks at its class and prompt tokens
            tokens = attend(block, tokens, self.config.image_heads, queries=tokens[:, -count:] if last else None)
            if index in keep:
                kept[index] = tokens[:, -count:]
        patches = tokens[:, -count:]
        return (with_value(blocks[-1], patches) if dense else patches), kept

    def project(self, tokens: Tensor, *, norm: bool) -> Tensor:
        """Patch tokens (..., C) as features (..., F), through ``ln_post`` or, ``norm`` False, without it."""
        return (self.ln_post(tokens) if norm else tokens) @ self.proj

    def patch_features(self, image: Tensor, *, mode: Interpolation = "bicubic", norm: bool = False) -> Tensor:
        """Patches (B, h w, F) of the last block, projected; see `embed` for the image and the errors."""
        return self.project(self.run(self.embed(image, mode=mode))[0], norm=norm)


class Clip(nn.Module):
    """Both towers with random weights; see `load_published` for others.

    Attributes:
        image: the `ImageTower`.
        text: the `likewise.nn.clip_text.TextTower`.
    """

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        import open_clip

        vision = open_clip.CLIPVisionCfg(
            layers=config.image_layers,
            width=config.image_width,
            head_width=config.image_width // config.image_heads,
            patch_size=config.patch,
            image_size=config.image_size,
        )
        text = open_clip.CLIPTextCfg(width=config.text_width, heads=config.text_heads, layers=config.text_layers)
        built = open_clip.CLIP(config.features, vision, text, quick_gelu=config.quick_gelu)
        self.config = config
        self.image = ImageTower(built.visual, config)
        self.text = TextTower(built, config.text_heads)


def resize_positions(table: Tensor, grid: tuple[int, int], mode: Interpolation) -> Tensor:
    """A position table for another grid of patches; its first row, the class token's, stays as it is.

    Args:
        table: (1 + s s, C), of a square grid.
        grid: (h, w).
        mode: of the interpolation, corners not aligned.

    Returns:
        (1 + h w, C).
    """
    side = math.isqrt(len(table) - 1)
    if grid == (side, side):
        return table
    square = table[1:].view(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(square.float(), grid, mode=mode, align_corners=False).to(table)
    return torch.cat([table[:1], resized[0].flatten(1).T])


def as_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens (B, h w, C) as a map (B, C, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, grid)


def clip_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of open_clip's (and OpenAI's) state dict -> names of `Clip`; what dense use has no need of is left out."""
    renamed = {
        f"image.{name.removeprefix('visual.')}" if name.startswith("visual.") else f"text.{name}": tensor
        for name, tensor in state.items()
    }
    return {name: tensor for name, tensor in renamed.items() if name not in ("text.logit_scale", "text.attn_mask")}


def load_published(clip: Clip, weights: ClipWeights, *, mode: Interpolation = "bicubic") -> None:
    """Fill both towers with published ViT-B/16 weights, downloaded by open_clip on first use, with a progress bar.

    Args:
        clip: towers of ViT-B/16's size, ``quick_gelu`` as the weights need it; any ``image_size``.
        weights: whose.
        mode: how the position table is brought to ``image_size``.

    Raises:
        LikewiseError: the weights are not here and cannot be downloaded, or need the other activation.
    """
    quick = weights == "openai"
    if clip.config.quick_gelu != quick:
        raise LikewiseError(f"the weights {weights!r} need quick_gelu={quick}, these towers have {not quick}")
    state = clip_state(_downloaded(weights))
    side = clip.config.image_size // clip.config.patch
    positions = "image.positional_embedding"
    state[positions] = resize_positions(state[positions], (side, side), mode)
    clip.load_state_dict(state)


def _downloaded(weights: ClipWeights) -> dict[str, Tensor]:
    import open_clip

    name = "ViT-B-16-quickgelu" if weights == "openai" else "ViT-B-16"
    try:
        model = open_clip.create_model(name, pretrained=weights)
    except Exception as error:  # the hub, the network and the file system each fail in their own ways
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise LikewiseError(
            f"CLIP's weights {weights!r} (ViT-B/16, about 600 MB) are not on this machine and could not be downloaded: "
            f"{reason}. Expected a connection to the model hub on first use, or its cache copied from another machine "
            "(the folder named by HF_HOME)"
        ) from error
    state: dict[str, Tensor] = model.state_dict()
    return state
