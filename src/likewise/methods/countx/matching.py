"""Where in a picture is what a text names: features of places and vectors of texts in one space.

Shapes: B batch, C channels, h w grid.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.methods.countx.matching_losses import box_loss, naming_loss, place_loss, shown_loss
from likewise.ops.checks import without_autocast
from likewise.types import CountBatch, NamedThings
from likewise.vocabulary import unanswered

#: One of `Similarity.bias` is so much of the logits.
BIAS = 10.0


class Match(NamedTuple):
    """Unit vectors of places (B, C, h, w) and of texts (B, C), and what their cosine is scaled and shifted by.

    ``refined`` is what a second look makes of the logits (B, 1, h, w), where there is one, and ``boxes`` what places
    tell of boxes (B, 4, h, w), likewise.
    """

    places: Tensor
    texts: Tensor
    scale: Tensor
    bias: Tensor
    refined: Tensor | None = None
    boxes: Tensor | None = None

    def logits(self) -> Tensor:
        """(B, 1, h, w): how sure it is that each place shows what its picture's text says, on a second look if any."""
        return self.first() if self.refined is None else self.refined

    def first(self) -> Tensor:
        """`logits` as they are at first sight."""
        with without_autocast(self.places.device):
            cosine = torch.einsum("bchw,bc->bhw", self.places, self.texts)[:, None]
        return cosine * self.scale + self.bias

    def losses(self, batch: CountBatch, names: Tensor | None, stride: int) -> dict[str, Tensor]:
        """(B,) each: "match"; "second" and "box" where there was a second look, "naming" where things have ``names``.

        Args:
            batch: the truth.
            names: (K, C), what the batch's things go by.
            stride: pixels between two places.
        """
        found = {"match": self.place_loss(batch, stride)}
        if self.refined is not None:
            found["second"] = shown_loss(self.refined[:, 0], batch.points, batch.sizes, stride=stride)
        if self.boxes is not None and batch.boxes:
            found["box"] = box_loss(self.boxes, batch.points, batch.boxes, stride=stride)
        if names is not None and batch.things is not None:
            found["naming"] = self.naming_loss(names, batch.things, stride)
        return found

    def place_loss(self, batch: CountBatch, stride: int) -> Tensor:
        """(B,): how badly the places told the batch's wanted things from all else; see `place_loss`."""
        return place_loss(
            self.places, self.texts, batch.points, batch.sizes, stride=stride, scale=self.scale, bias=self.bias
        )

    def naming_loss(self, names: Tensor, things: NamedThings, stride: int) -> Tensor:
        """(B,): how badly everything in the pictures matches its own name, (K, C); see `naming_loss`."""
        wrong = torch.tensor(unanswered(things.names, things.asked), device=names.device)
        return naming_loss(self.places, names, things.points, things.kinds, wrong, stride=stride, scale=self.scale)


class Similarity(nn.Module):
    """Places and texts in one space."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = nn.Conv2d(width, width, 1)
        self.text = nn.Linear(width, width)
        # both in units in which a learning rate that suits the rest moves them
        self.log_scale = nn.Parameter(torch.tensor(math.log(16.0)))
        self.bias = nn.Parameter(torch.tensor(-4.0 / BIAS))

    def forward(self, features: Tensor, text: Tensor) -> Match:
        """Features (B, C, h, w) and texts (B, C); cosines are float32 under autocast too."""
        places = F.normalize(self.place(features).float(), dim=1)
        return Match(places, self.unit(text), self.log_scale.exp(), BIAS * self.bias)

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Let features and texts be compared as they are until training finds better."""
        width = self.text.in_features
        self.place.weight.copy_(torch.eye(width)[:, :, None, None])
        self.text.weight.copy_(torch.eye(width))
        for layer in (self.place, self.text):
            layer.bias.zero_()  # type: ignore[union-attr]  # both have one

    def unit(self, text: Tensor) -> Tensor:
        """Texts (B, C) as unit vectors of the common space."""
        return F.normalize(self.text(text).float(), dim=1)
