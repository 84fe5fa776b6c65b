"""Counting on a canvas, as SPDCN was published: a network sees the canvas, and what comes out is the picture's."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from likewise.data.counting.canvas import FSC147Canvas
from likewise.data.counting.sample import CountSample
from likewise.engine.count_eval import evaluate
from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.methods.spdcn import SPDCN, SPDCN_LITE, SPDCN_PAPER, Config
from likewise.nn import trunks
from likewise.predict import Counter, Session
from likewise.preprocess.rules import Preprocess
from likewise.types import PromptBatch
from likewise.weights import config_from

SIZES = [(384, 512), (384, 683), (384, 384), (500, 384), (97, 131), (900, 1300), (1200, 300), (12, 9)]


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """The published network on a thin trunk, with some density everywhere."""
    monkeypatch.setattr(trunks, "VGG19_WIDTHS", ((4, 4), (4, 4), (6, 6, 6, 6), (8, 8, 8, 8)))
    torch.manual_seed(0)
    model = SPDCN(replace(Config(), channels=8, decoder=((8, 1), (64, 8)), decoder_std=0.3))
    torch.nn.init.constant_(model.decoder[2].bias, 0.05)
    return Counter(model, "thin", device="cpu")


@pytest.fixture
def small(counter: Counter) -> Counter:
    """The same with a quarter of the canvas a side."""
    rules = replace(counter.preprocess, fit=(96, 144))
    return counter.using(replace(counter.inference, preprocess=rules))


def picture(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 255, (height // 6 + 1, width // 6 + 1, 3), dtype=np.uint8)
    return coarse.repeat(6, 0).repeat(6, 1)[:height, :width]


def boxes_in(height: int, width: int) -> list[tuple[float, float, float, float]]:
    return [(0.1 * width, 0.2 * height, 0.3 * width, 0.5 * height), (0.61 * width, 0.4 * height, width, 0.93 * height)]


def sample_of(pixels: np.ndarray, boxes: list[tuple[float, ...]]) -> CountSample:
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    return CountSample(image, torch.ones(1, 2), torch.full((1, 4), torch.nan), torch.tensor(boxes), "x")


@pytest.mark.parametrize("size", SIZES)
def test_a_count_is_that_of_the_canvas_and_its_points_lie_in_the_picture(counter: Counter, size: tuple[int, int]):
    pixels, boxes = picture(*size), boxes_in(*size)
    result = counter.count(pixels, exemplars=boxes)
    placed = FSC147Canvas(to_pixels=True)(sample_of(pixels, boxes))
    with torch.inference_mode():
        whole = counter.model(placed.image[None].float() / 255, PromptBatch((placed.exemplars,)))[0, 0]
    assert result.count == pytest.approx(float(whole.double().sum()), rel=1e-5)
    assert result.density.shape == size
    assert float(result.density.sum(dtype=np.float64)) == pytest.approx(result.count, rel=1e-5)
    rows, columns = (min(max(1, round(n / 16)) * 16, most) for n, most in zip(size, (384, 576), strict=True))
    top, left = (384 - rows) // 2, (576 - columns) // 2
    inside = whole[top : top + rows, left : left + columns].numpy()
    assert result.grid.shape == inside.shape
    np.testing.assert_allclose(result.grid[1:-1, 1:-1], inside[1:-1, 1:-1], rtol=1e-5, atol=1e-5 * inside.max())
    assert result.grid[-1, -1] == pytest.approx(float(whole[top + rows - 1 :, left + columns - 1 :].sum()), rel=1e-5)
    points = result.points
    assert bool(((points >= 0) & (points <= [size[1], size[0]])).all())
    assert result.prompt.exemplars == tuple(sorted(boxes))


def test_sessions_regions_second_looks_and_other_pictures_work_on_a_canvas(small: Counter):
    pixels, boxes = picture(200, 300), boxes_in(200, 300)
    plain = small.count(pixels, exemplars=boxes)
    session = Session(small, pixels)
    for looked in (session.count(boxes), session.count(boxes, trust="full"), small.count(pixels, boxes)):
        assert looked.count == pytest.approx(plain.count, rel=1e-6)
    everywhere = [(0, 0), (300, 0), (300, 200), (0, 200)]
    assert small.count(pixels, boxes, region=everywhere).count == pytest.approx(plain.count, rel=1e-5)
    halves = ([(0, 0), (150, 0), (150, 200), (0, 200)], [(150, 0), (300, 0), (300, 200), (150, 200)])
    left, right = (small.count(pixels, boxes, region=half).count for half in halves)
    assert left + right == pytest.approx(plain.count, rel=1e-4)
    assert left > 0
    assert right > 0
    alike = small.count(pixels, like=[(pixels, box) for box in boxes])
    assert alike.count == pytest.approx(plain.count, rel=1e-4)


def test_boxes_come_to_whole_pixels_and_never_to_nothing(small: Counter):
    pixels = picture(96, 144)
    near = small.count(pixels, exemplars=[(40.4, 50.3, 79.6, 87.8)])
    assert near.count == small.count(pixels, exemplars=[(40, 50, 80, 88)]).count
    tiny = small.count(picture(2000, 3000), exemplars=[(2999.5, 1999.4, 3000, 2000)])
    assert np.isfinite(tiny.count)
    exact = small.using(replace(small.inference, whole_boxes=False))
    assert exact.count(pixels, exemplars=[(40.4, 50.3, 79.6, 87.8)]).count != near.count


def test_scores_are_of_the_first_three_boxes_and_of_pixels_with_dots(small: Counter):
    pixels, boxes = picture(192, 288), [*boxes_in(192, 288), *boxes_in(170, 220)]
    points = torch.tensor([[10.0, 10.0], [10.9, 10.2], [30.0, 10.0], [287.9, 191.9]])
    one = replace(sample_of(pixels, boxes), points=points, boxes=torch.full((4, 4), torch.nan))
    none = replace(one, points=points[:0], boxes=one.boxes[:0])
    told = replace(one, truth=7.0)
    found = evaluate(small, [one, none, told]).per_image
    assert [each.truth for each in found] == [3.0, 0.0, 7.0]
    assert found[0].count == small.count(pixels, exemplars=boxes[:3]).count
    assert evaluate(small, [one], exemplars=2).per_image[0].count == small.count(pixels, exemplars=boxes[:2]).count
    plain = small.using(InferenceConfig(small.preprocess))
    apart = evaluate(plain, [one]).per_image[0]
    assert (apart.truth, apart.count) == (4.0, plain.count(pixels, exemplars=boxes).count)


def test_the_published_preset_has_the_canvas_and_older_files_and_the_small_one_do_not():
    paper, lite = SPDCN_PAPER.config, SPDCN_LITE.config
    assert paper.inference.preprocess.canvas
    assert (paper.dots, paper.decoder_std, paper.vector_decay) == ("pixels", 0.005, False)
    assert (lite.dots, lite.decoder_std, lite.vector_decay) == ("exact", None, True)
    assert not lite.inference.preprocess.canvas
    assert (paper.inference.protocol, lite.inference.protocol) == ("fsc147", "")
    old = json.loads(json.dumps(asdict(paper)))
    for name in ("dots", "decoder_std", "vector_decay"):
        del old[name]
    del old["inference"]["protocol"], old["inference"]["whole_boxes"], old["inference"]["preprocess"]["canvas"]
    before = config_from(Config, old)
    assert (before.dots, before.decoder_std, before.vector_decay) == ("exact", None, True)
    assert not before.inference.preprocess.canvas
    assert not before.inference.whole_boxes


@pytest.mark.parametrize(
    "rules", [{}, {"fit": (384, 5000)}, {"fit": (8, 576)}, {"fit": (384, 576), "object_size": 32.0}]
)
def test_a_canvas_needs_a_size_that_can_be(rules: dict):
    with pytest.raises(LikewiseError, match="canvas = True, expected fit from 16 to 4096"):
        Preprocess(canvas=True, **rules)
