"""One picture after another asked the same question, whatever its kind and size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from likewise.cli.placed import box_in_pixels, prompt_in_pixels
from likewise.cli.progress import progress_bar
from likewise.errors import LikewiseError
from likewise.json_text import json_text

if TYPE_CHECKING:
    from likewise.placement import Unit
    from likewise.predict import Counter, NamedCounter, ReferenceExemplars
    from likewise.results import CountResult
    from likewise.sources import Choice, PictureSource
    from likewise.types import Box, Prompt

#: What is said where nothing is shown, and the model knows no examples of its own.
NOTHING_SHOWN = (
    "nothing says what to count; show one example with --box X0,Y0,X1,Y1, "
    "or one in another picture with --like REF.jpg:X0,Y0,X1,Y1, or name it with --text"
)
#: What stands behind a picture's name in the file that remembers its windows, before digits of the question.
JOURNAL = "_windows-"


@dataclass(frozen=True)
class Asker:
    """What is asked about every picture.

    Attributes:
        model: name or file.
        prompt: as typed, in a unit.
        unit: of its boxes and its region.
        choice: of channel, plane and contrast.
        trust: how hard it is looked for signs that a count is off.
        journals: folder in which windows of giants are remembered; None: they are not.
        check: sees, before a picture is counted, that whatever is made of its count can be made.
        outlines: whether things are outlined.
    """

    model: str
    prompt: Prompt
    unit: Unit
    choice: Choice
    trust: Literal["fast", "full"]
    journals: Path | None
    check: Callable[[PictureSource], None] = lambda picture: None
    outlines: bool = False

    def shown(self, like: Sequence[tuple[str, Box]]) -> Callable[[Path], CountResult]:
        """What counts a picture, shown boxes in other pictures; the model is loaded here.

        Raises:
            LikewiseError: the model does not take this prompt; an unreadable picture, or a box that does not fit it.
        """
        from likewise.predict import load_counter

        counter = load_counter(self.model)
        references = counter.references(examples(like, self.choice, self.unit))
        if not (self.prompt.exemplars or self.prompt.text or references.exemplars):
            raise LikewiseError(NOTHING_SHOWN)
        counter.check(self.prompt, references)
        return lambda picture: self._count(counter, references, picture)

    def _count(self, counter: Counter | NamedCounter, references: ReferenceExemplars, picture: Path) -> CountResult:
        from likewise.predict import Counter
        from likewise.predict.outlining import check_outlined
        from likewise.sources import GIANT, open_source

        with open_source(picture, self.choice) as source:
            prompt = prompt_in_pixels(self.prompt, source, self.unit)
            self.check(source)
            giant = source.width * source.height > GIANT and counter.preprocess.fit is None
            if giant and isinstance(counter, Counter):
                if self.outlines:
                    check_outlined(source)
                return self._count_windows(counter, source, prompt, references)
            return counter.count(source, prompt, like=references, trust=self.trust, outlines=self.outlines)

    def _count_windows(
        self, counter: Counter, source: PictureSource, prompt: Prompt, references: ReferenceExemplars
    ) -> CountResult:
        """The count of a giant, told window by window; what is done is remembered where there is a folder for it."""
        from likewise.predict.journal import WindowJournal

        plan = counter.plan_windows(source, prompt.inside(source.width, source.height), references, self.trust)
        question, journal = plan.question(), None
        if self.journals is not None:
            digits = hashlib.sha256(json_text(question, sort_keys=True).encode()).hexdigest()[:8]
            journal = WindowJournal(self.journals / f"{Path(source.name).stem}{JOURNAL}{digits}.jsonl", question)
        with progress_bar(shown=True) as bar:
            task = bar.add_task(f"windows of {Path(source.name).name}", total=len(plan.windows()))
            return plan.run(journal, lambda done, _: bar.update(task, completed=done))


def examples(like: Sequence[tuple[str, Box]], choice: Choice, unit: Unit) -> list[tuple[PictureSource, Box]]:
    """Boxes in other pictures, typed in a unit: the pictures as they are chosen, each opened once, and pixels.

    Raises:
        LikewiseError: an unreadable picture, or one that has no such unit.
    """
    from likewise.sources import open_source

    sources = {path: open_source(path, choice) for path in dict.fromkeys(path for path, _ in like)}
    return [(sources[path], box_in_pixels(box, sources[path], unit)) for path, box in like]
