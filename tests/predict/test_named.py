"""Counting by a name through examples, with networks whose answers are known: one finds reds, one counts colours."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.methods.countx.refinement import TextProposals
from likewise.predict import Counter, NamedCounter, Session
from likewise.predict.named import EXAMPLES, TextMatches, best_boxes
from likewise.preprocess.rules import Preprocess

from .test_counter import BLUE, ColourCounter, lattice, scene

#: Pixels between the places of the finder.
STRIDE = 8
SIZE = 24


class RedFinder(nn.Module):
    """Knows one name, "red"; nothing goes by another, and reds come nearest. Boxes are of the true size."""

    prompts = ("text",)
    cell = 1

    def __init__(self, **rules: object) -> None:
        super().__init__()
        self.config = SimpleNamespace(inference=InferenceConfig(Preprocess(tile=0, **rules)))
        self.prepared: list[tuple[int, ...]] = []

    def prepare(self, image: Tensor) -> Tensor:
        self.prepared.append(tuple(image.shape))
        return image

    def check(self, text: str) -> None:
        if text == "unknown":
            raise LikewiseError("no word of it is known")

    def encode(self, texts: tuple[str, ...]) -> Tensor:
        return torch.tensor([[1.5, -1.0, -1.0] if text == "red" else [0.3, 0.0, 0.0] for text in texts])

    def find(self, image: Tensor, text: Tensor) -> TextProposals:
        padded = nn.functional.pad(image, (0, -image.shape[3] % STRIDE, 0, -image.shape[2] % STRIDE))
        seen = nn.functional.avg_pool2d(padded, STRIDE)
        logits = 16 * torch.einsum("bchw,bc->bhw", seen, text)[:, None] - 12
        rows, columns = (torch.arange(n) * STRIDE + STRIDE / 2 for n in logits.shape[2:])
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        boxes = torch.stack([x - SIZE / 2, y - SIZE / 2, x + SIZE / 2, y + SIZE / 2], dim=-1)
        return TextProposals(logits, boxes[None], STRIDE)


def by_name(**rules: object) -> NamedCounter:
    return NamedCounter(
        RedFinder(**rules), Counter(ColourCounter(Preprocess(tile=0)), "colour", device="cpu"), "finder"
    )


CENTRES = lattice(300, 200, step=41.7, size=SIZE)
REDS, BLUES = CENTRES[::2], CENTRES[1::2]
PICTURE = np.maximum(scene(300, 200, REDS, SIZE), scene(300, 200, BLUES, SIZE, BLUE))


def test_the_named_things_are_counted_by_examples_that_are_shown() -> None:
    result = by_name().count(PICTURE, text="red")
    # what lies further from a peak than half an object, here a disc's soft rim, belongs to none
    assert result.count == pytest.approx(len(REDS), rel=0.05)
    assert (result.model, result.prompt.text, result.prompt.exemplars) == ("finder", "red", ())
    assert len(result.found) == EXAMPLES
    for x0, y0, x1, y1 in result.found:
        assert (x1 - x0, y1 - y0) == (SIZE, SIZE)
        assert min(np.hypot((x0 + x1) / 2 - x, (y0 + y1) / 2 - y) for x, y in REDS) < STRIDE
    assert result.object_size == (SIZE, SIZE)
    assert len(result.points) == round(result.count)
    distance = np.linalg.norm(result.points[:, None] - np.array(CENTRES)[None], axis=-1)
    assert {tuple(CENTRES[i]) for i in distance.argmin(1)} <= {tuple(c) for c in REDS}


def test_a_name_that_fits_nothing_counts_next_to_nothing_and_says_so() -> None:
    result = by_name().count(PICTURE, text="green")
    assert result.count < 0.01 * len(REDS)
    assert "goes by that name" in result.warnings[0]
    assert "a box drawn" in result.warnings[0]


def test_a_region_and_a_kept_picture_are_respected() -> None:
    counter = by_name()
    left = ((0.0, 0.0), (150.0, 0.0), (150.0, 200.0), (0.0, 200.0))
    whole, part = counter.count(PICTURE, text="red"), counter.count(PICTURE, text="red", region=left)
    assert part.count == pytest.approx(whole.density[:, :150].sum(), rel=1e-3)
    kept = Session(counter, PICTURE)
    for _ in range(2):
        again = kept.count(text="red")
        assert again.count == whole.count
        assert again.found == whole.found


def test_looking_again_agrees() -> None:
    full = by_name().count(PICTURE, text="red", trust="full")
    assert full.signs["mirror"] < 0.15
    assert full.signs["zoom"] < 0.15


def test_a_picture_that_the_finder_sees_reduced_comes_back_at_its_own_scale() -> None:
    result = by_name(fit=(100, 150)).count(PICTURE, text="red")
    assert all(x1 - x0 == pytest.approx(2 * SIZE, rel=0.02) for x0, _, x1, _ in result.found if 0 < x0 < x1 < 300)


@pytest.mark.parametrize("grid", [(7, 9), (31, 40), (200, 300)])
def test_how_well_a_name_fits_is_read_wherever_the_places_lie(grid: tuple[int, int]) -> None:
    """The right third of the picture fits; a place is 8 pixels of a view of 50 x 90, whose last places overhang."""
    fit = torch.zeros(7, 12)
    fit[:, 7:] = 1  # from x = 60 on, up to rounding between two places
    named = TextMatches((), fit, (50 / 8, 90 / 8))
    down, across = ((torch.arange(n) + 0.5) / n for n in grid)
    points = torch.cartesian_prod(across * grid[1], down * grid[0])
    found, x = named.at(points, grid), points[:, 0] / grid[1] * 90
    assert bool((found[x >= 60] > 0.999).all())
    assert bool((found[x <= 52] < 0.001).all())
    mirrored = named.mirrored().at(points, grid)
    assert bool((mirrored[x <= 90 - 60 - 8] > 0.999).all())
    assert bool((mirrored[x >= 90 - 52 + 8] < 0.001).all())


def test_what_the_name_does_not_fit_is_shown_as_look_alikes() -> None:
    """Blue discs look like the examples to a counter that takes greys for colours; it is shown three of them."""
    counter = by_name()
    shown = counter.counter.model.negatives
    counter.count(PICTURE, text="red")
    assert shown == []  # blue does not look like red
    grey = TextMatches(((0.0, 0.0, 10.0, 20.0),), torch.tensor([[0.9, 0.1, 0.2, 0.6]]), (1.0, 4.0))
    points = torch.tensor([[0.5, 0.5], [1.5, 0.5], [2.5, 0.5], [3.5, 0.5]])
    others = grey.others(points, torch.tensor([1.0, 1.0, 1.0, 1.0]), (1, 4), (80, 40))
    assert others == ((25.0, 10.0, 35.0, 30.0), (45.0, 10.0, 55.0, 30.0))  # the worst first
    faint = grey.others(points, torch.tensor([1.0, 0.3, 1.0, 1.0]), (1, 4), (80, 40))
    assert faint == others[1:]
    assert grey.others(points[:0], torch.zeros(0), (1, 4), (80, 40)) == ()


def test_the_best_boxes_are_sure_apart_and_of_one_size() -> None:
    boxes = torch.tensor(
        [[0, 0, 20, 20], [2, 2, 22, 22], [100, 0, 120, 22], [0, 100, 80, 180], [200, 0, 221, 20], [300, 0, 320, 20.0]]
    )
    logits = torch.tensor([3.0, 2.9, 2.5, 2.8, 2.0, 0.5])
    # the second is the first again, the fourth of another size, the last not sure
    assert best_boxes(logits, boxes) == tuple(tuple(boxes[i].tolist()) for i in (0, 2, 4))
    assert best_boxes(logits[-1:], boxes[-1:]) == (tuple(boxes[-1].tolist()),)


class CountsPreparations(ColourCounter):
    def __init__(self, *args: object, **inference: object) -> None:
        super().__init__(*args, **inference)
        self.prepared: list[tuple[int, ...]] = []

    def prepare(self, image: Tensor) -> Tensor:
        self.prepared.append(tuple(image.shape))
        return image


def test_another_name_at_about_the_same_scale_finds_the_picture_prepared() -> None:
    """Both networks prepare the picture once in a session, whatever is named; at exact scales each name asks anew."""
    prepared = {}
    for steps in (4, 0):
        colours = CountsPreparations(Preprocess(tile=0, object_size=20.0))
        finder = RedFinder()
        counter = NamedCounter(finder, Counter(colours, "colour", device="cpu", scale_steps=steps), "finder")
        session = Session(counter, PICTURE)
        for name in ("red", "green", "red"):
            session.count(text=name)
        assert len(finder.prepared) == 1
        prepared[steps] = len(colours.prepared)
    assert prepared[4] == 1


def test_plain_sums_are_those_of_the_counter_that_counts() -> None:
    snapping = ColourCounter(Preprocess(tile=0), snap_peaks=(0.4, 1.5))
    counter = NamedCounter(RedFinder(), Counter(snapping, "colour", device="cpu"), "finder")
    whole, plain = counter.count(PICTURE, text="red"), counter.summed().count(PICTURE, text="red")
    assert whole.count == pytest.approx(len(REDS), abs=1e-3)
    assert plain.count == by_name().count(PICTURE, text="red").count != whole.count


def test_what_a_named_counter_is_asked_wrongly_is_said() -> None:
    counter = by_name()
    with pytest.raises(LikewiseError, match="finder takes no exemplars; it takes text"):
        counter.count(PICTURE, [(10, 10, 30, 30)])
    with pytest.raises(LikewiseError, match="finder takes no exemplars; it takes text"):
        counter.count(PICTURE, text="red", like=[(PICTURE, (10, 10, 30, 30))])
    with pytest.raises(LikewiseError, match="does not know what to count; show it with text="):
        counter.count(PICTURE)
    with pytest.raises(LikewiseError, match="no word of it is known"):
        counter.count(PICTURE, text="unknown")
