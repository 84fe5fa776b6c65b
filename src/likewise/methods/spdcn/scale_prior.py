"""Scale-prior deformable convolution, and trunks that carry it (Lin et al., BMVC 2022, section 3.2).

A deformable convolution learns where to look from the features alone; the scale prior also tells it how large the
wanted objects are, so that its receptive field fits them.

Convention
----------
Sizes are (height, width) of the exemplars, in that order, in the unit the caller chose for the whole network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.nn.trunks import TrunkName, at_grid, load_mobilenetv2, load_vgg19, mobilenetv2_stages, vgg19_stages
from likewise.ops.deform.conv2d import DeformConv2d

#: What the offsets are told: the picture around and the exemplars' size, only the picture; "none": no offsets.
ScalePrior = Literal["both", "local", "none"]


class ScalePriorConv(nn.Module):
    """Deformable 3x3 convolution whose offsets see the features around and, if asked, the exemplars' size."""

    def __init__(self, channels: int, width: int, *, use_size: bool = True) -> None:
        super().__init__()
        self.conv = DeformConv2d(channels, channels, 3, padding=1, bias=False)
        self.local = nn.Sequential(_conv3(channels, width), nn.ReLU(), _conv3(width, width))
        self.glob: nn.Module | None = None
        if use_size:
            self.glob = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, width))
        last = nn.Conv2d(width, 18, 3, padding=1)
        # Almost an ordinary convolution at first, yet every layer of the branch already has a gradient.
        nn.init.normal_(last.weight, std=1e-3)
        nn.init.constant_(last.get_parameter("bias"), 0.0)
        self.fuse = nn.Sequential(_conv3(2 * width if use_size else width, width), nn.ReLU(), last)

    def forward(self, x: Tensor, size: Tensor) -> Tensor:
        """(B, C, h, w) features and (B, 2) exemplar height and width -> (B, C, h, w)."""
        embedding = self.local(x)
        if self.glob is not None:
            glob = self.glob(size)[:, :, None, None].expand(-1, -1, *x.shape[2:])
            embedding = torch.cat([glob, embedding.to(glob.dtype)], dim=1)
        return self.conv(x, self.fuse(embedding))


class PlainConv(nn.Module):
    """An ordinary 3x3 convolution in a scale-prior block's place, to measure what the block adds."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor, size: Tensor) -> Tensor:  # a scale-prior block's signature
        """(B, C, h, w) -> (B, C, h, w); the size goes unused."""
        return self.conv(x)


class StemFeatures(NamedTuple):
    """A trunk's work on pictures up to where the exemplars' size first matters: the same for every prompt.

    Attributes:
        shape: of the pictures, (B, 3, H, W), before they were padded.
        grid: (height, width) of the grid on which a method joins stages.
        joined: outputs of the ``joined`` stages that come before ...
        on_grid: ... and the same on the grid (`likewise.nn.trunks.at_grid`).
        last: what the first scale-prior block is given.
    """

    shape: torch.Size
    grid: tuple[int, int]
    joined: tuple[Tensor, ...]
    on_grid: tuple[Tensor, ...]
    last: Tensor

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return sum(tensor.nbytes for tensor in (*self.joined, *self.on_grid, self.last))


#: Pictures (B, 3, H, W) RGB in [0, 1], or a trunk's head start on them.
ImageOrStem = Tensor | StemFeatures


class ScalePriorTrunk(nn.Module):
    """A trunk with a scale-prior block at the end of its stages.

    On VGG-19 the block takes the place of each stage's last convolution, as published. MobileNetV2 has no such
    convolution, its narrow stages end linearly: there the block's output is added to the stage's.
    """

    def __init__(self, trunk: TrunkName, scale_prior: ScalePrior, width: int) -> None:
        super().__init__()
        self.residual = trunk == "mobilenetv2"
        self.stages, self.infos = mobilenetv2_stages() if self.residual else vgg19_stages()
        # MobileNetV2's stages before stride 8 hold most of the places and few of the channels: sampling them
        # would cost more than the whole trunk.
        first = 2 if self.residual else 0
        self.scale_priors = nn.ModuleDict(
            {str(i): _block(info.channels, scale_prior, width) for i, info in enumerate(self.infos) if i >= first}
        )
        for block in self.scale_priors.values():
            weight = block.get_parameter("conv.weight")
            if self.residual:
                nn.init.normal_(weight, std=0.01)  # at first the pretrained stages pass through
            else:
                nn.init.kaiming_normal_(weight, nonlinearity="relu")
        self.joined = (1, 2, 3) if self.residual else (len(self.infos) - 1,)

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Start from ImageNet weights: timm's names for ``mobilenetv2_100``, torchvision's for ``vgg19``."""
        if self.residual:
            load_mobilenetv2(self.stages, state)
        else:
            load_vgg19(self.stages, [block.get_submodule("conv") for block in self.scale_priors.values()], state)

    def start(self, x: Tensor, shape: torch.Size, stride: int) -> StemFeatures:
        """Normalised, padded pictures (B, 3, H, W), which were of ``shape`` before -> what needs no exemplars.

        Stages are joined on a grid of this stride.
        """
        out: list[Tensor] = []
        grid = (x.shape[2] // stride, x.shape[3] // stride)
        # On the CPU convolutions of wide maps are up to twice as fast so, and deformable ones need not turn them.
        x = x.contiguous(memory_format=torch.channels_last)
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if str(i) in self.scale_priors:
                break
            if i in self.joined:
                out.append(x)
        return StemFeatures(shape, grid, tuple(out), tuple(at_grid(stage, grid) for stage in out), x)

    def forward(self, stem: StemFeatures, size: Tensor) -> tuple[Tensor, ...]:
        """What `start` gave and exemplar sizes (B, 2) -> the outputs of the ``joined`` stages."""
        out, x = list(stem.joined), stem.last
        first = min(map(int, self.scale_priors))
        for i in range(first, len(self.stages)):
            x = x if i == first else self.stages[i](x)
            moved = self.scale_priors[str(i)](x, size)
            x = x + moved if self.residual else F.relu(moved)
            if i in self.joined:
                out.append(x)
        return tuple(out)


def _block(channels: int, scale_prior: ScalePrior, width: int) -> nn.Module:
    if scale_prior == "none":
        return PlainConv(channels)
    return ScalePriorConv(channels, width, use_size=scale_prior == "both")


def _conv3(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, padding=1)
