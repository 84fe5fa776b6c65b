"""Counting samples as the batches that networks train on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError
from likewise.types import CountBatch, NamedThings, PromptBatch


def collate(samples: Sequence[CountSample], *, text: bool = False, negatives: bool = False) -> CountBatch:
    """A batch of samples in network pixels; smaller pictures are padded with black at the right and the bottom.

    Args:
        samples: B samples.
        text: whether their names become part of the prompt.
        negatives: whether their boxes of what is not to be counted do.

    Raises:
        LikewiseError: `text` is wanted and a sample has no name.
    """
    nameless = [s.name for s in samples if s.prompt is None]
    if text and nameless:
        raise LikewiseError(f"{nameless[0]} has no prompt text; give its image a prompt or its category a name")
    height, width = (max(s.size[axis] for s in samples) for axis in (0, 1))
    image = torch.zeros(len(samples), 3, height, width, dtype=torch.uint8)
    for row, sample in zip(image, samples, strict=True):
        row[:, : sample.size[0], : sample.size[1]] = sample.image
    return CountBatch(
        image=image.float().div_(255.0),
        prompt=PromptBatch(
            exemplars=tuple(s.exemplars for s in samples),
            negatives=tuple(s.negatives for s in samples) if negatives else None,
            text=tuple(str(s.prompt) for s in samples) if text else None,
        ),
        points=tuple(s.points for s in samples),
        sizes=tuple(s.sizes() for s in samples),
        names=tuple(s.name for s in samples),
        things=_things(samples),
        boxes=tuple(s.boxes for s in samples),
    )


def _things(samples: Sequence[CountSample]) -> NamedThings | None:
    """What can be named in a batch, where every sample tells."""
    known = [s.things for s in samples if s.things is not None]
    if len(known) < len(samples):
        return None
    first = np.cumsum([0, *(len(t.names) for t in known)])
    return NamedThings(
        points=tuple(t.points for t in known),
        kinds=tuple(t.kinds + int(start) for t, start in zip(known, first, strict=False)),
        names=tuple(name for t in known for name in t.names),
        asked=tuple(name for t in known for name in t.asked),
    )
