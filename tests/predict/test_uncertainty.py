"""Signs and warnings on densities and boxes where it is known what is odd."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.predict import Counter
from likewise.predict.uncertainty import (
    AGAIN,
    SIGNS,
    CountDiagnostics,
    box_sum,
    signs_of,
    warnings_of,
    whole_interval,
)
from likewise.preprocess.rules import Preprocess
from likewise.types import Calibration, PromptBatch


def looked(**changes: Any) -> CountDiagnostics:
    """Twenty things, one of them in the only box there is besides another like it; nothing odd."""
    grid = np.zeros((40, 60), np.float32)
    for i in range(20):
        grid[4 + 8 * (i // 5), 6 + 12 * (i % 5)] = 1
    plain: dict[str, Any] = {
        "count": 20.0,
        "grid": grid,
        "size": (120, 80),
        "exemplars": ((6, 2, 20, 16), (30, 2, 44, 16)),
        "sides": (24.0, 24.0),
        "scores": np.ones(20, np.float32),
        "peaks": 20,
        "clear": 20,
        "apart": 2.5,
        "mean_cosine": 1.0,
        "scale": 0.5,
        "wanted": 0.5,
        "again": {},
    }
    return CountDiagnostics(**{**plain, **changes})


def test_nothing_odd_gives_no_sign_but_the_count_and_no_warning() -> None:
    signs = signs_of(looked())
    assert set(signs) == set(SIGNS)
    assert {name for name, value in signs.items() if value > 1e-6} == {"few"}
    assert signs["few"] == pytest.approx(1 / math.sqrt(21))
    assert warnings_of(looked(), signs, None) == ()


ODD = {
    "unlike": ({"mean_cosine": 0.3}, 0.7, "do not look like each other"),
    "sizes": ({"sides": (24.0, 96.0)}, math.log(2), "differ 4.0 times in size"),
    "alone": ({"sides": (24.0,)}, 1.0, None),
    "limit": ({"wanted": 1.5}, math.log(3), "too small for this model"),
    "tiny": ({"sides": (5.0, 5.0)}, math.log(4), "only 5 pixels large"),
    "blunt": ({"peaks": 9, "clear": 9}, math.log(2.1), "run into each other: 9 stand out"),
    "mass": ({"exemplars": ((6, 2, 20, 16), (90, 70, 118, 79))}, math.log(2), "counted as 0.5 each"),
    "faint": ({"peaks": 41}, math.log(2), "21 more places look a little like"),
    "crowded": ({"apart": 0.5}, math.log(4), None),
    "ragged": ({"scores": np.array([0.5, 1.25, 1.0, 1.25], np.float32)}, 0.25, None),
    "unnamed": ({"alike_count": 41.0}, math.log(2), "Of 41 that look alike, only 20 seem to go by the name"),
    "many": ({"count": 2000.0}, math.log(20), "very many"),
    "mirror": ({"again": {"mirror": 41.0}}, math.log(2), "mirrored gives 41"),
    "zoom": ({"again": {"zoom": 9.5}}, math.log(2), "at another scale gives 10"),
}


@pytest.mark.parametrize("name", ODD)
def test_each_sign_tells_one_thing_and_a_grave_one_is_put_in_words(name: str) -> None:
    changes, value, words = ODD[name]
    seen = looked(**changes)
    signs, plain = signs_of(seen), signs_of(looked())
    assert signs[name] == pytest.approx(value, rel=1e-5)
    others = {other for other in plain if other != name and abs(signs[other] - plain[other]) > 1e-6}
    assert others <= ({"few"} if name == "many" else set())
    said = warnings_of(seen, signs, None)
    assert (len(said) == 1 and words in said[0]) if words else said == ()


def test_every_sign_is_tested() -> None:
    assert set(ODD) | {"few"} == {*SIGNS, *AGAIN}


def test_nothing_found_is_said() -> None:
    empty = looked(count=0.1, grid=np.zeros((40, 60), np.float32), scores=np.zeros(0, np.float32), clear=0)
    assert "Next to nothing was found" in " ".join(warnings_of(empty, signs_of(empty), None))


def test_a_box_holds_what_a_fine_grid_of_points_finds() -> None:
    rng = np.random.default_rng(0)
    grid = rng.random((9, 12)).astype(np.float32)
    fine = np.kron(grid, np.ones((100, 100))) / 100**2
    for _ in range(20):
        x0, y0 = rng.uniform(-2, 8, 2).round(2)
        x1, y1 = np.add((x0, y0), rng.uniform(0.3, 6, 2).round(2))
        rows, columns = (slice(*np.clip(np.rint(np.array(v) * 100), 0, None).astype(int)) for v in ((y0, y1), (x0, x1)))
        assert box_sum(grid, np.array([x0, y0, x1, y1])) == pytest.approx(fine[rows, columns].sum(), abs=1e-6)


TRUST = Calibration(("blunt", "alone"), (1.0, 0.5), math.log(0.1), 1.0, 2.0, 0.2)


def test_the_interval_is_so_many_spreads_of_the_log() -> None:
    assert TRUST.spread({}) == pytest.approx(0.1)
    assert TRUST.spread({"blunt": math.log(2), "alone": 2.0, "else": 9.0}) == pytest.approx(0.1 * 2 * math.e)
    low, high = TRUST.interval(19.5, {})
    assert (low, high) == pytest.approx((20 * math.exp(-0.1) - 0.5, 20 * math.exp(0.2) - 0.5))
    assert TRUST.interval(0.0, {"alone": 3.0})[0] == 0.0
    assert TRUST.interval(0.0, {"alone": 9.0}) is None  # up to millions: that is no interval
    with pytest.raises(LikewiseError, match="1 weights for 2 signs"):
        replace(TRUST, weights=(1.0,))


def test_a_spread_beyond_doubt_is_warned_of_with_the_interval() -> None:
    signs = {**signs_of(looked()), "blunt": math.log(3)}
    *_, last = warnings_of(looked(), signs, TRUST)
    low, high = whole_interval(TRUST, 20.0, signs)
    assert f"from {low:.0f} to {high:.0f}" in last
    assert warnings_of(looked(), {**signs, "blunt": 0.0}, TRUST) == ()
    *_, last = warnings_of(looked(), {**signs, "alone": 9.0}, TRUST)
    assert "may be far off: how far, is not known" in last
    unworried = replace(TRUST, doubt=1e3)  # a count that cannot be trusted is warned of whatever the record doubts
    assert "it cannot be trusted" in warnings_of(looked(), {**signs, "alone": 9.0}, unworried)[-1]


@given(st.floats(0, 1e4), st.floats(0, 3))
def test_shown_intervals_are_whole_numbers_round_the_learnt_ones_and_never_0_to_0(count: float, sign: float) -> None:
    learnt, shown = TRUST.interval(count, {"alone": sign}), whole_interval(TRUST, count, {"alone": sign})
    assert (learnt is None) == (shown is None)
    if learnt is not None and shown is not None:
        assert shown[0] == int(shown[0]) <= shown[1] == int(shown[1])
        assert shown[0] <= math.ceil(learnt[0])  # every whole number that lies in the one
        assert shown[1] >= math.floor(learnt[1])  # lies in the other
        assert abs(learnt[0] - shown[0]) < 1 > abs(shown[1] - learnt[1])
        assert shown[0] - 0.051 <= count <= shown[1] + 0.051
        assert shown[1] >= 1


class Leaning(nn.Module):
    """Density = red / area of the exemplars, in the left part of the picture only: mirrored, there is another count."""

    prompts = ("exemplars",)
    cell = 1

    def __init__(self, share: float, **inference: Any) -> None:
        super().__init__()
        self.share = share
        self.config = SimpleNamespace(inference=InferenceConfig(Preprocess(tile=0), **inference))

    def prepare(self, image: Tensor) -> Tensor:
        return image

    def answer(self, image: Tensor, prompt: PromptBatch) -> tuple[Tensor, tuple[()]]:
        boxes = prompt.exemplars[0]
        area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).mean()
        density = image[:, :1] / area
        density[..., round(self.share * image.shape[-1]) :] = 0
        return density, ()


def squares() -> np.ndarray:
    """Eight red squares of 10 x 10, six of them in the left half."""
    picture = np.zeros((60, 200, 3), np.uint8)
    for i in range(8):
        x, y = (20 + 25 * (i % 3), 10 + 25 * (i // 3)) if i < 6 else (120 + 30 * (i - 6), 20)
        picture[y : y + 10, x : x + 10, 0] = 255
    return picture


def test_full_trust_looks_at_the_mirror_image_and_at_another_scale() -> None:
    box = [(20, 10, 30, 20)]
    fast = Counter(Leaning(1.0), "red", device="cpu").count(squares(), box)
    assert set(fast.signs) == set(SIGNS)
    even = Counter(Leaning(1.0), "red", device="cpu").count(squares(), box, trust="full")
    assert even.count == fast.count == pytest.approx(8)
    assert (even.signs["mirror"], even.signs["zoom"]) == pytest.approx((0, 0), abs=0.02)
    leaning = Counter(Leaning(0.5), "red", device="cpu").count(squares(), box, trust="full")
    assert leaning.count == pytest.approx(6)
    assert leaning.signs["mirror"] == pytest.approx(math.log(7 / 3), abs=1e-3)  # six are found, or the other two
    assert any("mirrored gives 2" in warning for warning in leaning.warnings)
    with pytest.raises(LikewiseError, match="expected 'fast' or 'full'"):
        Counter(Leaning(1.0), "red", device="cpu").count(squares(), box, trust="slow")  # type: ignore[arg-type]


def test_a_region_is_mirrored_with_its_picture() -> None:
    region = [(0, 0), (80, 0), (80, 60), (0, 60)]
    result = Counter(Leaning(1.0), "red", device="cpu").count(
        squares(), [(20, 10, 30, 20)], region=region, trust="full"
    )
    assert result.count == pytest.approx(6)
    assert result.signs["mirror"] == pytest.approx(0, abs=1e-3)


def test_only_weights_with_a_record_give_an_interval() -> None:
    box = [(20, 10, 30, 20)]
    assert Counter(Leaning(1.0), "red", device="cpu").count(squares(), box).interval is None
    narrow = replace(TRUST, weights=(0.1, 0.5))
    wide = replace(narrow, base=math.log(0.15))
    counter = Counter(Leaning(1.0, calibration=narrow, calibration_full=wide), "red", device="cpu")
    fast, full = (counter.count(squares(), box, trust=how) for how in ("fast", "full"))
    assert fast.interval == whole_interval(narrow, fast.count, fast.signs)
    assert full.interval == whole_interval(wide, full.count, full.signs)
    assert not fast.untrusted
    assert not full.untrusted


def test_a_count_whose_interval_would_be_of_no_use_is_untrusted() -> None:
    box = [(20, 10, 30, 20)]
    hopeless = replace(TRUST, base=math.log(2))
    result = Counter(Leaning(1.0, calibration=hopeless), "red", device="cpu").count(squares(), box)
    assert (result.interval, result.untrusted) == (None, True)
    assert "cannot be trusted" in result.warnings[-1]
    assert not Counter(Leaning(1.0), "red", device="cpu").count(squares(), box).untrusted  # nothing is known of it


def test_settled_densities_count_clear_peaks_as_one() -> None:
    """The network gives less than half a square; a config that settles from 0.4 to 1.5 makes it one."""
    half = Leaning(1.0, snap_peaks=(0.4, 1.5))
    box = [(17, 7, 32, 22)]  # too large a box: 100 / 225 a square
    result = Counter(half, "red", device="cpu").count(squares(), box)
    assert result.count == pytest.approx(8, rel=1e-4)
    assert len(result.points) == 8
    assert result.density.sum() == pytest.approx(8, rel=1e-4)
    counter = Counter(half, "red", device="cpu")
    assert counter.summed().count(squares(), box).count == pytest.approx(8 * 100 / 225, rel=1e-4)
    # a region that cuts squares in half counts half of each
    cut = Counter(half, "red", device="cpu").count(squares(), box, region=[(0, 0), (25, 0), (25, 60), (0, 60)])
    assert cut.count == pytest.approx(1.0, rel=0.02)
    assert result.signs["mass"] == pytest.approx(abs(math.log(100 / 225)), abs=0.01)  # judged by what the network gave
