"""Any timm network as a trunk: pictures in, one map of features out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor, nn

from likewise.errors import LikewiseError, nearest
from likewise.nn.folded import fold_norms


class SpatialTrunk(nn.Module):
    """A timm network without its head, asked for the map that the head would pool.

    Args:
        name: timm's, of a network whose last features are a map (B, C, h, w): ``resnet50``, ``mobilenetv2_100``, ...
        folded: fold every batch norm into the convolution before it, so that a picture's features never depend on its
            batch, in training either. Only for networks whose layers stand in the order in which they run.
        same_padding: pad as TensorFlow does, for weights that come from there.

    Raises:
        LikewiseError: timm has no such network, or its last features are no map.
    """

    def __init__(self, name: str, *, folded: bool = False, same_padding: bool = False) -> None:
        super().__init__()
        self.name = name
        self.folded = folded
        self.same_padding = same_padding
        self.net: Any = _headless(name, same_padding)
        if folded:
            fold_norms(self.net.eval())
        self.channels = int(self.net.num_features)
        if not self._gives_a_map():
            raise LikewiseError(
                f"{name} does not give a map of features (B, {self.channels}, h, w) of pictures of any size; expected "
                "a convolutional network, such as resnet50 or mobilenetv2_100"
            )

    def forward(self, image: Tensor) -> Tensor:
        """Features (B, C, h, w) of normalised pictures (B, 3, H, W)."""
        features: Tensor = self.net.forward_features(image)
        return features

    def _gives_a_map(self) -> bool:
        if self.net.pretrained_cfg.get("fixed_input_size"):
            return False
        was = self.net.training
        with torch.no_grad():  # in eval mode: looking must not change a norm's statistics
            shape = self.net.eval().forward_features(torch.zeros(1, 3, 64, 64)).shape
        self.net.train(was)
        return len(shape) == 4 and shape[1] == self.channels

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Copy weights under timm's names for the network, whose head is left out.

        Raises:
            LikewiseError: names that do not fit.
        """
        source = _headless(self.name, self.same_padding).eval()
        wanted = source.state_dict()
        missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
        if missing:
            raise LikewiseError(f"the weights are not of {self.name}: {len(missing)} are missing, such as {missing[0]}")
        source.load_state_dict({name: state.get(name, tensor) for name, tensor in wanted.items()}, strict=True)
        if self.folded:
            fold_norms(source)
        self.net.load_state_dict(source.state_dict(), strict=True)


def imagenet_weights(name: str) -> dict[str, Tensor]:
    """The weights that timm publishes for a network, downloaded on first use: its names -> tensors."""
    state: dict[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    return state


def _headless(name: str, same_padding: bool) -> Any:
    if not timm.is_model(name):
        raise LikewiseError(f"timm has no network {name!r}{nearest(name, timm.list_models())}")
    padding: dict[str, Any] = {"pad_type": "same"} if same_padding else {}
    return timm.create_model(name, pretrained=False, num_classes=0, global_pool="", **padding)
