"""The counter with a network whose answer is known: it measures how much of its exemplars' colour a picture shows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import likewise.predict.densities as densities
from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.predict import Counter, load
from likewise.predict.prepared_image import PREVIEW
from likewise.preprocess.rules import Preprocess
from likewise.types import Box, Prompt, PromptBatch

RED, BLUE = (255, 0, 0), (0, 0, 255)


@dataclass(frozen=True)
class Colours:
    """Colour (K, 3) and area (K,) of each exemplar."""

    colours: Tensor
    areas: Tensor

    @staticmethod
    def merge(parts: Sequence[Colours]) -> Colours:
        return Colours(torch.cat([p.colours for p in parts]), torch.cat([p.areas for p in parts]))

    def mean_cosine(self) -> None:
        """Not told."""


class ColourCounter(nn.Module):
    """Density = share of the exemplars' colour in a pixel / the exemplars' area: exact for discs of one size.

    It is linear in the picture, so rescaling and tiling change nothing in its sum.
    """

    prompts = ("exemplars", "negatives")
    cell = 1

    def __init__(self, preprocess: Preprocess, **inference: object) -> None:
        super().__init__()
        self.config = SimpleNamespace(inference=InferenceConfig(preprocess, **inference))
        self.looks: list[tuple[int, int]] = []
        self.negatives: list[int] = []

    def prepare(self, image: Tensor) -> Tensor:
        return image

    def answer(self, image: Tensor, prompt: PromptBatch) -> tuple[Tensor, tuple[Colours, ...]]:
        described = self.encode_exemplars(image, prompt)
        return self.count_like(image, described), described

    def encode_exemplars(self, image: Tensor, prompt: PromptBatch, size: Tensor | None = None) -> tuple[Colours, ...]:
        self.negatives += [len(b) for b in prompt.negatives or ()]
        described = []
        for picture, boxes in zip(image, prompt.exemplars, strict=True):
            ends = boxes.round().long().tolist()
            colours = [picture[:, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] for x0, y0, x1, y1 in ends]
            # the middle of a disc is pure; its area is pi / 4 of its box
            pure = [c[:, c.shape[1] // 2, c.shape[2] // 2] for c in colours]
            area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * (np.pi / 4)
            described.append(Colours(torch.stack(pure) if pure else picture.new_zeros(0, 3), area))
        return tuple(described)

    def count_like(self, image: Tensor, exemplar_features: Sequence[Colours]) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.looks.append(tuple(image.shape[-2:]))
        maps = []
        for picture, seen in zip(image, exemplar_features, strict=True):
            colour = seen.colours.mean(0)
            share = torch.einsum("c,chw->hw", colour, picture) / colour.square().sum()
            maps.append(share[None] / seen.areas.mean())
        return torch.stack(maps)


def scene(
    width: int, height: int, centres: Sequence[tuple[float, float]], size: float, colour: tuple[int, int, int] = RED
) -> np.ndarray:
    """Discs on black, with soft edges."""
    picture = np.zeros((height, width, 3), np.float32)
    reach = int(size) + 2
    for x, y in centres:
        y0, x0 = max(0, int(y) - reach), max(0, int(x) - reach)
        patch = picture[y0 : int(y) + reach, x0 : int(x) + reach]
        yy, xx = np.mgrid[y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]] + 0.5
        inside = np.clip(size / 2 + 0.5 - np.hypot(xx - x, yy - y), 0, 1)[..., None]
        patch[:] = np.maximum(patch, inside * np.asarray(colour, np.float32))
    return np.rint(picture).astype(np.uint8)


def box_at(x: float, y: float, size: float) -> Box:
    return x - size / 2, y - size / 2, x + size / 2, y + size / 2


def lattice(width: int, height: int, step: float, size: float) -> list[tuple[float, float]]:
    xs = np.arange(size, width - size, step)
    ys = np.arange(size, height - size, step)
    return [(float(x) + 0.3, float(y) + 0.7) for y, x in itertools.product(ys, xs)]


def counter(**rules: object) -> Counter:
    return Counter(ColourCounter(Preprocess(**rules)), "colour", device="cpu")


RULES = {
    "as it is": {"tile": 0},
    "shrunk": {"object_size": 12.0, "tile": 0},
    "enlarged": {"object_size": 55.0, "tile": 0},
    "fitted": {"fit": (120, 300), "tile": 0},
    "tiled": {"tile": 128},
    "shrunk and tiled": {"object_size": 15.0, "tile": 96},
    "enlarged and tiled": {"object_size": 50.0, "tile": 256},
}
SIZES = {"landscape": (260, 190), "portrait": (150, 270), "panorama": (900, 80), "odd": (131, 97)}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_counts_and_places_come_back_in_the_callers_pixels(rules: dict[str, object], size: tuple[int, int]) -> None:
    centres = lattice(*size, step=41.7, size=24)
    picture = scene(*size, centres, 24)
    result = counter(**rules).count(picture, [box_at(*centres[0], 24), box_at(*centres[-1], 24)])
    assert result.count == pytest.approx(len(centres), rel=0.02)
    assert result.size == size
    assert result.density.shape == size[::-1]
    assert result.density.sum(dtype=np.float64) == pytest.approx(result.count, rel=1e-5)
    assert len(result.points) == len(centres)
    distance = np.linalg.norm(result.points[:, None] - np.array(centres)[None], axis=-1)
    assert sorted(distance.argmin(1)) == list(range(len(centres)))
    pixel = size[0] / result.grid.shape[1]  # of the network, in the caller's
    assert distance.min(1).max() < max(1.0, 0.5 * pixel)
    at_centres = [result.density[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].sum() for x, y in centres]
    assert min(at_centres) > 0.8 * 49 / (np.pi / 4 * 24**2)


def test_tiles_are_no_larger_than_asked_and_agree_with_one_look() -> None:
    centres = lattice(500, 400, 37.3, 20)
    picture, boxes = scene(500, 400, centres, 20), [box_at(*c, 20) for c in centres[:3]]
    whole, tiled = counter(tile=0), counter(tile=160)
    one, many = whole.count(picture, boxes), tiled.count(picture, boxes)
    assert whole.model.looks == [(400, 500)]
    assert len(tiled.model.looks) == 3 * 4
    assert max(max(look) for look in tiled.model.looks) <= 160
    np.testing.assert_allclose(many.grid, one.grid, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(np.sort(many.points, 0), np.sort(one.points, 0), atol=0.5)


@pytest.mark.parametrize("tile", [0, 96])
def test_the_order_of_the_exemplars_changes_nothing_at_all(tile: int) -> None:
    centres = lattice(300, 250, 40.1, 20)
    picture = scene(300, 250, centres, 20)
    boxes = [box_at(x, y, 20 + i) for i, (x, y) in enumerate(centres[:5])]
    count = counter(object_size=17.0, tile=tile).count
    expected = count(picture, boxes).grid
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        assert np.array_equal(count(picture, [boxes[i] for i in order]).grid, expected)


@pytest.mark.parametrize("exemplars", [1, 2, 3, 5, 20])
def test_any_number_of_exemplars(exemplars: int) -> None:
    centres = lattice(300, 250, 40.1, 20)
    result = counter(tile=128).count(scene(300, 250, centres, 20), [box_at(*c, 20) for c in centres[:exemplars]])
    assert result.count == pytest.approx(len(centres), rel=0.02)


@pytest.mark.parametrize("tile", [0, 128])
def test_the_count_follows_the_prompt(tile: int) -> None:
    red, blue = lattice(300, 140, 40, 20), [(x, y + 150) for x, y in lattice(300, 100, 60, 20)]
    picture = np.maximum(scene(300, 300, red, 20), scene(300, 300, blue, 20, BLUE))
    ask = counter(tile=tile).count
    assert ask(picture, [box_at(*red[0], 20)]).count == pytest.approx(len(red), rel=0.02)
    assert ask(picture, [box_at(*blue[0], 20)]).count == pytest.approx(len(blue), rel=0.02)


def test_every_kind_of_picture_gives_the_same_count(tmp_path: Path) -> None:
    centres = lattice(200, 150, 40, 20)
    picture = scene(200, 150, centres, 20)
    path = tmp_path / "scene.png"
    Image.fromarray(picture).save(path)
    ask, boxes = counter(tile=0).count, [box_at(*centres[0], 20)]
    expected = ask(picture, boxes)
    bytes_ = torch.from_numpy(picture).permute(2, 0, 1)
    for image in (path, str(path), Image.open(path), bytes_, bytes_.float() / 255):
        assert np.array_equal(ask(image, boxes).grid, expected.grid)
    assert [ask(i, boxes).source for i in (path, Image.open(path), picture)] == [str(path), str(path), None]


@pytest.mark.parametrize("object_size", [None, 15.0])
@pytest.mark.parametrize("tile", [0, 100])
def test_exemplars_may_lie_in_other_pictures(object_size: float | None, tile: int) -> None:
    there, here = [(60.0, 50.0), (150.0, 90.0)], lattice(300, 200, 40, 20)
    reference = scene(260, 140, there, 20)
    ask = counter(object_size=object_size, tile=tile)
    result = ask.count(scene(300, 200, here, 20), like=[(reference, box_at(*c, 20)) for c in there])
    assert result.count == pytest.approx(len(here), rel=0.03)
    assert len(result.points) == len(here)
    assert result.object_size == pytest.approx((20, 20))


def test_a_likeness_is_looked_at_once_and_used_often() -> None:
    ask = counter(object_size=15.0)
    blue = scene(100, 100, [(50, 50)], 20, BLUE)
    likeness = ask.encode_exemplars([(blue, box_at(50, 50, 20))])
    here = lattice(300, 200, 60, 20)
    picture = np.maximum(scene(300, 200, here[:5], 20, BLUE), scene(300, 200, here[5:], 20))
    direct = ask.count(picture, like=[(blue, box_at(50, 50, 20))])
    assert ask.count(picture, like=likeness).count == direct.count == pytest.approx(5, rel=0.03)


def test_each_reference_is_rescaled_by_its_own_exemplars() -> None:
    """The same disc photographed at twice the size is the same example once both are brought to 16 pixels."""
    small, large = scene(100, 100, [(50, 50)], 20), scene(200, 200, [(100, 100)], 40)
    here = lattice(300, 200, 60, 30)
    ask = counter(object_size=16.0)
    likeness = ask.encode_exemplars([(small, box_at(50, 50, 20)), (large, box_at(100, 100, 40))])
    areas = torch.cat([d.areas for d in likeness.features])
    torch.testing.assert_close(areas, torch.full((2,), np.pi / 4 * 256), rtol=0.01, atol=0)
    # own exemplars say how large things are here
    result = ask.count(scene(300, 200, here, 30), [box_at(*here[0], 30)], like=likeness)
    assert result.count == pytest.approx(len(here), rel=0.03)


@pytest.mark.parametrize("tile", [0, 128])
def test_only_what_lies_in_the_region_is_counted(tile: int) -> None:
    centres = lattice(400, 300, 40, 20)
    region = [(0, 0), (199.5, 0), (199.5, 300), (0, 300)]  # no disc is cut by it
    ask = counter(object_size=15.0, tile=tile)
    result = ask.count(scene(400, 300, centres, 20), [box_at(*centres[-1], 20)], region=region)
    inside = [c for c in centres if c[0] < 199.5]
    assert result.count == pytest.approx(len(inside), rel=0.03)
    assert len(result.points) == len(inside)
    assert result.points[:, 0].max() < 199.5
    assert result.density[:, 203:].sum() < 1e-3
    if tile:
        assert len(ask.model.looks) < len(counter(object_size=15.0, tile=tile).model.looks) + 9


def test_a_region_round_nothing_counts_nothing() -> None:
    picture = scene(100, 80, [(20, 20)], 20)
    result = counter().count(picture, [box_at(20, 20, 20)], region=[(60, 10), (90, 10), (75, 70)])
    assert result.count == pytest.approx(0, abs=1e-6)
    assert result.points.shape == (0, 2)


def test_points_are_as_many_as_the_count_rounds_to() -> None:
    """Two faint discs add half an object to the sum but are peaks all the same: the faintest are left out."""
    strong, faint = [(30.0, 30.0), (90.0, 30.0), (150.0, 30.0)], [(30.0, 90.0), (90.0, 90.0)]
    picture = np.maximum(scene(200, 120, strong, 20), scene(200, 120, faint, 20, (64, 0, 0)))
    result = counter(tile=0).count(picture, [box_at(*strong[0], 20)])
    assert result.count == pytest.approx(3.5, rel=0.03)
    assert len(result.points) == round(result.count)
    assert sorted(map(tuple, result.points[:3].round(0).tolist())) == strong
    assert (np.diff(result.scores) <= 0).all()


def test_negatives_reach_a_model_that_takes_them() -> None:
    picture = scene(300, 300, [(40, 40), (250, 250)], 20)
    for tile, shares in ((0, [1]), (96, [0, 1])):
        ask = counter(tile=tile)
        ask.count(picture, [box_at(40, 40, 20)], negatives=[box_at(250, 250, 20)])
        assert ask.model.negatives == shares


def test_one_pixel() -> None:
    result = counter(object_size=36.0).count(np.full((1, 1, 3), RED, np.uint8), [(0, 0, 1, 1)])
    assert result.size == (1, 1)
    assert result.density.shape == (1, 1)
    assert np.isfinite(result.count)


def test_a_large_picture_is_counted_in_tiles_and_kept_in_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(densities, "MAX_GRID", 1 << 20)
    centres = lattice(4000, 3000, 331, 90)
    picture = scene(4000, 3000, centres, 90)
    result = counter(tile=1024).count(picture, [box_at(*centres[0], 90)])
    assert result.grid.size <= 1 << 20
    assert result.count == pytest.approx(len(centres), rel=0.01)
    distance = np.linalg.norm(result.points[:, None] - np.array(centres)[None], axis=-1)
    assert len(result.points) == len(centres)
    assert distance.min(1).max() < 0.5 * 4000 / result.grid.shape[1]
    assert max(result.image.shape) == PREVIEW


def test_a_density_is_kept_in_the_networks_own_cells() -> None:
    centres = lattice(400, 300, 61, 30)
    picture, boxes = scene(400, 300, centres, 30), [box_at(*centres[0], 30)]
    by_pixels, by_cells = counter(tile=256), counter(tile=256)
    by_cells.model.cell = 4
    whole, coarse = (c.count(picture, boxes) for c in (by_pixels, by_cells))
    assert whole.grid.shape == (300, 400)
    assert coarse.grid.shape == (75, 100)
    squares = whole.grid.reshape(75, 4, 100, 4).sum((1, 3))
    np.testing.assert_allclose(coarse.grid, squares, atol=1e-6)
    inside = [(10.5, 20.0), (301.0, 33.0), (200.0, 288.0)]  # a region's edge may run through cells
    parts = [c.count(picture, boxes, region=inside).count for c in (by_pixels, by_cells)]
    assert parts[1] == pytest.approx(parts[0], rel=0.02)


PICTURE = scene(100, 80, [(20, 20)], 20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"does not know what to count.*exemplars=\[\(x0, y0, x1, y1\), ...\].*like="),
        ({"exemplars": [(10, 10, 30, 30)], "text": "discs"}, "takes no text; it takes exemplars, negatives"),
        ({"exemplars": [(10, 10, 300, 30)]}, "reaches outside the picture, which is 100 x 80"),
        ({"exemplars": [(30, 10, 10, 30)]}, "swapped corners"),
        ({"exemplars": [(10, 10, 10, 30)]}, "zero area"),
        ({"exemplars": (10, 10, 30, 30)}, "must be a list of boxes"),
        ({"exemplars": [(10, 10, 30, 30)], "region": [(0, 0), (1, 1)]}, "at least three"),
        ({"exemplars": [(10, 10, 30, 30)], "region": [(500, 0), (600, 0), (500, 9)]}, "outside the picture"),
        ({"like": [(PICTURE, (10, 10, 300, 30))]}, "like: picture: .*reaches outside"),
        ({"like": [("gone.jpg", (10, 10, 30, 30))]}, r"gone\.jpg"),
    ],
)
def test_what_a_caller_can_get_wrong_is_said(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(LikewiseError, match=message):
        counter().count(PICTURE, **arguments)


@pytest.mark.parametrize("shape", [(4, 80, 100), (80, 100), (1, 3, 80, 100)])
def test_a_tensor_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(LikewiseError, match=r"expected \(3, H, W\)"):
        counter().count(torch.zeros(shape), [(10, 10, 30, 30)])


def test_describing_nothing_is_refused() -> None:
    with pytest.raises(LikewiseError, match="nothing to go by"):
        counter().encode_exemplars([])


class Broken(ColourCounter):
    def count_like(self, image: Tensor, exemplar_features: Sequence[Colours]) -> Tensor:
        density = super().count_like(image, exemplar_features)
        density[..., 0, 0] = torch.nan
        return density


class Misshapen(ColourCounter):
    def count_like(self, image: Tensor, exemplar_features: Sequence[Colours]) -> Tensor:
        return super().count_like(image, exemplar_features)[..., ::2, ::2]


def test_a_density_that_is_not_finite_is_never_returned() -> None:
    with pytest.raises(LikewiseError, match="not finite"):
        Counter(Broken(Preprocess()), "broken", device="cpu").count(PICTURE, [(10, 10, 30, 30)])


def test_a_model_that_breaks_the_contract_is_found_out() -> None:
    with pytest.raises(ValueError, match=r"\(1, 1, 40, 50\), expected \(1, 1, 80, 100\)"):
        Counter(Misshapen(Preprocess()), "misshapen", device="cpu").count(PICTURE, [(10, 10, 30, 30)])


class ByName(ColourCounter):
    prompts = ("text",)

    def check(self, text: str) -> None:
        assert text == "discs"

    def encode(self, texts: tuple[str, ...]) -> Tensor:
        assert texts == ("discs",)
        return torch.tensor([[np.pi / 4 * 400]])

    def count(self, image: Tensor, text: Tensor) -> Tensor:
        return image[:, :1] / text[:, :, None, None]


@pytest.mark.parametrize("tile", [0, 64])
def test_a_model_that_takes_names_needs_no_exemplars(tile: int) -> None:
    centres = lattice(200, 150, 40, 20)
    ask = Counter(ByName(Preprocess(tile=tile)), "by-name", device="cpu")
    result = ask.count(scene(200, 150, centres, 20), text="discs")
    assert result.count == pytest.approx(len(centres), rel=0.02)
    assert result.object_size is None
    assert result.to_coco()["categories"][0]["name"] == "discs"
    with pytest.raises(LikewiseError, match="takes no exemplars; it takes text"):
        ask.count(PICTURE, [(10, 10, 30, 30)])


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(LikewiseError, match="spdcn-lite"):
        load("spdnc-lite")


def test_the_rules_of_a_model_are_left_alone() -> None:
    rules = Preprocess(object_size=15.0, tile=64)
    model = ColourCounter(replace(rules))
    Counter(model, "colour", device="cpu").count(PICTURE, [(10, 10, 30, 30)])
    assert model.config.inference.preprocess == rules


def test_a_margin_makes_boxes_tighter_and_changes_no_scale():
    picture = scene(200, 160, [(40.5, 40.5), (120.5, 90.5)], 30)
    box, tight = (25.0, 25.0, 56.0, 56.0), (27.0, 27.0, 54.0, 54.0)
    plain, knowing = (ColourCounter(Preprocess(object_size=20.0, multiple=8), margin=by) for by in (0.0, 4.0))
    loose = Counter(plain, "test", device="cpu").count(picture, [box])
    result = Counter(knowing, "test", device="cpu").count(picture, [box])
    assert knowing.looks == plain.looks
    assert result.count == pytest.approx(loose.count * (31 / 27) ** 2, rel=1e-4)
    assert result.prompt.exemplars == (box,)
    assert result.object_size == (31.0, 31.0)
    assert (result.signs["limit"], result.signs["tiny"]) == (0.0, 0.0)
    elsewhere = Counter(knowing, "test", device="cpu").count(picture, like=[(picture, box)])
    assert elsewhere.count == pytest.approx(result.count, rel=1e-4)
    scaled = InferenceConfig(Preprocess(object_size=20.0 * 27 / 31, multiple=8))
    assert Counter(plain, "test", device="cpu", inference=scaled).count(picture, [tight]).count == pytest.approx(
        result.count, rel=1e-4
    )


def test_a_prompt_may_be_given_whole() -> None:
    centres = lattice(200, 150, 40, 20)
    picture, region = scene(200, 150, centres, 20), ((0.0, 0.0), (100.0, 0.0), (100.0, 150.0), (0.0, 150.0))
    boxes, negatives = (box_at(*centres[0], 20),), (box_at(*centres[-1], 20),)
    ask, prompt = counter(tile=0), Prompt(boxes, negatives, None, region)
    in_words = ask.count(picture, boxes, negatives=negatives, region=region)
    as_one = ask.count(picture, prompt)
    assert np.array_equal(as_one.grid, in_words.grid)
    assert as_one.prompt == in_words.prompt == prompt
    with pytest.raises(LikewiseError, match="a Prompt says it all; expected no negatives, text or region beside it"):
        ask.count(picture, prompt, region=region)
