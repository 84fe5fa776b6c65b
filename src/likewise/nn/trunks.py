"""Image trunks: convolutional stages from stride 1 (VGG-19) or 2 (MobileNetV2) to a chosen stride.

A trunk is a list of stages; each stage maps (B, C_in, H, W) to (B, C_out, H', W') and says its channels and
stride. Methods put their own layers between the stages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import timm
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.nn.folded import fold_norms

#: Widths of VGG-19's 3x3 convolutions, a row a resolution (Simonyan & Zisserman, ICLR 2015, table 1, E), to stride 8.
VGG19_WIDTHS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512))


TrunkName = Literal["vgg19", "mobilenetv2"]


@dataclass(frozen=True)
class StageInfo:
    """Channels of a stage's output, and its stride in input pixels."""

    channels: int
    stride: int


def channels_at_stride(info: StageInfo, stride: int) -> int:
    """Channels of a stage once `at_grid` has brought it to ``stride``."""
    return info.channels * max(1, stride // info.stride) ** 2


def at_grid(stage: Tensor, grid: tuple[int, int]) -> Tensor:
    """Bring a stage (B, C, H, W) to a grid (h, w): a finer one folds places into channels, a coarser is enlarged."""
    if stage.shape[-2] > grid[0]:
        return F.pixel_unshuffle(stage, stage.shape[-2] // grid[0])
    return stage if stage.shape[-2:] == grid else F.interpolate(stage, grid, mode="bilinear")


def with_new_inputs(weight: Tensor, like: Tensor) -> Tensor:
    """A convolution's weight (O, I, h, w) with as many inputs as another's: new ones come last and begin at nothing."""
    return F.pad(weight, (0, 0, 0, 0, 0, like.shape[1] - weight.shape[1]))


def vgg19_stages() -> tuple[nn.ModuleList, tuple[StageInfo, ...]]:
    """VGG-19 to stride 8, each stage without its last convolution: a method puts its own layer there."""
    stages, infos, width = nn.ModuleList(), [], 3
    for i, widths in enumerate(VGG19_WIDTHS):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if i else []
        for out in widths[:-1]:
            conv = nn.Conv2d(width, out, 3, padding=1)
            # Without it sixteen ReLUs in a row leave nothing of the picture.
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            layers += [conv, nn.ReLU(inplace=True)]
            width = out
        stages.append(nn.Sequential(*layers))
        infos.append(StageInfo(width, 2**i))
    return stages, tuple(infos)


def load_vgg19(stages: nn.ModuleList, last: Sequence[nn.Module], state: Mapping[str, Tensor]) -> None:
    """Copy ImageNet weights under torchvision's ``vgg19`` names into `vgg19_stages`' modules.

    Args:
        stages: as made by `vgg19_stages`.
        last: the method's own convolution after each stage; a bias that it does not have is dropped.
        state: torchvision's; the layers after stride 8 are not needed.
    """
    convs = [
        m for stage, end in zip(stages, last, strict=True) for m in (*stage.children(), end) if hasattr(m, "weight")
    ]
    names = [name.removesuffix(".weight") for name in state if re.fullmatch(r"features\.\d+\.weight", name)]
    names.sort(key=lambda name: int(name.split(".")[1]))
    for conv, name in zip(convs, names[: len(convs)], strict=True):
        given = {part: state[f"{name}.{part}"] for part in conv.state_dict()}
        conv.load_state_dict(given, strict=True)


def mobilenetv2_stages(*, deep: bool = False, keep_stride: int = 32) -> tuple[nn.ModuleList, tuple[StageInfo, ...]]:
    """MobileNetV2 1.0 (Sandler et al., CVPR 2018) cut into stages that end at strides 2, 4, 8, 16 and, if asked, 32.

    Norms are folded into convolutions with biases, so that a picture's features never depend on its batch, and
    padding is TensorFlow's "same". Weights are random: see `load_mobilenetv2`. From ``keep_stride`` on (8, 16 or 32)
    stages keep the resolution and are dilated instead.
    """
    infos: tuple[StageInfo, ...] = (StageInfo(16, 2), StageInfo(24, 4), StageInfo(32, 8), StageInfo(96, 16))
    infos = (*infos, StageInfo(160, 32)) if deep else infos
    kept = tuple(StageInfo(info.channels, min(info.stride, keep_stride)) for info in infos)
    return _cut(_mobilenetv2(keep_stride), len(infos)), kept


def load_mobilenetv2(stages: nn.ModuleList, state: Mapping[str, Tensor]) -> None:
    """Copy ImageNet weights under timm's ``mobilenetv2_100`` names into `mobilenetv2_stages`' modules, strictly."""
    source = _mobilenetv2()
    source.load_state_dict(dict(state), strict=True)
    stages.load_state_dict(_cut(source, len(stages)).state_dict(), strict=True)


def _mobilenetv2(stride: int = 32) -> nn.Module:
    return timm.create_model("mobilenetv2_100", pretrained=False, pad_type="same", output_stride=stride).eval()


def _cut(net: nn.Module, stages: int) -> nn.ModuleList:
    fold_norms(net)
    parts = (("conv_stem", "bn1", "blocks.0"), ("blocks.1",), ("blocks.2",), ("blocks.3", "blocks.4"), ("blocks.5",))
    return nn.ModuleList(nn.Sequential(*map(net.get_submodule, part)) for part in parts[:stages])
