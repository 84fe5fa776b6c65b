"""Several kinds of thing counted at once, as typed: ``--box red=X0,Y0,X1,Y1``, ``--like red=REF.jpg:...``, names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from likewise.cli.folder_run import Job, Output
from likewise.cli.frames import Question
from likewise.cli.inputs import parse_box, parse_like
from likewise.cli.own_pixels import own_pixels
from likewise.cli.regions import RegionsAsked, region_line
from likewise.errors import LikewiseError
from likewise.types import UNTRUSTED, Box

if TYPE_CHECKING:
    from PIL import Image

    from likewise.predict import Counter, NamedCounter
    from likewise.predict.kind_prompts import KindPrompts, KindReferences
    from likewise.results import KindsResult

#: Columns that a table has for each kind, followed by its name.
COLUMNS = ("count", "low", "high", "untrusted", "points")
#: What a question tells of one kind's examples, which are told of each instead.
SHOWN = ("exemplars", "negatives", "text", "region", "like")
#: A kind's name before what shows it: no letter of it belongs to a path.
_NAMED = re.compile(r"([^=:/\\]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """What shows a kind, as typed; its name is "" where none was.

    Attributes:
        boxes: in every picture.
        like: in other pictures.
        text: its name, where it is told by that.
    """

    boxes: tuple[Box, ...] = ()
    like: tuple[tuple[str, Box], ...] = ()
    text: str | None = None


def parse_shown(box: Sequence[str], like: Sequence[str], text: Sequence[str]) -> dict[str, Shown]:
    """Kinds by their names, in the order in which they were typed; one kind without a name is "".

    Raises:
        LikewiseError: a box, or a box in another picture, that is none; some have a name and some have none; names as
            ``--text`` beside examples by name; "except" in a name.
    """
    boxes = [_in_two(each) for each in box]
    pairs = [("", each) if Path(each.rpartition(":")[0]).is_file() else _in_two(each) for each in like]
    from likewise.vocabulary import listed  # what it is built from takes long to import

    texts = [name for each in text for name in listed(each)]
    names = dict.fromkeys(name for name, _ in (*boxes, *pairs))
    if len(names) > 1 and "" in names:
        option, bare = next((o, v) for o, held in (("--box", boxes), ("--like", pairs)) for n, v in held if not n)
        raise LikewiseError(f"{option} {bare}: of which kind? Others have a name: expected {option} KIND={bare}")
    if len(texts) > 1 and names:
        raise LikewiseError("--text names several kinds; expected no --box and no --like beside it")
    if len(texts) > 1:
        return {each: Shown(text=each) for each in _once(texts)}
    one = texts[0] if texts else None
    if one is not None and "" not in names and names:
        raise LikewiseError("--text beside --box KIND=...: kinds are told by examples or by their names, expected one")
    return {
        name: Shown(
            tuple(parse_box(value, f"--box {name}=" if name else "--box") for each, value in boxes if each == name),
            tuple(parse_like(value) for each, value in pairs if each == name),
            one,
        )
        for name in names or {"": None}
    }


def _in_two(text: str) -> tuple[str, str]:
    """A kind's name and what is behind its "="; no name where there is none."""
    found = _NAMED.fullmatch(text)
    if found is None:
        return "", text
    if not found[1].strip():
        raise LikewiseError(f"{text}: no name before the '='; expected such as red={found[2]}")
    return found[1].strip(), found[2]


def _once(texts: Iterable[str]) -> list[str]:
    """The names, each once."""
    return list(dict.fromkeys(texts))


class KindsQuestion(Question, Protocol):
    """What is the same for all kinds: a `likewise.cli.count.CountJob` that shows the examples of all."""

    @property
    def regions(self) -> RegionsAsked:
        """Regions of every picture."""

    def references(self) -> Sequence[Path]:
        """Files that are only read."""

    def notes(self, pictures: int) -> Sequence[str]:
        """What is to be said before so many pictures are worked through."""

    def check(self, output: Output, *, several: bool) -> None:
        """See that what comes out has a place."""

    def finish(self, folder: Path) -> None:
        """Put together what lies in the output folder."""

    def text_suffixes(self) -> tuple[str, ...]:
        """Of the forms, and of the table of regions."""


@dataclass(frozen=True)
class KindsJob(Job):
    """A count of each of several kinds.

    Attributes:
        question: what is the same for all of them.
        kinds: what shows each.

    Raises:
        LikewiseError: names that cannot be told apart; a form that holds one kind only.
    """

    question: KindsQuestion
    kinds: Mapping[str, Shown]

    task = "count"
    doing = "counting"
    done = "counted"
    table = "counts.csv"
    suffixes = ("_count.png",)

    def __post_init__(self) -> None:
        """See that the kinds have names that fit, and make the columns of the table."""
        from likewise.results.formats import format_of
        from likewise.vocabulary import check_question

        question = self.question
        told = (f"{column}_{name}" for name in self.asked_kinds().names for column in COLUMNS)
        given = {
            "model": question.model,
            "formats": question.formats,
            "columns": ("count", "points", "warnings", *told),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)
        for each in self.kinds.values():
            if each.text is not None:
                check_question(each.text)
        for form in question.formats:
            if format_of("count", form).needs == "density":
                raise LikewiseError(f"--format {form} holds the density of one kind; count each by itself for it")

    def asked_kinds(self) -> KindPrompts:
        """The question, in the unit in which it was typed."""
        from likewise.predict.kind_prompts import KindPrompts

        shared = self.question.prompt
        if all(each.text is not None for each in self.kinds.values()):
            return KindPrompts.named(tuple(self.kinds), negatives=shared.negatives, region=shared.region)
        boxes = {name: each.boxes for name, each in self.kinds.items()}
        return KindPrompts.of(boxes, negatives=shared.negatives, region=shared.region)

    def settings(self) -> dict[str, Any]:
        """What is the same for all kinds, and what shows each of them, in their order."""
        kinds = [[name, each.boxes, [box for _, box in each.like], each.text] for name, each in self.kinds.items()]
        return self.question.settings() | {"kinds": kinds}

    def asked(self) -> dict[str, Any]:
        """The same for people."""
        told = self.asked_kinds().to_dict()
        for name, each in self.kinds.items():
            if each.like:
                told[name]["like"] = [[path, list(box)] for path, box in each.like]
        shared = {key: value for key, value in self.question.asked().items() if key not in SHOWN}
        return shared | {"kinds": told}

    def references(self) -> Sequence[Path]:
        """Of the question."""
        return self.question.references()

    def notes(self, pictures: int) -> Sequence[str]:
        """Of the question."""
        return self.question.notes(pictures)

    def check(self, output: Output, *, several: bool) -> None:
        """That of the question."""
        self.question.check(output, several=several)

    def finish(self, folder: Path) -> None:
        """That of the question."""
        self.question.finish(folder)

    def text_suffixes(self) -> tuple[str, ...]:
        """Of the question."""
        return self.question.text_suffixes()

    def load(self) -> Callable[[Path], KindsResult]:
        """The counter, shown what the examples in other pictures look like."""
        from likewise.cli.asking import examples
        from likewise.predict import load_counter

        counter, choice, question = load_counter(self.model), self.question.seen.choice(), self.question
        owners = [name for name, each in self.kinds.items() for _ in each.like]
        opened = list(zip(owners, examples(question.like, choice, question.unit), strict=True))
        like = {name: [pair for owner, pair in opened if owner == name] for name in dict.fromkeys(owners)}
        references = counter.kind_references(like)
        for name, prompt in self.asked_kinds().prompts.items():
            counter.check(prompt, references.of(name))
        return partial(self._count, counter, references)

    def _count(self, counter: Counter | NamedCounter, references: KindReferences, picture: Path) -> KindsResult:
        from likewise.cli.placed import prompt_in_pixels
        from likewise.predict.kind_prompts import KindPrompts
        from likewise.sources import open_source

        question, asked = self.question, self.asked_kinds().prompts
        with open_source(picture, question.seen.choice()) as source:
            prompts = {name: prompt_in_pixels(each, source, question.unit) for name, each in asked.items()}
            question.regions.check(source)
            return counter.count(source, KindPrompts(prompts), like=references, trust=question.trust)

    def texts(self, result: Any) -> list[Callable[[Path], object]]:
        """What writes the forms, and the table of regions."""
        forms = super().texts(result)
        return [*forms, partial(Path.write_bytes, data=self._table(result))] if self.question.regions else forms

    def _table(self, result: KindsResult) -> bytes:
        from likewise.results.by_region import regions_table

        counts = [(name, each) for name, found in result.items() for each in self.question.regions.counted(found)]
        told = [(result.source or "", each) for _, each in counts]
        return regions_table(told, kinds=[name for name, _ in counts]).encode()

    def record(self, result: Any) -> dict[str, Any]:
        """The results, and the counts of the regions of each kind."""
        found: dict[str, Any] = result.to_dict()
        for name, each in result.items() if self.question.regions else ():
            found["kinds"][name]["regions"] = [region.to_dict() for region in self.question.regions.counted(each)]
        return found

    def parts(self, result: Any) -> tuple[str, ...]:
        """The regions' counts of each kind."""
        if not self.question.regions:
            return ()
        return tuple(
            f"{name}, {region_line(each)}"
            for name, found in result.items()
            for each in self.question.regions.counted(found)
        )

    def row(self, result: Any) -> tuple[object, ...]:
        """Count and points of all together, warnings, and what is known of each kind."""
        cells: list[object] = []
        for each in result.values():
            low, high = ("", "") if each.interval is None else (f"{end:.4f}" for end in each.interval)
            cells += [f"{each.count:.4f}", low, high, UNTRUSTED * each.untrusted, len(each.points)]
        points = sum(len(each.points) for each in result.values())
        return f"{result.total:.4f}", points, " ".join(result.warnings), *cells

    def line(self, result: Any) -> str:
        """The count of each kind, and its interval or that it cannot be trusted."""
        counts = (f"{name} {each.count:.1f}{f' ({each.likely})' * bool(each.likely)}" for name, each in result.items())
        return ", ".join(counts)

    def drawings(self, result: Any) -> tuple[Image.Image]:
        """The overlay."""
        return (result.plot(own_pixels(result, self.question.seen.choice())),)
