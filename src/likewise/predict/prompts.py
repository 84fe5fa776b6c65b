"""The words of a question as one prompt, whether a model takes it, and the same prompt seen otherwise."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Literal, TypedDict, cast, overload

import torch

from likewise.errors import LikewiseError
from likewise.ops.polygon import inside_polygon
from likewise.predict.densities import ReferenceExemplars
from likewise.predict.kind_prompts import KindPrompts, KindReferences
from likewise.predict.outlining import check_outlined, outlined
from likewise.predict.prepared_image import Picture, PreparedImage
from likewise.results import CountResult, KindsResult
from likewise.sources import GIANT, PictureSource, open_source
from likewise.types import Box, Point, Prompt, Task
from likewise.vocabulary import check_question

#: How each kind of prompt is given, for messages.
KINDS = {
    "exemplars": "exemplars=[(x0, y0, x1, y1), ...]",
    "negatives": "negatives=[(x0, y0, x1, y1), ...]",
    "text": "text='the name of the thing'",
}

#: How hard it is looked for signs that a count is off.
Effort = Literal["fast", "full"]
#: Exemplars in other pictures: pairs, or what was made of them.
Like = Sequence[tuple[Picture, Box]] | ReferenceExemplars


class PromptWords(TypedDict, total=False):
    """The words of a question beside its exemplars: see `PromptedCounter.count`."""

    negatives: Sequence[Box]
    text: str | None
    region: Sequence[Point] | None
    like: Like
    trust: Effort
    outlines: bool


class KindWords(TypedDict, total=False):
    """The words of a question about several kinds beside their exemplars: see `PromptedCounter.count`."""

    negatives: Sequence[Box]
    region: Sequence[Point] | None
    like: Mapping[str, Like] | KindReferences
    trust: Effort


class PromptedCounter(ABC):
    """Whatever is asked how many there are, in these words.

    Attributes:
        name: for results.
        kept_bytes: prepared features of a picture that is asked about once are kept up to here while it is.
    """

    task: Task = "count"
    name: str
    kept_bytes: int = 0

    @property
    @abstractmethod
    def prompts(self) -> tuple[str, ...]:
        """The kinds of prompt it takes."""

    @abstractmethod
    def references(self, like: Like) -> ReferenceExemplars:
        """What ``like`` gives, looked at where it was not."""

    @abstractmethod
    def check(self, prompt: Prompt, references: ReferenceExemplars) -> None:
        """See that it takes what it is given, and that it is told what to count.

        Raises:
            LikewiseError: names what it takes, or the names it knows.
        """

    @abstractmethod
    def kind_references(self, like: Mapping[str, Like]) -> KindReferences:
        """What ``like`` gives of several kinds, looked at where it was not."""

    @abstractmethod
    def answer(
        self, image: PreparedImage, prompt: Prompt, references: ReferenceExemplars, trust: Effort
    ) -> CountResult:
        """The result of a checked prompt."""

    @abstractmethod
    def answer_giant(
        self, source: PictureSource, prompt: Prompt, references: ReferenceExemplars, trust: Effort
    ) -> CountResult:
        """The result of a checked prompt, of a picture with more than `likewise.sources.GIANT` pixels.

        Raises:
            LikewiseError: it cannot be answered for so large a picture.
        """

    @abstractmethod
    def answer_kinds(
        self, image: PreparedImage, asked: KindPrompts, references: KindReferences, trust: Effort
    ) -> KindsResult:
        """The results of several kinds, two at least, whose prompts were checked."""

    @overload
    def count(
        self,
        image: Picture | PreparedImage,
        exemplars: Sequence[Box] | Prompt = (),
        *,
        negatives: Sequence[Box] = (),
        text: str | None = None,
        region: Sequence[Point] | None = None,
        like: Like = (),
        trust: Effort = "fast",
        outlines: bool = False,
    ) -> CountResult: ...

    @overload
    def count(
        self,
        image: Picture | PreparedImage,
        exemplars: Mapping[str, Sequence[Box]] | KindPrompts,
        *,
        negatives: Sequence[Box] = (),
        region: Sequence[Point] | None = None,
        like: Mapping[str, Like] | KindReferences = ...,
        trust: Effort = "fast",
    ) -> KindsResult: ...

    @overload
    def count(
        self,
        image: Picture | PreparedImage,
        *,
        negatives: Sequence[Box] = (),
        region: Sequence[Point] | None = None,
        like: Mapping[str, Like] | KindReferences,
        trust: Effort = "fast",
    ) -> KindsResult: ...

    @overload
    def count(
        self,
        image: Picture | PreparedImage,
        *,
        text: list[str] | tuple[str, ...],
        region: Sequence[Point] | None = None,
        trust: Effort = "fast",
    ) -> KindsResult: ...

    @torch.inference_mode()
    def count(
        self,
        image: Picture | PreparedImage,
        exemplars: Sequence[Box] | Prompt | Mapping[str, Sequence[Box]] | KindPrompts = (),
        *,
        negatives: Sequence[Box] = (),
        text: str | Sequence[str] | None = None,
        region: Sequence[Point] | None = None,
        like: Like | Mapping[str, Like] | KindReferences = (),
        trust: Effort = "fast",
        outlines: bool = False,
    ) -> CountResult | KindsResult:
        """Count the objects that look like the exemplars.

        ``points`` are as many as the count rounds to, or fewer: the peaks of the density, blurred by 0.12 object
        sizes, that are more than 0.35 object sizes apart, those with most density around them first; what peaks in the
        middle of an exemplar is one. The same input gives the same result, and the order of the exemplars does not
        matter.

        Several kinds are told apart where exemplars or ``like`` are given by name, or ``text`` is a list: each place
        belongs to the kind that answers most strongly there, and kinds that claim the same places see each other's
        exemplars as look-alikes. The order of the kinds does not matter.

        Args:
            image: a path, a Pillow picture, an array (H, W), (H, W, 3) or (H, W, 4), a tensor (3, H, W), a source of
                `likewise.open_source`, or one prepared. Large ones are counted window by window, in the memory of one.
            exemplars: boxes (x0, y0, x1, y1) round examples, in pixels of ``image``; or a whole prompt, in which case
                ``negatives``, ``text`` and ``region`` are its; or the boxes of several kinds, by their names.
            negatives: boxes round look-alikes that are not to be counted, of whatever kind.
            text: name of the thing, or a list of names of several kinds.
            region: polygon of (x, y) corners; only what lies inside is counted.
            like: (other picture, box) pairs: examples elsewhere; or those of several kinds, by their names. Where
                ``image`` has no exemplars of its own, its objects are taken to be as large, in pixels, as those.
            trust: "fast": the interval and the warnings come from what counting works out anyway. "full": the picture
                is also counted mirrored and at another scale, which takes about three times as long.
            outlines: also find the outline of each thing, by which `CountResult.measures` tells its size and
                brightness.

        Returns:
            The result; of several kinds a `KindsResult`, a mapping from their names to results.

        Raises:
            LikewiseError: an unreadable picture; a box outside it, of zero area or with swapped corners; a kind
                of prompt that the model does not take, or nothing to go by; a region outside the picture; outlines of a
                picture that is counted window by window.

        Example:
            >>> import likewise as lw
            >>> from skimage import data
            >>> boxes = [(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)]
            >>> result = lw.load("spdcn-lite").count(data.coins(), boxes)
            >>> round(result.count)
            24
            >>> kinds = lw.load("spdcn-lite").count(data.coins(), {"coins": boxes})
            >>> kinds["coins"].count == result.count
            True
        """
        start = time.perf_counter()
        if trust not in ("fast", "full"):
            raise LikewiseError(f"trust = {trust!r}: expected 'fast' or 'full'")
        kinds = kinds_of(exemplars, negatives, text, region, like)
        if kinds is not None:
            if outlines:
                raise LikewiseError("outlines are of one kind of thing; ask for each, with the others as negatives")
            found = self._count_kinds(image, *kinds, trust)
            return replace(found, seconds=time.perf_counter() - start)
        boxes, name = cast("Sequence[Box] | Prompt", exemplars), cast("str | None", text)  # as `kinds_of` has seen
        asked = prompt_of(boxes, negatives, name, region)
        with _opened(image, self.kept_bytes) as picture:
            prompt = asked.inside(picture.width, picture.height)
            references = self.references(cast("Like", like))
            self.check(prompt, references)
            if outlines:
                check_outlined(picture)
            if isinstance(picture, PictureSource):
                result = self.answer_giant(picture, prompt, references, trust)
            else:
                result = self.answer(picture, prompt, references, trust)
                result = outlined(result, picture, image) if outlines else result
            placement = picture.placement
        return replace(result, seconds=time.perf_counter() - start, placement=placement)

    def _count_kinds(
        self,
        image: Picture | PreparedImage,
        asked: KindPrompts,
        like: Mapping[str, Like] | KindReferences,
        trust: Effort,
    ) -> KindsResult:
        with _opened(image, self.kept_bytes) as picture:
            kinds = asked.inside(picture.width, picture.height)
            references = like if isinstance(like, KindReferences) else self.kind_references(like)
            for name, prompt in kinds.prompts.items():
                self.check(prompt, references.of(name))
            if isinstance(picture, PictureSource):
                raise LikewiseError(
                    f"{picture.name} is {picture.width} x {picture.height} pixels, too large to tell kinds apart; "
                    "count each kind by itself, with the examples of the others as negatives, or a part of it"
                )
            if len(kinds.prompts) == 1:
                [(name, prompt)] = kinds.prompts.items()
                result = KindsResult({name: self.answer(picture, prompt, references.of(name), trust)})
            else:
                result = self.answer_kinds(picture, kinds, references, trust)
            placement = picture.placement
        return replace(result, results={name: replace(each, placement=placement) for name, each in result.items()})


@contextmanager
def _opened(image: Picture | PreparedImage, kept_bytes: int) -> Iterator[PreparedImage | PictureSource]:
    """A picture in memory, or the source of one that is too large for that; what is opened here is closed again."""
    if isinstance(image, PreparedImage):
        yield image
        return
    with open_source(image) if isinstance(image, (str, os.PathLike)) else nullcontext(image) as picture:
        if isinstance(picture, PictureSource) and picture.width * picture.height > GIANT:
            yield picture
        else:
            yield PreparedImage(picture, kept_bytes)


def prompt_of(
    exemplars: Sequence[Box] | Prompt,
    negatives: Sequence[Box],
    text: str | None,
    region: Sequence[Point] | None,
) -> Prompt:
    """The one prompt that keywords or a prompt say.

    Raises:
        LikewiseError: both do; or as `Prompt` does.
    """
    if not isinstance(exemplars, Prompt):
        try:
            boxes, others, corners = tuple(exemplars), tuple(negatives), None if region is None else tuple(region)
        except TypeError as error:
            expected = "expected lists: exemplars=[(x0, y0, x1, y1), ...], region=[(x, y), ...]"
            raise LikewiseError(f"{expected}; got something else ({error})") from error
        return Prompt(boxes, others, text, corners)
    if len(negatives) or text is not None or region is not None:
        raise LikewiseError("a Prompt says it all; expected no negatives, text or region beside it: put them into it")
    return exemplars


def kinds_of(
    exemplars: Sequence[Box] | Prompt | Mapping[str, Sequence[Box]] | KindPrompts,
    negatives: Sequence[Box],
    text: str | Sequence[str] | None,
    region: Sequence[Point] | None,
    like: Like | Mapping[str, Like] | KindReferences,
) -> tuple[KindPrompts, Mapping[str, Like] | KindReferences] | None:
    """The question about several kinds that keywords ask, and their examples elsewhere; None: they ask about one.

    Raises:
        LikewiseError: a part of the examples has no name; names and examples at once; or as `KindPrompts` does.
    """
    kinds = (Mapping, KindPrompts, KindReferences)
    if isinstance(text, str) or (text is None and not isinstance(exemplars, kinds) and not isinstance(like, kinds)):
        if isinstance(exemplars, kinds) or isinstance(like, kinds):
            raise LikewiseError(
                f"text = {text!r} beside examples by name; expected one of them, or text=[{text!r}, ...]"
            )
        return None
    if text is not None:
        if _is_given(exemplars) or _is_given(like):
            raise LikewiseError("text is a list of kinds; expected no exemplars and no like beside it")
        return KindPrompts.named(text, negatives=negatives, region=region), {}
    if any(_is_given(given) and not isinstance(given, kinds) for given in (exemplars, like)):
        raise LikewiseError(
            "some examples have no name; expected {'red': [...], 'white': [...]} for exemplars and like"
        )
    named = like if isinstance(like, (Mapping, KindReferences)) else {}
    if isinstance(exemplars, KindPrompts):
        if len(negatives) or region is not None:
            raise LikewiseError("KindPrompts say it all; expected no negatives and no region beside them")
        return exemplars, named
    elsewhere = named.alone if isinstance(named, KindReferences) else named
    boxes = exemplars if isinstance(exemplars, Mapping) else {}
    return KindPrompts.of(boxes, names=elsewhere, negatives=negatives, region=region), named


def _is_given(examples: object) -> bool:
    """Whether there are examples, in whatever form."""
    return not isinstance(examples, Sequence) or len(examples) > 0


def check_prompt(name: str, takes: tuple[str, ...], prompt: Prompt, references: ReferenceExemplars) -> None:
    """See that a model takes what it is given, and is told what to count.

    Args:
        name: of the model.
        takes: the kinds of prompt that it takes.
        prompt: what it is given.
        references: exemplars that it is given in other pictures.

    Raises:
        LikewiseError: names what the model takes; or the text is a list, or leaves something out.
    """
    ordered = [kind for kind in KINDS if kind in takes]
    expected = " or ".join(KINDS[kind] for kind in ordered if kind != "negatives")
    given = {"exemplars": prompt.exemplars or references.exemplars, "negatives": prompt.negatives, "text": prompt.text}
    for kind, value in given.items():
        if value and kind not in takes:
            raise LikewiseError(f"{name} takes no {kind}; it takes {', '.join(ordered)}: {expected}")
    if prompt.text is not None:
        check_question(prompt.text)
    if not given["exemplars"] and not given["text"]:
        or_like = " or, in another picture, like=[('ref.jpg', (x0, y0, x1, y1)), ...]" * ("exemplars" in takes)
        raise LikewiseError(f"{name} does not know what to count; show it with {expected}{or_like}")


def in_order(prompt: Prompt) -> Prompt:
    """The prompt with its boxes sorted: sums of floats would otherwise depend on the order they were drawn in."""
    return replace(prompt, exemplars=tuple(sorted(prompt.exemplars)), negatives=tuple(sorted(prompt.negatives)))


def mirrored(prompt: Prompt, width: float) -> Prompt:
    """The prompt in the picture's mirror image."""
    turned = [
        tuple((width - x1, y0, width - x0, y1) for x0, y0, x1, y1 in b) for b in (prompt.exemplars, prompt.negatives)
    ]
    region = None if prompt.region is None else tuple((width - x, y) for x, y in prompt.region)
    return replace(prompt, exemplars=turned[0], negatives=turned[1], region=region)


def exemplars_inside(prompt: Prompt) -> tuple[Box, ...]:
    """The exemplars whose corners lie in the region; all where there is none."""
    if prompt.region is None:
        return prompt.exemplars
    region = torch.tensor(prompt.region)
    corners = [torch.tensor([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) for x0, y0, x1, y1 in prompt.exemplars]
    return tuple(b for b, c in zip(prompt.exemplars, corners, strict=True) if inside_polygon(c, region).all())
