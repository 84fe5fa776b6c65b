"""From what familiarity on a recogniser takes pictures for one of its classes, learnt from pictures that show them.

The threshold is the one that nineteen in twenty of those pictures pass, with the margin that so few of them ask for
(conformal prediction: Vovk et al., 2005). Pictures of other things play no part in it: they tell how well it works.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from scipy.stats import rankdata

from likewise.errors import LikewiseError
from likewise.inference import OpenSet
from likewise.predict import Recognizer

#: Share of pictures that show one of the classes, which are taken for one.
ACCEPTED = 0.95
#: From fewer pictures than this, nothing is learnt.
FEWEST = 20


def fit_open_set(known: Sequence[float]) -> OpenSet:
    """The threshold that `ACCEPTED` of all pictures like these pass.

    Args:
        known: familiarity of pictures that show one of the classes, none of which the weights were trained on.

    Raises:
        LikewiseError: too few.

    Example:
        >>> fit_open_set([float(i) for i in range(1, 101)])
        OpenSet(threshold=5.0)
    """
    check_enough(len(known))
    below = math.floor((1 - ACCEPTED) * (len(known) + 1) + 1e-9)
    return OpenSet(round(sorted(known)[max(below, 1) - 1], 5))


def check_enough(pictures: int) -> None:
    """See that there are enough pictures to learn from.

    Raises:
        LikewiseError: there are not.
    """
    if pictures < FEWEST:
        raise LikewiseError(f"{pictures} pictures are too few to learn from; expected at least {FEWEST}")


def auroc(known: Sequence[float], unknown: Sequence[float]) -> float:
    """How well known and unknown pictures are told apart: how often one known is above one unknown; 1/2 is chance."""
    ranks = rankdata([*known, *unknown])[: len(known)]
    return float((ranks.sum() - len(known) * (len(known) + 1) / 2) / (len(known) * len(unknown)))


def familiarities(
    recognizer: Recognizer, files: Sequence[Path], tell: Callable[[str], object] | None = None
) -> list[float]:
    """The familiarity of each picture that can be read; the others are told of."""
    found = []
    for file in files:
        try:
            found.append(recognizer.recognize(file).familiarity or 0.0)
        except LikewiseError as error:
            if tell is not None:
                tell(f"left out: {error}")
    return found
