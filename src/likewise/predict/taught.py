"""What a counter was taught by corrected pictures (`likewise.adapt`): a record that travels with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from likewise.errors import LikewiseError


@dataclass(frozen=True)
class TaughtPicture:
    """One corrected picture.

    Attributes:
        name: its file's name, or its place in the list where it has none.
        truth: how many there are, in the picture or in the part of it that was reviewed.
        before: what the counter counted there before.
        after: what it counts there when everything was learnt from the other pictures: an honest count, as of a picture
            that is new.
        kind: what was corrected: "points" or "count", with " in a region" where a part was reviewed.
    """

    name: str
    truth: float
    before: float
    after: float
    kind: str


@dataclass(frozen=True)
class CandidateError:
    """How far off a way to adapt is on pictures that it did not learn from.

    Attributes:
        name: of the way.
        error: mean of |count - truth| / max(truth, 1) over the corrected pictures, each left out in turn.
        spread: standard error of that mean.
    """

    name: str
    error: float
    spread: float


@dataclass(frozen=True, repr=False)
class Taught:
    """What corrected pictures taught a counter, and how it was found out.

    Attributes:
        base: name of the model as it was before ...
        sha256: ... and the hash of its tensors (`likewise.weights.tensors_sha256`).
        chosen: the way to adapt that was kept.
        candidates: all that were compared, the simplest first; the first is to change nothing.
        pictures: what was learnt from.
        without_boxes: before and after, of pictures counted by the examples of the others; empty: not measured.
        changed: names of the network's tensors that were changed.
        seed: of all chance.
        version: of likewise.
        stopped: why not everything was tried; empty: it was.

    Raises:
        LikewiseError: no candidates, a choice that is not among them, or numbers that are not finite.
    """

    base: str
    sha256: str
    chosen: str
    candidates: tuple[CandidateError, ...]
    pictures: tuple[TaughtPicture, ...]
    without_boxes: tuple[CandidateError, ...] = ()
    changed: tuple[str, ...] = ()
    seed: int = 0
    version: str = ""
    stopped: str = ""

    def __post_init__(self) -> None:
        names = [each.name for each in self.candidates]
        if self.chosen not in names:
            raise LikewiseError(f"taught: {self.chosen!r} was chosen, of {', '.join(names) or 'nothing'}")
        numbers = [n for p in self.pictures for n in (p.truth, p.before, p.after)]
        numbers += [n for c in (*self.candidates, *self.without_boxes) for n in (c.error, c.spread)]
        if not all(math.isfinite(n) and n >= 0 for n in numbers):
            raise LikewiseError("taught: a count or an error is not a number from 0 on")

    @property
    def before(self) -> float:
        """Mean relative error on the corrected pictures before anything was learnt."""
        return self.candidates[0].error

    @property
    def after(self) -> float:
        """The same of what was chosen, each picture counted by what the others taught."""
        return next(each.error for each in self.candidates if each.name == self.chosen)

    def __repr__(self) -> str:
        many = f"{len(self.pictures)} picture{'s' * (len(self.pictures) != 1)}"
        return f"<taught {self.base} by {many}: {self.chosen}, error {self.before:.3f} -> {self.after:.3f}>"
