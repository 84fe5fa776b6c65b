"""Endless training data in an order that depends on a seed and a position alone, so that a run can be continued."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError

Sample = TypeVar("Sample")
Transform = Callable[[CountSample, np.random.Generator], CountSample]

#: Positions of an endless data set; a sampler that wants a length gets this one.
ENDLESS = 2**31


class MixedDataset(Dataset[CountSample]):
    """Samples drawn with replacement from several data sets; position i is the same sample every time.

    Args:
        datasets: at least one, none empty.
        weights: how often each is drawn, in any unit; None: by their sizes.
        seed: of every draw.
        transform: what is done to a sample, with randomness of its own position.
        length: what `len` says; positions beyond it can be read all the same.

    Raises:
        LikewiseError: no data set, an empty one, weights that do not fit.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset[CountSample]],
        weights: Sequence[float] | None = None,
        seed: int = 0,
        transform: Transform | None = None,
        *,
        length: int = ENDLESS,
    ) -> None:
        self.datasets = tuple(datasets)
        self.sizes = tuple(len(d) for d in self.datasets)  # type: ignore[arg-type]  # map-style sets have a length
        if not self.sizes or 0 in self.sizes:
            raise LikewiseError(f"expected at least one data set and none empty, got sizes {self.sizes}")
        shares = np.asarray(self.sizes if weights is None else weights, np.float64)
        if shares.shape != (len(self.sizes),) or not (shares >= 0).all() or not shares.sum() > 0:
            raise LikewiseError(f"weights = {weights!r}: expected {len(self.sizes)} numbers >= 0, not all 0")
        self.shares = shares / shares.sum()
        self.seed = seed
        self.transform = transform
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> CountSample:
        rng = np.random.default_rng((self.seed, index))
        source = int(rng.choice(len(self.datasets), p=self.shares))
        sample = self.datasets[source][int(rng.integers(self.sizes[source]))]
        return sample if self.transform is None else self.transform(sample, rng)


class ShuffledDataset(Dataset[Sample]):
    """One data set over and over, every epoch in a new order; position i is the same sample every time.

    Args:
        dataset: not empty.
        seed: of the orders and of the transform.
        transform: as in `MixedDataset`.
        length: what `len` says.

    Raises:
        LikewiseError: the data set is empty.
    """

    def __init__(
        self,
        dataset: Dataset[Sample],
        seed: int = 0,
        transform: Callable[[Sample, np.random.Generator], Sample] | None = None,
        *,
        length: int = ENDLESS,
    ) -> None:
        self.dataset = dataset
        self.size = len(dataset)  # type: ignore[arg-type]  # map-style sets have a length
        if not self.size:
            raise LikewiseError("the data set is empty; expected at least one sample")
        self.seed = seed
        self.transform = transform
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        epoch, place = divmod(index, self.size)
        sample = self.dataset[int(_order(self.seed, epoch, self.size)[place])]
        return sample if self.transform is None else self.transform(sample, np.random.default_rng((self.seed, index)))


class TransformedDataset(Dataset[Sample]):
    """One data set, once and in order, through a transform; position i is the same sample every time.

    Args:
        dataset: any.
        seed: of the transform.
        transform: as in `MixedDataset`.
    """

    def __init__(
        self, dataset: Dataset[Sample], seed: int, transform: Callable[[Sample, np.random.Generator], Sample]
    ) -> None:
        self.dataset = dataset
        self.seed = seed
        self.transform = transform

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # map-style sets have a length

    def __getitem__(self, index: int) -> Sample:
        return self.transform(self.dataset[index], np.random.default_rng((self.seed, index)))


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    # a third number keeps this apart from the generators of the samples themselves
    return np.random.default_rng((seed, epoch, 1)).permutation(size)
