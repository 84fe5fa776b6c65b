from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage import data

import likewise as lw
from likewise.adaptation import adapt as module
from likewise.adaptation.adapt import adapt
from likewise.adaptation.corrections import Correction
from likewise.adaptation.ways import Way
from likewise.errors import LikewiseError
from likewise.predict import Counter
from likewise.predict.taught import Taught

from .made_up_counters import DotCounter, LearningDotCounter, dots, scattered

BOX = (0.0, 0.0, 8.0, 8.0)
COUNTS = (12, 20, 31, 16, 25)


@pytest.fixture
def quick_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ways that suit a decoder of six numbers."""
    ways = (Way("nothing"), Way("the last layers", 1, 0.1, 30), Way("the decoder", None, 0.1, 30))
    monkeypatch.setattr(module, "WAYS", ways)


def corrections(counts=COUNTS, *, points: bool = True, seed: int = 0) -> list[Correction]:
    found = []
    for index, count in enumerate(counts):
        places = scattered(count, seed + index)
        truth = {"points": [(x + 0.5, y + 0.5) for x, y in places]} if points else {"count": count}
        found.append(Correction(dots(places), [BOX], name=f"{index}.png", **truth))
    return found


def counted(pairs: Iterable[tuple[int, float]]) -> list[Correction]:
    """Pictures of so many dots, for each of which a count is told."""
    return [Correction(dots(scattered(n, i)), [BOX], count=t, name=f"{i}") for i, (n, t) in enumerate(pairs)]


@pytest.mark.parametrize("mass", [0.5, 0.8, 2.0])
@pytest.mark.parametrize("points", [True, False])
def test_a_counter_that_is_off_by_a_factor_learns_its_inverse(mass: float, points: bool):
    adapted = adapt(Counter(DotCounter(mass), "dots"), corrections(points=points))
    assert adapted.taught.chosen == "a factor"
    assert adapted.inference.factor == pytest.approx(1 / mass, rel=1e-5)
    result = adapted.count(dots(scattered(40, 99)))
    assert result.count == pytest.approx(40, rel=1e-5)
    assert result.grid.sum() == pytest.approx(40, rel=1e-5)
    assert adapted.taught.before == pytest.approx(abs(1 - mass), rel=1e-5)
    assert adapted.taught.after == pytest.approx(0, abs=1e-5)


def test_nothing_is_kept_where_corrections_agree_with_the_counts():
    counter = Counter(DotCounter(1.0), "dots")
    adapted = adapt(counter, corrections())
    assert adapted.taught.chosen == "nothing"
    assert adapted.inference.factor == 1.0
    assert not adapted.taught.changed
    picture = dots(scattered(17, 5))
    assert adapted.count(picture, [BOX]).count == counter.count(picture, [BOX]).count


def test_where_nothing_is_kept_pictures_with_boxes_are_counted_bit_for_bit_as_before():
    """The bundled counter, in three views of one picture whose counts are said to be right as they are."""
    counter, coins = lw.load("spdcn-lite", device="cpu"), data.coins()
    boxes = [(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)]
    parts = [(0, 0, 384, 150), (0, 150, 384, 303), (0, 0, 190, 303)]
    regions = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in parts]
    told = [
        lw.Correction(coins, boxes, region=each, count=counter.count(coins, boxes, region=each).count)
        for each in regions
    ]
    adapted = adapt(counter, told)
    assert adapted.taught.chosen == "nothing"
    mirrored = np.ascontiguousarray(coins[:, ::-1])
    for prompt in ([(384 - 120, 39, 384 - 81, 74)], lw.Prompt([(384 - 120, 39, 384 - 81, 74)], region=regions[0])):
        before, after = counter.count(mirrored, prompt), adapted.count(mirrored, prompt)
        assert after.grid.tobytes() == before.grid.tobytes()
        assert after.points.tobytes() == before.points.tobytes()


def test_each_way_to_ask_has_a_factor_of_its_own(monkeypatch: pytest.MonkeyPatch):
    """A counter that sees four fifths of the things by boxes in the picture, and half of them by any elsewhere."""
    monkeypatch.setattr(DotCounter, "count_like", lambda _self, image, _features: _black(image) * 0.5)
    monkeypatch.setattr(
        DotCounter, "answer", lambda self, image, prompt: (_black(image) * 0.8, _described(self, image, prompt))
    )
    adapted = adapt(Counter(DotCounter(1.0), "dots"), corrections())
    assert adapted.inference.factor == pytest.approx(1.25, rel=1e-5)
    assert adapted.by_examples.factor == pytest.approx(2, rel=1e-5)
    picture = dots(scattered(40, 99))
    assert adapted.count(picture, [BOX]).count == pytest.approx(40, rel=1e-5)
    assert adapted.count(picture).count == pytest.approx(40, rel=1e-5)
    assert [each.name for each in adapted.taught.without_boxes] == ["nothing", "a factor"]
    assert [each.error for each in adapted.taught.without_boxes] == pytest.approx([0.5, 0], abs=1e-5)
    assert adapted.summed().by_examples.factor == adapted.by_examples.factor


@pytest.mark.parametrize("pictures", [3, 4, 5])
def test_a_plain_bias_is_mended_however_much_pictures_differ(pictures: int):
    """All counts are too low, some by a tenth and some by a third."""
    off = (0.9, 0.7, 0.85, 0.67, 0.8)[:pictures]
    told = counted((40, 40 / each) for each in off)
    assert adapt(Counter(DotCounter(1.0), "dots"), told).taught.chosen == "a factor"


def test_the_decoder_is_left_alone_where_a_factor_is_good_enough():
    adapted = adapt(Counter(LearningDotCounter(0.5), "dots"), corrections())
    assert [each.name for each in adapted.taught.candidates] == ["nothing", "a factor"]
    assert adapted.taught.stopped == ""


def test_a_factor_that_helps_by_chance_is_not_kept():
    """Half of the pictures are counted too high, half too low: no factor helps what was left out."""
    counts = (10, 20, 10, 20, 10, 20)
    told = counted((15, n) for n in counts)
    assert adapt(Counter(DotCounter(1.0), "dots"), told).taught.chosen == "nothing"


@pytest.mark.usefixtures("quick_ways")
def test_a_decoder_learns_what_no_factor_can():
    """Grey dots are other things, as many as there are black ones in one picture and none in the next."""
    told = []
    for index, (black, grey) in enumerate([(20, 0), (5, 25), (12, 12), (25, 3), (8, 30)]):
        places = scattered(black + grey, index)
        picture = dots(places[:black])
        for x, y in places[black:]:
            picture[y, x] = 128
        told.append(Correction(picture, [BOX], points=[(x + 0.5, y + 0.5) for x, y in places[:black]], name=f"{index}"))
    counter = Counter(LearningDotCounter(1.0), "dots")
    adapted = adapt(counter, told)
    assert adapted.taught.chosen.startswith("the last layers")
    assert adapted.taught.changed == ("decoder.1.weight",)
    assert adapted.taught.after < 0.1 < 1.0 < adapted.taught.before
    test = dots(scattered(10, 50))
    for x, y in scattered(30, 50)[10:]:
        test[y, x] = 128
    assert counter.count(test, [BOX]).count == pytest.approx(30)
    assert adapted.count(test).count == pytest.approx(10, abs=1)
    assert counter.model.decoder[1].weight.tolist() == [[[[1.0]], [[1.0]]]]


@pytest.mark.usefixtures("quick_ways")
def test_counts_alone_teach_a_decoder():
    told = []
    for index, (black, grey) in enumerate([(20, 0), (5, 25), (12, 12), (25, 3), (8, 30)]):
        places = scattered(black + grey, index)
        picture = dots(places[:black])
        for x, y in places[black:]:
            picture[y, x] = 128
        told.append(Correction(picture, [BOX], count=black, name=f"{index}"))
    adapted = adapt(Counter(LearningDotCounter(1.0), "dots"), told)
    assert adapted.taught.changed
    assert adapted.taught.after < 0.2 * adapted.taught.before


@pytest.mark.usefixtures("quick_ways")
def test_features_are_worked_out_once_a_picture_and_a_way_to_ask(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "GOOD_ENOUGH", -1.0)
    counter = Counter(LearningDotCounter(0.5), "dots")
    made: list[LearningDotCounter] = []
    original = module.FrozenFeatures

    def remembered(network: LearningDotCounter) -> object:
        made.append(network)
        return original(network)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FrozenFeatures", remembered)
        adapt(counter, corrections())
    assert made[0].calls.features == 2 * len(COUNTS)  # asked with boxes of their own, and by those of the others
    assert len(made[0].calls.losses) == 2 * 30 * (5 * 4 + 5)  # two ways; five fits on four pictures, one on five


@pytest.mark.usefixtures("quick_ways")
def test_the_same_seed_gives_the_same_counter():
    found = [adapt(Counter(LearningDotCounter(0.5), "dots"), corrections(), seed=3) for _ in range(2)]
    assert found[0].taught == found[1].taught
    states = [each.model.state_dict() for each in found]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.usefixtures("quick_ways")
def test_only_what_was_reviewed_teaches():
    """Of each picture the left half was reviewed; the right half is full of dots that nobody pointed at."""
    half = [(0.0, 0.0), (32.0, 0.0), (32.0, 64.0), (0.0, 64.0)]
    told = []
    for index in range(4):
        places = scattered(40, index)
        left = [(x + 0.5, y + 0.5) for x, y in places if x < 32]
        told.append(Correction(dots(places), [BOX], region=half, points=left, name=f"{index}"))
    adapted = adapt(Counter(LearningDotCounter(0.5), "dots"), told)
    assert adapted.count(dots(scattered(30, 77))).count == pytest.approx(30, rel=0.05)
    assert {each.kind for each in adapted.taught.pictures} == {"points in a region"}
    assert [each.truth for each in adapted.taught.pictures] == [len(each.points) for each in told]


def test_a_mixture_of_all_forms():
    third, fourth, fifth = scattered(30, 2), scattered(16, 3), scattered(24, 4)
    missing, wrong = (60.5, 60.5), (third[0][0] + 0.9, third[0][1] + 0.4)
    top = [(0, 0), (64, 0), (64, 32), (0, 32)]
    in_top = sum(y < 32 for _, y in fifth)
    told = [
        *corrections(COUNTS[:2]),
        Correction(dots(third), [BOX], added=[missing], removed=[wrong], name="edited"),
        Correction(dots(fourth), count=np.float32(16), name="count alone, no box"),
        Correction(dots(fifth), [BOX], negatives=[(40, 40, 48, 48)], region=top, count=in_top, name="a part"),
    ]
    adapted = adapt(Counter(DotCounter(1.0), "dots"), told)
    assert [each.truth for each in adapted.taught.pictures] == [12, 20, 30, 16, in_top]
    assert [each.kind for each in adapted.taught.pictures] == ["points"] * 3 + ["count", "count in a region"]
    assert len(adapted.examples.exemplars) == 4
    assert adapted.examples.features[0].negatives == 1


def test_a_picture_is_asked_by_its_own_boxes_and_without_them_by_those_of_the_others():
    model = DotCounter(1.0)
    told = [Correction(dots(scattered(9, i)), [(0, 0, 8 + i, 8)], count=9, name=f"{i}") for i in range(3)]
    told.append(Correction(dots(scattered(9, 3)), count=9, name="without a box"))
    adapted = adapt(Counter(model, "dots"), told)
    widths = [sorted(each.sizes[:, 1].tolist()) for each in model.asked]
    assert widths == [[8], [9], [10], [8, 9, 10], [9, 10], [8, 10], [8, 9]]
    adapted.count(dots(scattered(9, 5)), [(0, 0, 20, 20)])
    assert adapted.model.asked[-1].sizes[:, 1].tolist() == [20]
    adapted.count(dots(scattered(9, 5)))
    assert sorted(adapted.model.asked[-1].sizes[:, 1].tolist()) == [8, 9, 10]


def test_intervals_narrow_to_what_the_pictures_showed():
    counts = [(20, 21), (30, 29), (25, 26), (16, 15), (40, 42)]
    told = counted(counts)
    adapted = adapt(Counter(DotCounter(1.0), "dots"), told)
    low, high = adapted.count(dots(scattered(30, 9))).interval
    assert 24 < low < 29
    assert 31 < high < 37


@pytest.mark.usefixtures("quick_ways")
@pytest.mark.parametrize(("when", "tried"), [(0.15, 2), (0.7, 4)])
def test_stopped_by_hand_the_best_so_far_is_kept(monkeypatch: pytest.MonkeyPatch, when: float, tried: int):
    monkeypatch.setattr(module, "GOOD_ENOUGH", -1.0)

    def stop(_what: str, share: float) -> None:
        if when < share < 1:
            raise KeyboardInterrupt

    adapted = adapt(Counter(LearningDotCounter(0.5), "dots"), corrections(), progress=stop)
    assert adapted.taught.stopped == "stopped by hand"
    assert len(adapted.taught.candidates) == tried
    assert adapted.count(dots(scattered(30, 77))).count == pytest.approx(30, rel=0.05)


@pytest.mark.usefixtures("quick_ways")
def test_when_the_time_is_over_the_best_so_far_is_kept():
    adapted = adapt(Counter(LearningDotCounter(0.5), "dots"), corrections(), seconds=1e-9)
    assert adapted.taught.stopped.startswith("the time was over")
    assert adapted.taught.chosen == "a factor"
    assert adapted.by_examples is None
    assert adapted.count(dots(scattered(30, 77))).count == pytest.approx(30, rel=0.05)


@pytest.mark.usefixtures("quick_ways")
def test_what_there_is_no_time_for_is_not_begun_in_vain(monkeypatch: pytest.MonkeyPatch):
    """The time goes by a second a step; a way has 6 parts of 30 steps and more."""
    monkeypatch.setattr(module, "GOOD_ENOUGH", -1.0)
    steps: list[str] = []
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: float(len(steps))))

    def taught(seconds: float) -> Taught:
        steps.clear()
        told = corrections()
        return adapt(
            Counter(LearningDotCounter(0.5), "dots"), told, seconds=seconds, progress=lambda what, _: steps.append(what)
        ).taught

    assert taught(1e9).stopped == ""
    whole = steps.count("trying the last layers")
    looked = steps.index("trying the last layers")
    found = taught(looked + whole / 2)
    assert found.stopped.startswith("the time was over")
    assert len(found.candidates) == 2
    assert len(steps) < looked + whole / 4 + 2
    assert len(taught(looked + 1.1 * whole).candidates) == 4


def _black(image):
    return (image.mean(1, keepdim=True) < 0.5).float()


def _described(counter, image, prompt):
    return counter.encode_exemplars(image, prompt)


@pytest.mark.usefixtures("quick_ways")
def test_progress_rises_to_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "GOOD_ENOUGH", -1.0)
    shares: list[float] = []
    adapt(Counter(LearningDotCounter(0.5), "dots"), corrections(), progress=lambda _what, share: shares.append(share))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert max(b - a for a, b in pairwise(shares)) < 0.1


def test_refusals_say_what_to_do():
    counter = Counter(DotCounter(0.5), "dots")
    with pytest.raises(LikewiseError, match="2 corrected pictures; expected at least 3"):
        adapt(counter, corrections()[:2])
    with pytest.raises(LikewiseError, match=r"seconds = 0: expected more than 0"):
        adapt(counter, corrections(), seconds=0)
    with pytest.raises(LikewiseError, match="was taught before; adapt dots, with all corrected pictures together"):
        adapt(adapt(counter, corrections()), corrections())
    told = [Correction(dots(scattered(5, i)), count=5, name=f"{i}.png") for i in range(3)]
    with pytest.raises(LikewiseError, match=r"0.png: dots does not know what to count"):
        adapt(counter, told)
    with pytest.raises(LikewiseError, match=r"removed point .* is none of the counter's"):
        adapt(counter, [*corrections()[:3], Correction(dots([]), [BOX], removed=[(3, 3)], name="x")])
    with pytest.raises(LikewiseError, match=r"x: point .100, 3. lies outside the picture, which is 64 x 64 pixels"):
        adapt(counter, [*corrections()[:3], Correction(dots([]), [BOX], points=[(100, 3)], name="x")])
    with pytest.raises(LikewiseError, match="this counter was taught nothing"):
        counter.save("x.safetensors")


def test_the_record_is_read_at_a_glance():
    adapted = adapt(Counter(DotCounter(0.5), "dots"), corrections())
    assert repr(adapted.taught) == "<taught dots by 5 pictures: a factor, error 0.500 -> 0.000>"
    assert math.isclose(adapted.taught.pictures[0].before, 6.0, rel_tol=1e-5)
    assert lw.adapt is adapt
    assert lw.Correction is Correction
