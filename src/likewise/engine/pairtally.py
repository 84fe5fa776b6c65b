"""PairTally's protocol: pictures that show two kinds, each asked for in turn.

Source: Nguyen, Huang, Hoai, "Can Current AI Models Count What We Mean, Not What They See? A Benchmark and Systematic
Evaluation", DICTA 2025, and its repository's evaluation: every picture is asked for its one kind and for its other
one, by name or with three exemplars, and the errors of all questions are put together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from likewise.engine.count_eval import Counted, Counts
from likewise.engine.kinds import Kinds, KindShown, PromptByKind, each_of, first_exemplars, prepared
from likewise.errors import LikewiseError
from likewise.metrics import CountErrors
from likewise.vocabulary import base_name

Pair = Literal["inter", "intra"]
PAIRS: Final[tuple[Pair, ...]] = ("inter", "intra")


@dataclass(frozen=True)
class PairTally:
    """How well a counter counts the kind it is asked for beside others.

    Attributes:
        pictures: how many pictures with several named kinds were asked about.
        counted: a question each.
        pairs: of each question, whether the kinds beside it have other names ("inter") or the name of one of them is
            the same but for its adjectives ("intra"): red and blue buttons, but red and white blood cells, too, which
            are two sorts of cells. More than names is not known here of what is alike.
        errors: (picture, reason) of what could not be counted.
    """

    pictures: int
    counted: tuple[Counted, ...]
    pairs: tuple[Pair, ...]
    errors: tuple[tuple[str, str], ...] = ()

    def of(self, pair: Pair | None) -> dict[str, float]:
        """MAE, RMSE, NAE, SRE and ``prompts``, how many, of the questions of one sort of pair; None: of all.

        With c the count and t the truth: MAE = mean |c - t|, RMSE = sqrt(mean (c - t)^2), NAE = mean |c - t| / t.
        """
        chosen = [c for c, p in zip(self.counted, self.pairs, strict=True) if pair in (None, p)]
        return {"prompts": len(chosen), **CountErrors([c.count for c in chosen], [c.truth for c in chosen]).summary()}

    def to_dict(self) -> dict[str, Any]:
        """All as JSON values: ``all``, ``inter``, ``intra``, and ``per_image``, a question each."""
        numbers = {pair or "all": self.of(pair) for pair in (None, *PAIRS)}
        return {
            "pictures": self.pictures,
            **{name: {k: v if math.isfinite(v) else None for k, v in held.items()} for name, held in numbers.items()},
            "per_image": [vars(c) | {"pair": p} for c, p in zip(self.counted, self.pairs, strict=True)],
            "errors": [{"image": image, "error": error} for image, error in self.errors],
        }


def pair_tally(
    counter: Counts,
    kinds: Kinds,
    limit: int | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PairTally:
    """Ask every picture that shows several named kinds for each of them.

    Args:
        counter: told by name, if it takes names, else with up to three exemplars of the kind.
        kinds: of a data set. PairTally's pictures show two; those with more are asked for all of them.
        limit: at most this many pictures, the first ones.
        progress: called after each question with how many are done and how many there are.

    Raises:
        LikewiseError: no picture shows two named kinds.
    """
    ask = PromptByKind(counter, kinds)
    several = [each for each in kinds.shown if len(kinds.in_picture(each.picture)) > 1 and ask.can_ask(each)]
    pictures = list(dict.fromkeys(each.picture for each in several))[:limit]
    if not pictures:
        raise LikewiseError("no picture shows two named kinds of thing, of which one could be asked for beside another")
    chosen = [each for each in several if each.picture in set(pictures)]
    found: list[tuple[Counted, Pair]] = []

    def question(each: KindShown) -> None:
        sample = kinds.dataset[each.index]
        result = ask.count(prepared(sample), each.kind, first_exemplars(sample))
        counted = Counted(each.picture, each.kind, sample.count, float(result.count), float(result.seconds))
        found.append((counted, _pair(each.kind, kinds.in_picture(each.picture))))

    errors = each_of(chosen, question, progress)
    return PairTally(len(pictures), tuple(c for c, _ in found), tuple(p for _, p in found), errors)


def _pair(kind: str, shown: frozenset[str]) -> Pair:
    return "intra" if any(base_name(kind) == base_name(other) for other in shown - {kind}) else "inter"
