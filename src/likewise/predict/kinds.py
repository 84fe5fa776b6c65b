"""Several kinds of thing in one picture: each place belongs to the kind that answers most strongly there.

Every kind is looked at by itself, at the scale of its own examples. Where two of them claim many of the same places,
both are looked at again with the examples of the others as look-alikes; kinds that are unlike are counted better
without. Then peaks of different kinds that are of one place contend: the one with most density round it stays, and the
density of the others there is taken out. So no place is counted twice, and no kind is counted as more than it is by
itself.

Convention
----------
Places of `Claims` are x y in pixels of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from likewise.ops.density.peaks import peak_basins
from likewise.predict.densities import Densities, ReferenceExemplars, ScaledImage
from likewise.predict.localize import BASIN, CLEAR, Peaks
from likewise.predict.prepared_image import PreparedImage
from likewise.predict.prompts import in_order
from likewise.predict.reading import Look, Reader, Reading, cell_of, look
from likewise.results import CountResult
from likewise.results.kinds import Confusion
from likewise.types import Prompt

#: Peaks of two kinds are of one place where they are nearer than this share of the smaller kind's size.
PLACE = 0.5
#: Kinds that claim more than this share of each other's places are looked at again, told of each other.
DISPUTED = 0.1
#: A place is not decided where the second kind answers with more than this share of the first one's strength.
NEARLY = 0.5
#: Two kinds can hardly be told apart where more than this share of their places is not decided.
CONFUSED = 0.2


@dataclass(frozen=True, eq=False)
class KindQuestion:
    """How a picture is asked for one kind.

    Attributes:
        prompt: in the picture.
        references: examples in other pictures.
        reader: turns the picture at a scale into a density and its peaks.
    """

    prompt: Prompt
    references: ReferenceExemplars
    reader: Reader


@dataclass(frozen=True, eq=False)
class Claims:
    """Where a kind may be.

    Attributes:
        places: (N, 2), the peaks of its density.
        scores: (N,), the density round each.
        shown: (N,) bool, which of them are its examples.
        side: sqrt(width x height) of one, in pixels of the picture.
    """

    places: np.ndarray
    scores: np.ndarray
    shown: np.ndarray
    side: float

    @classmethod
    def of(cls, peaks: Peaks, side: float, pixels: Tensor) -> Claims:
        """Those of peaks on a grid, whose cells are so many pixels (2,) wide and high; ``side`` is in cells."""
        places = (peaks.points * pixels).double().numpy()
        return cls(places, peaks.scores.numpy(), peaks.shown.numpy(), side * float(pixels.prod().sqrt()))

    def kept(self, which: np.ndarray) -> Claims:
        """Some of them (N,)."""
        return Claims(self.places[which], self.scores[which], self.shown[which], self.side)

    def mirrored(self, width: int) -> Claims:
        """The same in the mirror image of a picture."""
        return replace(self, places=np.array([width, 0.0]) + self.places * np.array([-1.0, 1.0]))

    def strength(self, other: Claims) -> np.ndarray:
        """(N,): how strongly another kind answers at each of these places; 0 where it does not."""
        found = np.zeros(len(self.places))
        for mine, theirs in enumerate(_neighbours(self, other)):
            found[mine] = other.scores[theirs].max(initial=0.0)
        return found


@dataclass(frozen=True, eq=False)
class KindReader:
    """What of a picture is of a kind: the density, without what belongs to the others.

    Attributes:
        reader: reads the kind by itself.
        rivals: places that belong to the others.
        first: what was read already, of the first look; None: nothing.
        width: of the picture, pixels.
    """

    reader: Reader
    rivals: tuple[Claims, ...]
    first: Reading | None
    width: int

    def read(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> Reading:
        """The density and its peaks, of what is of this kind."""
        reading = self.first or self.reader.read(scaled, prompt, references, side)
        return _without(reading, scaled, self.rivals, side)

    def count(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> float:
        """The sum of the density of what is of this kind, of a look that is not the first."""
        return replace(self, first=None).read(scaled, prompt, references, side).answer.count

    def mirrored(self) -> KindReader:
        """The same of the picture's mirror image."""
        turned = tuple(claims.mirrored(self.width) for claims in self.rivals)
        return KindReader(self.reader.mirrored(), turned, None, self.width)


def count_kinds(
    densities: Densities,
    image: PreparedImage,
    questions: Mapping[str, tuple[KindQuestion, KindQuestion]],
    finish: Callable[[KindQuestion, Reader], CountResult],
) -> tuple[dict[str, CountResult], tuple[Confusion, ...]]:
    """Count several kinds, each place as one of them.

    Args:
        densities: of the network.
        image: the picture.
        questions: of each kind, how it is asked for alone, and told of the others.
        finish: makes a result of how a kind was asked for, and of what reads it.

    Returns:
        The result of each kind, in the order of the questions, and which of them can hardly be told apart.
    """
    asked = {name: alone for name, (alone, _) in questions.items()}
    looks = {name: _look(densities, image, question) for name, question in asked.items()}
    alone = {name: _claims(seen) for name, seen in looks.items()}
    for pair in combinations(questions, 2):
        if _disputed(alone[pair[0]], alone[pair[1]]) > DISPUTED:
            asked |= {name: questions[name][1] for name in pair}
    looks |= {name: _look(densities, image, each) for name, each in asked.items() if each is not questions[name][0]}
    claims = {name: _claims(seen) for name, seen in looks.items()}
    mine = settle(claims)
    results: dict[str, CountResult] = {}
    for name, question in asked.items():
        rivals = tuple(mine[other] for other in claims if other != name)
        results[name] = finish(question, KindReader(question.reader, rivals, looks[name].reading, image.width))
    return results, confusions(claims, mine)


def settle(claims: Mapping[str, Claims]) -> dict[str, Claims]:
    """The places of each kind, when those that several claim are given to the one that answers most strongly.

    A place that is an example belongs to its kind. The order of the kinds and their names do not matter.
    """
    order = sorted(claims, key=lambda name: (-float(claims[name].scores.sum()), claims[name].places.tolist()))
    ranked = sorted(
        (not shown, -score, number, index)
        for number, name in enumerate(order)
        for index, (shown, score) in enumerate(zip(claims[name].shown, claims[name].scores, strict=True))
    )
    near = {
        (first, second): _neighbours(claims[order[first]], claims[order[second]])
        for first in range(len(order))
        for second in range(len(order))
        if first != second
    }
    taken = [np.zeros(len(claims[name].places), dtype=bool) for name in order]
    for _, _, number, index in ranked:
        others = (other for other in range(len(order)) if other != number)
        taken[number][index] = not any(taken[other][near[number, other][index]].any() for other in others)
    return {name: claims[name].kept(taken[order.index(name)]) for name in claims}


def confusions(claims: Mapping[str, Claims], mine: Mapping[str, Claims]) -> tuple[Confusion, ...]:
    """Kinds that can hardly be told apart: many places of the one look nearly as much like the other.

    Args:
        claims: of each kind.
        mine: what of them is its own, see `settle`.
    """
    found = []
    for first, second in combinations(claims, 2):
        undecided, places = 0, 0
        for one, other in ((first, second), (second, first)):
            clear = mine[one].kept(mine[one].scores >= CLEAR)
            undecided += int((clear.strength(claims[other]) > NEARLY * clear.scores).sum())
            places += len(clear.places)
        if places and undecided / places > CONFUSED:
            found.append(Confusion((first, second), undecided / places))
    return tuple(found)


def _look(densities: Densities, image: PreparedImage, question: KindQuestion) -> Look:
    asked = in_order(question.prompt).tightened(densities.inference.margin)
    return look(densities, image, asked, question.references, question.reader)


def _claims(seen: Look) -> Claims:
    return Claims.of(seen.reading.peaks, seen.side, seen.to_pixels)


def _disputed(first: Claims, second: Claims) -> float:
    """How much of their density two kinds claim both, as a share of that of the one with less of it."""
    least = min(first.scores.sum(), second.scores.sum())
    both = [np.minimum(a.scores, a.strength(b)).sum() for a, b in ((first, second), (second, first))]
    return float(max(both) / least) if least > 0 else 0.0


def _neighbours(mine: Claims, other: Claims) -> Sequence[list[int]]:
    """For each place of a kind, the places of another that are the same one."""
    if not len(mine.places) or not len(other.places):
        return [[] for _ in mine.places]
    reach = PLACE * min(mine.side, other.side)
    return [sorted(near) for near in cKDTree(other.places).query_ball_point(mine.places, reach)]


def _without(reading: Reading, scaled: ScaledImage, rivals: Sequence[Claims], side: float) -> Reading:
    """A reading without what belongs to other kinds: peaks at their places, and density round those."""
    peaks, whole = reading.peaks, reading.answer.whole
    height, width = whole.shape
    pixels = torch.from_numpy(cell_of(whole, scaled.image))
    own, cell = Claims.of(peaks, side, pixels), float(pixels.prod().sqrt())
    lost, theirs = torch.zeros(len(peaks.points), dtype=torch.bool), torch.zeros(height, width, dtype=torch.bool)
    for each in rivals:
        lost |= torch.tensor([bool(near) for near in _neighbours(own, each)], dtype=torch.bool)
        places = torch.from_numpy(each.places).float() / pixels
        theirs |= peak_basins(places, (height, width), BASIN * each.side / cell) >= 0
    kept = peaks.of(~lost)
    gone = (kept.owner == 0) & (theirs | (peaks.owner > 0))
    answer = replace(reading.answer, whole=whole.masked_fill(gone, 0.0))
    return reading._replace(answer=answer, peaks=kept, other_colours=0)  # what is of another colour is of another kind
