"""Counting by name through examples: a text finds examples, and a counter by example counts what looks like them.

A counter by example is more exact than one by name, but for the examples. So a name looks for those: its best matches
are shown to the other counter. What that one finds too and the name does not fit at all is then shown to it as
look-alikes, and of all that it finds those count that the name fits.

Names that a classifier of photographs knows are looked up there (`likewise.predict.naming`), all others are the
finder's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import nms

from likewise.data.images import pixel_bound
from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.predict.adaptation_card import save_card
from likewise.predict.counter import Counter
from likewise.predict.densities import NO_EXEMPLARS, Answer, Densities, ReferenceExemplars, ScaledImage
from likewise.predict.kind_prompts import KindPrompts, KindReferences
from likewise.predict.kinds import KindQuestion, count_kinds
from likewise.predict.localize import CLEAR, find_peaks
from likewise.predict.naming import Namer, agreement
from likewise.predict.prepared_image import KEPT_BYTES, PreparedImage
from likewise.predict.prompts import Effort, Like, PromptedCounter, check_prompt
from likewise.predict.protocols import TextFinder
from likewise.predict.reading import Reader, Reading
from likewise.predict.taught import Taught
from likewise.preprocess.rules import Preprocess
from likewise.preprocess.scaled_view import View
from likewise.results import CountResult, KindsResult
from likewise.sources import PictureSource
from likewise.types import Box, Prompt
from likewise.vocabulary import nearest_names

#: So many matches are examples, at most.
EXAMPLES = 3
#: A box that overlaps (IoU) a better match's by more is of the same thing, or of a part of it.
OVERLAP = 0.2
#: The best matches, of which examples are chosen by how well their sizes agree.
CANDIDATES = 7
#: A match whose logit is worse than the best one's by more is no example.
WORSE = 2.0
#: Examples are at least so many pixels wide and high.
LEAST = 2.0
#: What is found counts if the name fits it at least so well ...
SURE = 0.75
#: ... and is shown as a look-alike if it fits worse than this.
UNFIT = 0.25
#: Objects in a photograph are places that agree so well on their box, or as the best do where none does.
AGREED = 0.7
#: Examples in a photograph answer to the name about as well as the best object does: so many log odds worse at most.
NEARLY = 2.0
#: A name is in a photograph if the object that answers to it best does so with these log odds or better.
PRESENT = -1.2
#: What is like the examples goes by the name unless it answers to another so many logs better (less 1.1, for `SURE`).
LENIENT = 3.5
#: What agreement on boxes is multiplied by where matches of logits are chosen.
_SHARP = 8.0


class NamedCounter(PromptedCounter):
    """Counts what a name names: a network finds examples of it, and a counter by example counts those.

    Pictures are prepared for both networks once; see `likewise.predict.Session`.

    Args:
        finder: a network that finds examples of what a text names; it is put in eval mode and on the counter's device.
        counter: counts by example.
        name: for results.
        namer: what photographs show by name; None: the finder knows all names there are.
        inference: how the finder's weights are used; its factor and its records of errors make counts and intervals.
            None: as their config says.
        taught: as of `likewise.predict.Counter`.

    Example:
        >>> import likewise as lw
        >>> from skimage import data
        >>> counter = lw.load("countx-lite")
        >>> result = counter.count(data.coins(), text="coins")
        >>> 20 < result.count < 28, len(result.found) > 0
        (True, True)
        >>> counter.summed().prompts
        ('text',)
    """

    kept_bytes = KEPT_BYTES  # the picture may be asked about twice

    def __init__(
        self,
        finder: TextFinder,
        counter: Counter,
        name: str,
        *,
        namer: Namer | None = None,
        inference: InferenceConfig | None = None,
        taught: Taught | None = None,
    ) -> None:
        self.device = counter.device
        self.namer = namer
        self.model = finder.to(self.device).eval()
        self.counter = counter
        self.name = name
        self.inference = inference or finder.config.inference
        self.taught = taught
        self._densities = Densities(self.model, name, self.device, self.inference)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The kinds of prompt it takes: names only."""
        return ("text",)

    @property
    def preprocess(self) -> Preprocess:
        """How pictures become the finder's input."""
        return self.inference.preprocess

    def summed(self) -> NamedCounter:
        """The same, but that its counts are plain sums of the density: see `likewise.predict.Counter.summed`."""
        return self.using(self.counter.summed(), self.inference, self.name, self.taught)

    def using(self, counter: Counter, inference: InferenceConfig, name: str, taught: Taught | None) -> NamedCounter:
        """The same networks, but for the one that counts, used in another way."""
        return NamedCounter(self.model, counter, name, namer=self.namer, inference=inference, taught=taught)

    def save(self, path: str | Path) -> Path:
        """Write what it was taught as a small file: see `likewise.predict.Counter.save`."""
        return save_card(Path(path), self.model, (self.inference, None), self.taught, NO_EXEMPLARS)

    def answer(
        self, image: PreparedImage, prompt: Prompt, references: ReferenceExemplars, trust: Effort
    ) -> CountResult:
        """What goes by a name, counted by the examples that it finds: the result's ``found``."""
        matches = self._matches(image, prompt.text or "")
        shown = replace(prompt, exemplars=matches.boxes, text=None)
        reader = NamedReader(self.counter, matches)
        result = self.counter.count_prepared(image, shown, ReferenceExemplars(), trust, reader, self.inference)
        return replace(result, prompt=prompt, model=self.name, found=matches.boxes if matches.there else ())

    def _matches(self, image: PreparedImage, text: str) -> TextMatches:
        """What goes by a name that is known."""
        if self.namer is None or not self.namer.knows(text):
            return propose_exemplars(self._densities, self.model, image, text)
        return photographed(self._densities, self.model, self.namer, image, text)

    def answer_giant(
        self, source: PictureSource, prompt: Prompt, references: ReferenceExemplars, trust: Effort
    ) -> CountResult:
        """The same of a large picture, as long as it can be read whole.

        Raises:
            LikewiseError: it cannot.
        """
        if source.width * source.height > pixel_bound():
            raise LikewiseError(
                f"{source.name} is {source.width} x {source.height} pixels, too large to look for a name in all of it; "
                "show examples with boxes, or count a part of it"
            )
        return self.answer(PreparedImage(source, self.kept_bytes), prompt, references, trust)

    def references(self, like: Like) -> ReferenceExemplars:
        """What ``like`` gives: boxes, for `check` to refuse by name."""
        return like if isinstance(like, ReferenceExemplars) else ReferenceExemplars((), tuple(box for _, box in like))

    def kind_references(self, like: Mapping[str, Like]) -> KindReferences:
        """What ``like`` gives: boxes, for `check` to refuse by name."""
        return KindReferences({name: self.references(shown) for name, shown in like.items()})

    def answer_kinds(
        self, image: PreparedImage, asked: KindPrompts, references: KindReferences, trust: Effort
    ) -> KindsResult:
        """What goes by each of several names, told apart by the examples that they find."""
        matches = {name: self._matches(image, prompt.text or "") for name, prompt in asked.prompts.items()}
        boxes = {name: own_boxes(name, matches, image.size) for name in matches}
        questions: dict[str, tuple[KindQuestion, KindQuestion]] = {}
        for name, prompt in asked.prompts.items():
            others = {box for other in boxes if other != name for box in boxes[other]} - set(boxes[name])
            alone = replace(prompt, exemplars=boxes[name], text=None)
            told = replace(alone, negatives=tuple(others)) if "negatives" in self.counter.prompts else alone
            reader = NamedReader(self.counter, matches[name])
            questions[name] = (KindQuestion(alone, NO_EXEMPLARS, reader), KindQuestion(told, NO_EXEMPLARS, reader))

        def finish(question: KindQuestion, reader: Reader) -> CountResult:
            return self.counter.count_prepared(image, question.prompt, NO_EXEMPLARS, trust, reader, self.inference)

        results, confusions = count_kinds(self.counter.densities, image, questions, finish)
        named = {
            name: replace(
                each, prompt=asked.prompts[name], model=self.name, found=boxes[name] if matches[name].there else ()
            )
            for name, each in results.items()
        }
        return KindsResult(named, confusions)

    def check(self, prompt: Prompt, references: ReferenceExemplars) -> None:
        """See that it is told a name that it knows, and nothing else.

        Raises:
            LikewiseError: says what it takes, or the nearest names it knows.
        """
        check_prompt(self.name, self.prompts, prompt, references)
        if prompt.text is None or (self.namer is not None and self.namer.knows(prompt.text)):
            return
        if self.namer is not None and not self.model.knows(prompt.text):
            known = (*self.namer.vocabulary, *self.model.vocabulary)
            raise LikewiseError(f"no word of {prompt.text!r} is known to this model{nearest_names(prompt.text, known)}")
        self.model.check(prompt.text)


@dataclass(frozen=True, eq=False)
class TextMatches:
    """What goes by a name in a picture.

    Attributes:
        boxes: examples, in the picture's pixels, the best match first.
        fit: (h, w) in [0, 1], how sure it is that each place shows a thing of that name.
        reach: (height, width) of the picture in places; the last may lie in part outside.
        there: whether anything goes by it; if not, the boxes are only what comes nearest.
    """

    boxes: tuple[Box, ...]
    fit: Tensor
    reach: tuple[float, float]
    there: bool = True

    def at(self, points: Tensor, grid: tuple[int, int]) -> Tensor:
        """How well the name fits (N,) at points (N, 2) on a grid (H, W) over the whole picture."""
        places = points * torch.tensor([self.reach[1] / grid[1], self.reach[0] / grid[0]])
        where = places * 2 / torch.tensor([float(self.fit.shape[1]), float(self.fit.shape[0])]) - 1
        fit = F.grid_sample(self.fit[None, None], where.view(1, 1, -1, 2), padding_mode="border", align_corners=False)
        return fit.flatten()

    def others(self, points: Tensor, scores: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> tuple[Box, ...]:
        """Boxes, in the picture's pixels, of found things that the name fits least, if it hardly fits them.

        Args:
            points: (N, 2) of what looks like the examples, on a grid.
            scores: (N,) the density round each.
            grid: (H, W) of the grid.
            size: (width, height) of the picture.
        """
        fit = self.at(points, grid)
        unfit = ((fit < UNFIT) & (scores >= CLEAR)).nonzero()[:, 0]
        worst = points[unfit[fit[unfit].argsort(stable=True)[:EXAMPLES]]]
        middles = worst * torch.tensor([size[0] / grid[1], size[1] / grid[0]])
        examples = torch.tensor(self.boxes)
        half = (examples[:, 2:] - examples[:, :2]).mean(0) / 2
        low, high = (middles - half).clamp(min=0), torch.minimum(middles + half, torch.tensor(size))
        return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in torch.cat([low, high], dim=1).tolist())

    def mirrored(self) -> TextMatches:
        """The same in the picture's mirror image, but for the examples."""
        columns = round(self.reach[1])
        return TextMatches(self.boxes, self.fit[:, :columns].flip(1), (self.reach[0], float(columns)))


@dataclass(frozen=True, eq=False)
class NamedReader:
    """What of the things that look like the examples goes by the name.

    Attributes:
        counter: counts by example.
        matches: what goes by the name.
    """

    counter: Counter
    matches: TextMatches

    def read(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> Reading:
        """The density and its peaks, of what goes by the name; things that do not are shown as look-alikes first."""
        densities, matches = self.counter.densities, self.matches
        if not matches.there:
            nothing = torch.zeros(*(length // scaled.cell for length in scaled.view.sides))
            return Reading(Answer(nothing, None, None, None), find_peaks(nothing, side, torch.zeros(0, 4)), 0.0)
        answer, examples = densities.answer(scaled, prompt, references), scaled.on_grid(prompt.exemplars)
        peaks = find_peaks(answer.whole, side, examples)
        mean_cosine, grid = answer.count, (answer.whole.shape[0], answer.whole.shape[1])
        others = matches.others(peaks.points, peaks.scores, grid, (scaled.image.width, scaled.image.height))
        if others and "negatives" in self.counter.prompts:
            against = Prompt((), others).tightened(self.counter.inference.margin).negatives
            told = replace(prompt, negatives=(*prompt.negatives, *against))
            answer = densities.answer(scaled, told, references)
            peaks = find_peaks(answer.whole, side, examples)
        fitting = peaks.of(matches.at(peaks.points, grid) >= SURE)
        return Reading(replace(answer, whole=fitting.part(answer.whole)), fitting, mean_cosine)

    def count(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> float:
        """The sum of the density of what goes by the name."""
        return self.read(scaled, prompt, references, side).answer.count

    def mirrored(self) -> NamedReader:
        """The same of the picture's mirror image."""
        return NamedReader(self.counter, self.matches.mirrored())


def propose_exemplars(densities: Densities, finder: TextFinder, image: PreparedImage, text: str) -> TextMatches:
    """Look for what a text names, at the scale at which the finder sees pictures."""
    if densities.inference.preprocess.canvas:
        raise LikewiseError(f"{densities.name} is shown pictures on a canvas, on which names are not looked for")
    scaled = densities.scaled(image, ())
    view = scaled.view
    places = finder.find(densities.tile(scaled, (0, 0, view.height, view.width)), finder.encode((text,)))
    reach = (view.height / places.stride, view.width / places.stride)
    logits = places.logits[0, 0].float().cpu()
    inside = [torch.arange(n) < far for n, far in zip(logits.shape, reach, strict=True)]
    shown = inside[0][:, None] & inside[1]
    boxes = best_boxes(logits[shown], _clipped(places.boxes[0].float().cpu()[shown], view))
    return TextMatches(boxes, logits.sigmoid(), reach)


def own_boxes(name: str, matches: Mapping[str, TextMatches], size: tuple[int, int]) -> tuple[Box, ...]:
    """The examples of a name that no other name fits better; all of them where there is none.

    Args:
        name: one of the names.
        matches: of each name.
        size: (width, height) of the picture.
    """
    boxes = matches[name].boxes
    middles, grid = torch.tensor(boxes).view(-1, 2, 2).mean(1), (size[1], size[0])
    fit = {each: found.at(middles, grid) for each, found in matches.items()}
    best = torch.stack([fit[name] >= fit[each] for each in matches]).all(0).tolist()
    return tuple(box for box, mine in zip(boxes, best, strict=True) if mine) or boxes


def photographed(
    densities: Densities, finder: TextFinder, namer: Namer, image: PreparedImage, text: str
) -> TextMatches:
    """Look for what a name of photographs asks for: objects, whatever they are, where the namer sees it."""
    scaled = densities.scaled(image, ())
    view = scaled.view
    told, stride = finder.boxes_at_places(densities.tile(scaled, (0, 0, view.height, view.width)))
    inside = [
        torch.arange(n) < side / stride for n, side in zip(told.shape[1:3], (view.height, view.width), strict=True)
    ]
    shown = inside[0][:, None] & inside[1]
    agreed = agreement(told[0].float().cpu(), stride)[shown]
    boxes = _clipped(told[0].float().cpu()[shown], view)
    shares = namer.shares(image, text)
    objects = shares.at((boxes[:, :2] + boxes[:, 2:]) / 2, (image.width, image.height))
    odds, fit = objects.odds()[0], (shares.lead() + LENIENT).sigmoid()
    sure = agreed >= min(AGREED, float(agreed.max()))
    best = float(odds[sure].max())
    named = sure & (odds >= best - NEARLY)
    there = best >= PRESENT and objects.wins((sure & (objects.lead()[0] >= -LENIENT))[None])
    found = best_boxes(_SHARP * agreed[named], boxes[named])
    return TextMatches(found, fit, (float(fit.shape[0]), float(fit.shape[1])), there)


def best_boxes(logits: Tensor, boxes: Tensor) -> tuple[Box, ...]:
    """The boxes of the best matches that are of different things and of about one size: 1 to `EXAMPLES`, best first.

    Args:
        logits: (N,), N >= 1.
        boxes: (N, 4) xyxy.
    """
    best = nms(boxes, logits, OVERLAP)[:CANDIDATES]
    best = best[logits[best] >= logits[best[0]] - WORSE]
    sizes = (boxes[best, 2:] - boxes[best, :2]).log().mean(1)
    usual = (sizes - sizes.median()).abs().argsort(stable=True)[:EXAMPLES].sort().values
    return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes[best[usual]].tolist())


def _clipped(boxes: Tensor, view: View) -> Tensor:
    """Boxes in a view's pixels as boxes in the picture's, inside it, none of them empty."""
    height, width = view.pixels.shape[:2]
    corners = boxes.view(-1, 2, 2) * torch.tensor([width / view.width, height / view.height])
    far = torch.tensor([float(width), float(height)])
    low = torch.minimum(corners[:, 0].clamp(min=0), (far - LEAST).clamp(min=0))
    high = torch.minimum(torch.maximum(corners[:, 1], low + LEAST), far)
    return torch.cat([low, high], dim=1)
