"""A counter by example that works out once what its decoder is given, and decodes it as often as it is asked.

While only the decoder learns, all that comes before it stays as it is. Seen through `FrozenFeatures`, a prepared
picture (`likewise.predict.PreparedImage`) that is asked the same again costs the decoder alone, and everything round
the network, tiles, regions and peaks, is what it always is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from likewise.inference import EvalProtocol
from likewise.predict.protocols import CounterConfig, ExemplarCounter, ExemplarFeatures, Prepared
from likewise.types import CountBatch, PromptBatch


@runtime_checkable
class DecoderCounter(ExemplarCounter, Protocol):
    """Counts by example with a decoder of which the rest knows nothing.

    Attributes:
        decoder: convolutions, the last of which gives the density; its input has the stride ``stride``.
        stride: pixels between two places of the decoder's input.
    """

    decoder: nn.Sequential
    stride: int

    def decoder_input(self, image: Tensor | Prepared, exemplar_features: Sequence[ExemplarFeatures]) -> Tensor:
        """What the decoder is given of pictures and of what their exemplars look like: (B, C, h, w)."""

    def decode(self, compared: Tensor, shape: torch.Size, first: int = 0) -> Tensor:
        """The density (B, 1, H, W) of pictures of this shape, of what the decoder's layer ``first`` is given."""

    def loss(self, density: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        """What separates a density from points: terms (B,) by name, and "total"."""


class HeldTile:
    """A part of a picture, and, once it was asked about, what the decoder is given of it.

    Attributes:
        pixels: (1, 3, H, W) RGB in [0, 1].
        compared: the decoder's input, and what the exemplars look like that it was made with.
        encoded: what its own exemplars look like.
    """

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels
        self.compared: tuple[Tensor, Sequence[ExemplarFeatures]] | None = None
        self.encoded: Sequence[ExemplarFeatures] | None = None

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.pixels.nbytes + (0 if self.compared is None else self.compared[0].nbytes)


class FrozenFeatures:
    """A counter by example that keeps what its decoder is given of every tile it prepares.

    A tile is always asked about with one prompt: that of the first time.

    Args:
        network: of which the decoder may change, and nothing else.
    """

    def __init__(self, network: DecoderCounter) -> None:
        self.network = network
        self.config: CounterConfig = network.config
        self.prompts = network.prompts
        self.protocols: Mapping[str, EvalProtocol] = {}

    @property
    def cell(self) -> int:
        """That of the network."""
        return self.network.cell

    def to(self, device: torch.device) -> Self:
        """The same, its network on a device."""
        self.network.to(device)
        return self

    def eval(self) -> Self:
        """The same, its network ready to be used."""
        self.network.eval()
        return self

    def named_parameters(self) -> Iterable[tuple[str, Tensor]]:
        """Those of the network."""
        return self.network.named_parameters()

    def prepare(self, image: Tensor) -> HeldTile:
        """A tile of which nothing is known yet."""
        return HeldTile(image)

    def answer(self, image: Any, prompt: PromptBatch) -> tuple[Tensor, Sequence[ExemplarFeatures]]:
        """As the network does."""
        if image.compared is None:
            prepared = self.network.prepare(image.pixels)
            described = self.network.encode_exemplars(prepared, prompt)
            image.compared = (self.network.decoder_input(prepared, described), described)
        compared, described = image.compared
        return self.network.decode(compared, image.pixels.shape), described

    def encode_exemplars(
        self, image: Any, prompt: PromptBatch, size: Tensor | None = None
    ) -> Sequence[ExemplarFeatures]:
        """As the network does."""
        if image.encoded is None:
            image.encoded = self.network.encode_exemplars(image.pixels, prompt, size)
        found: Sequence[ExemplarFeatures] = image.encoded
        return found

    def features_of(self, tensors: Mapping[str, Tensor]) -> ExemplarFeatures:
        """As the network does."""
        return self.network.features_of(tensors)

    def count_like(self, image: Any, exemplar_features: Sequence[ExemplarFeatures]) -> Tensor:
        """As the network does."""
        if image.compared is None:
            compared = self.network.decoder_input(image.pixels, exemplar_features)
            image.compared = (compared, exemplar_features)
        return self.network.decode(image.compared[0], image.pixels.shape)
