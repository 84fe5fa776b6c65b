"""Ways to adapt a counter, the simplest first, and how the ones that learn are fitted.

A way changes a part of the decoder, or nothing, and may multiply what comes out by a factor. Fitting is Adam (Kingma
and Ba, ICLR 2015) on squares of the corrected pictures, drawn by chance from a seed, with the network's own loss; where
only a count is known, on the count's relative error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

import torch
from torch import Tensor

from likewise.adaptation.frozen_features import DecoderCounter
from likewise.adaptation.lessons import LessonTile, count_loss, square_loss

#: Pictures a step, at most, and squares drawn from each in a step.
PICTURES = 5
#: Share of the steps over which the rate rises at first; then it falls to nothing along a cosine.
WARM_UP = 0.2
#: The smallest factor is this, the largest its inverse: what is further off is not to be mended by one.
LEAST_FACTOR = 0.05


@dataclass(frozen=True)
class Way:
    """A part of the decoder that learns.

    Attributes:
        name: in a few words.
        layers: the last so many of the decoder's layers learn; None: all of them; 0: none.
        rate: of Adam.
        steps: of Adam.
    """

    name: str
    layers: int | None = 0
    rate: float = 0.0
    steps: int = 0

    @property
    def learns(self) -> bool:
        """Whether any layer does."""
        return self.layers != 0


#: The simplest first.
WAYS = (
    Way("nothing"),
    Way("the last layers", layers=2, rate=1e-3, steps=40),
    Way("the decoder", layers=None, rate=3e-4, steps=40),
)


def learning(network: DecoderCounter, way: Way) -> dict[str, Tensor]:
    """The parameters that learn, by their names in the network's state."""
    count = len(network.decoder)
    first = 0 if way.layers is None else count - way.layers
    return {
        f"decoder.{index}.{name}": parameter
        for index in range(first, count)
        for name, parameter in network.decoder[index].named_parameters()
    }


def fit(
    network: DecoderCounter,
    way: Way,
    lessons: Sequence[Sequence[LessonTile]],
    truths: Sequence[float],
    seed: int,
    go_on: Callable[[float], None],
) -> dict[str, Tensor]:
    """Teach a network's decoder, which keeps what it learns.

    Args:
        network: in eval mode: what it normalises by stays as it is.
        way: what of it learns, and how.
        lessons: the tiles of each picture.
        truths: how many there are in each.
        seed: of what is drawn.
        go_on: told before each step how much is done, in [0, 1); raises where it is to stop.

    Returns:
        What was learnt, by name, rounded to half precision, in which it is stored.
    """
    parameters = learning(network, way)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(parameters.values(), lr=way.rate)
    for parameter in parameters.values():
        parameter.requires_grad = True
    try:
        for step in range(way.steps):
            go_on(step / way.steps)
            optimiser.param_groups[0]["lr"] = way.rate * _rate(step, way.steps)
            optimiser.zero_grad()
            chosen = torch.randperm(len(lessons), generator=generator)[:PICTURES].tolist()
            for index in chosen:
                (_loss(network, lessons[index], truths[index], generator) / len(chosen)).backward()
            optimiser.step()
    finally:
        for parameter in parameters.values():
            parameter.requires_grad = False
            parameter.grad = None
    learnt = {name: parameter.detach().half().to(parameter.dtype) for name, parameter in parameters.items()}
    put(network, learnt)
    return learnt


def put(network: DecoderCounter, tensors: Mapping[str, Tensor]) -> None:
    """Put values into a network's parameters."""
    known = learning(network, Way("", layers=None))
    with torch.no_grad():
        for name, tensor in tensors.items():
            known[name].copy_(tensor)


def best_factor(counts: Sequence[float], truths: Sequence[float]) -> float:
    """The factor by which counts, all together, become the truths, drawn towards 1 by as much as pictures disagree.

    Its logarithm m becomes m * m^2 / (m^2 + s^2), where s is the standard error of the pictures' log(truth / count): a
    bias that is plain stays whole, and of one that may be chance little is left.

    Example:
        >>> best_factor([10, 20], [20, 40])
        2.0
        >>> round(best_factor([10, 20], [30, 20]), 2)
        1.27
    """
    total, truth = math.fsum(counts), math.fsum(truths)
    if total <= 0 or truth <= 0 or total == truth:
        return 1.0
    logs = [math.log(max(true, 0.5) / max(count, 0.5)) for count, true in zip(counts, truths, strict=True)]
    error = stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else 0.0
    found = math.log(truth / total)
    drawn = truth / total if error == 0 else math.exp(found**3 / (found**2 + error**2))
    return min(max(drawn, LEAST_FACTOR), 1 / LEAST_FACTOR)


def _rate(step: int, steps: int) -> float:
    warm = max(1, round(WARM_UP * steps))
    return min(1.0, (step + 1) / warm) * (1 + math.cos(math.pi * step / steps)) / 2


def _loss(network: DecoderCounter, tiles: Sequence[LessonTile], truth: float, generator: torch.Generator) -> Tensor:
    if tiles[0].points is None:
        return count_loss(network, tiles, truth)
    return square_loss(network, tiles[int(torch.randint(0, len(tiles), (1,), generator=generator))], generator)
