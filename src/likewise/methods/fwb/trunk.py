"""Trunks that keep stride 8: two levels of features, early ones at stride 4 and deep ones at stride 8.

Where the ordinary network halves the resolution again, these keep it and space their kernels' taps out instead
(dilation 2, then 4). The deep features are signed: the last layer has no ReLU.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import resnet101
from torchvision.models.resnet import Bottleneck
from torchvision.models.vgg import cfgs, make_layers

from likewise.nn.trunks import load_mobilenetv2, mobilenetv2_stages

DilatedName = Literal["resnet101", "vgg16", "mobilenetv2"]
Norms = Literal["batch", "fixed"]

#: The first layer of VGG's ``features`` behind the second pooling, and the last that is used.
VGG_CUT, VGG_END = 14, 42
#: Share of each batch in the statistics that ResNet's norms keep, as published; VGG's is torch's own, 0.1.
RESNET_MOMENTUM = 0.05


class DilatedTrunk(nn.Module):
    """A picture as early features at stride 4 and deep, signed ones at stride 8.

    Args:
        name: "resnet101" and "vgg16" (with batch norm) under torchvision's names for their parts; "mobilenetv2" with
            its norms folded, whose deep features are those of its last three stages side by side.
        norms: whether batch norms train on each batch's statistics, and follow them, or keep theirs.
    """

    def __init__(self, name: DilatedName, norms: Norms = "batch") -> None:
        super().__init__()
        self.name, self.norms = name, norms
        make = {"resnet101": _resnet101, "vgg16": _vgg16, "mobilenetv2": _mobilenetv2}[name]
        parts = make()
        self.early, self.late = parts[:2]
        self.channels: tuple[int, int] = parts[2]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W), normalised -> (B, C_early, H / 4, W / 4), (B, C_late, H / 8, W / 8), rounded up."""
        early = self.early(x)
        return early, self.late(early)

    def train(self, mode: bool = True) -> DilatedTrunk:
        """Training changes the weights, and the norms' statistics unless those are fixed."""
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d) and self.norms == "fixed":
                part.eval()
        return self

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Copy ImageNet weights under torchvision's (MobileNetV2: timm's) names; the classifier's are not needed."""
        if self.name == "mobilenetv2":
            stages = nn.ModuleList([*self.early.children(), *self.late.children()])
            load_mobilenetv2(stages, state)
            return
        own = {name: tensor for name, tensor in trunk_keys(state, self.name).items() if name in self.state_dict()}
        self.load_state_dict(own, strict=True)


def trunk_keys(state: Mapping[str, Tensor], name: DilatedName) -> dict[str, Tensor]:
    """Torchvision's names of a ResNet's or VGG's parts -> this module's; other names stay."""
    return {_level(key, name): tensor for key, tensor in state.items()}


def _level(key: str, name: DilatedName) -> str:
    first = key.split(".", maxsplit=1)[0]
    if name == "vgg16" and first == "features":
        inner = key.removeprefix("features.")
        return f"{'early' if int(inner.split('.')[0]) < VGG_CUT else 'late'}.{inner}"
    if name == "resnet101" and first in ("conv1", "bn1", "layer1"):
        return f"early.{key}"
    return f"late.{key}" if name == "resnet101" and first.startswith("layer") else key


def _resnet101() -> tuple[nn.Module, nn.Module, tuple[int, int]]:
    net = resnet101(weights=None, replace_stride_with_dilation=[False, True, True])
    net.layer4[-1] = _SignedBottleneck(2048, 512, dilation=4)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = RESNET_MOMENTUM
    parts = dict(net.named_children())
    early, late = ("conv1", "bn1", "relu", "maxpool", "layer1"), ("layer2", "layer3", "layer4")
    return _named(parts, early), _named(parts, late), (256, 2048)


class _SignedBottleneck(Bottleneck):
    """A ResNet block without the ReLU at its end."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        summed: Tensor = out + x
        return summed


def _vgg16() -> tuple[nn.Module, nn.Module, tuple[int, int]]:
    layers = make_layers(cfgs["D"], batch_norm=True)  # the whole network has 120 million parameters more
    pools = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    for index, stride in zip(pools[:-1], (2, 2, 2, 1), strict=True):
        layers[index] = nn.MaxPool2d(3, stride, padding=1)
    for start, dilation in ((pools[2], 2), (pools[3], 4)):
        for layer in layers[start + 1 : start + 10]:
            if isinstance(layer, nn.Conv2d):
                layer.dilation, layer.padding = (dilation, dilation), (dilation, dilation)
    late = layers[VGG_CUT:VGG_END]
    late.add_module("last", nn.MaxPool2d(3, 1, padding=1))
    return layers[:VGG_CUT], late, (128, 512)


def _mobilenetv2() -> tuple[nn.Module, nn.Module, tuple[int, int]]:
    stages, infos = mobilenetv2_stages(deep=True, keep_stride=8)
    late = _Joined(*stages[2:])
    return nn.Sequential(*stages[:2]), late, (infos[1].channels, sum(info.channels for info in infos[2:]))


class _Joined(nn.Sequential):
    """What each of the stages gives, side by side: (B, C_1 + C_2 + ..., h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        """Through one stage after another."""
        seen = []
        for stage in self:
            x = stage(x)
            seen.append(x)
        return torch.cat(seen, dim=1)


def _named(parts: Mapping[str, nn.Module], names: tuple[str, ...]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, parts[name]) for name in names))
