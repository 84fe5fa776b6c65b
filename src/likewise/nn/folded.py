"""Networks whose batch norms are folded into their convolutions, and what comes after a norm with them."""

from __future__ import annotations

from typing import Any

from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from likewise.ops.fused import ConvActivation, conv2d, same_padding

#: Activations that a convolution takes over.
_ACTIVATIONS: dict[type[nn.Module], ConvActivation] = {nn.Identity: "none", nn.ReLU: "relu", nn.ReLU6: "relu6"}
#: What a convolution is besides its channels and weights.
_KEPT = ("kernel_size", "stride", "padding", "dilation", "groups")


class FoldedConv2d(nn.Conv2d):
    """A convolution that is followed by an activation, in one pass over the map (`likewise.ops.fused`).

    Args:
        conv: its weights are shared; timm's `Conv2dSame` keeps TensorFlow's padding. Not with another padding mode
            than zeros.
        activation: what follows.
    """

    def __init__(self, conv: nn.Conv2d, activation: ConvActivation) -> None:
        kept: dict[str, Any] = {name: getattr(conv, name) for name in _KEPT}
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            **kept,
            bias=conv.bias is not None,
            device="meta",  # only until the given parameters are put in
        )
        self.weight, self.bias = conv.weight, conv.bias
        self.same = isinstance(conv, Conv2dSame)
        self.border: tuple[int, ...] = (0, 0) if isinstance(conv.padding, str) else conv.padding
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, h, w)."""
        weight, padding = self.weight, self.border
        if self.same:
            weight, padding = same_padding(weight, x.shape[2:], self.stride)
        return conv2d(
            x,
            weight,
            self.bias,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            groups=self.groups,
            activation=self.activation,
        )


def fold_norms(module: nn.Module) -> None:
    """Fold every batch norm, and the activation that is part of it, into the convolution before it, in place.

    An activation that a convolution cannot take over stays where the norm was. Exact in eval mode. Only for modules
    whose children stand in the order in which they run.
    """
    conv_name = ""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            conv_name = name
        elif isinstance(child, nn.BatchNorm2d):
            # Fusing takes the bias for a constant where the convolution had none; here it learns.
            fused = fuse_conv_bn_eval(getattr(module, conv_name), child).requires_grad_()
            act = getattr(child, "act", nn.Identity())
            taken = _ACTIVATIONS.get(type(act)) if _is_usual(fused) else None
            setattr(module, conv_name, fused if taken is None else FoldedConv2d(fused, taken))
            setattr(module, name, act if taken is None else nn.Identity())
        else:
            fold_norms(child)


def _is_usual(conv: nn.Conv2d) -> bool:
    """Whether `FoldedConv2d` computes what the convolution does."""
    if isinstance(conv, Conv2dSame):
        return conv.dilation == (1, 1)
    return type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
