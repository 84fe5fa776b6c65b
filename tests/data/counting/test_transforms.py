"""Crops: wherever an object goes, its point, its box and its colour go together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from likewise.data.counting.collate import collate
from likewise.data.counting.sample import CountSample
from likewise.data.counting.transforms import Crop, TrainCrop
from likewise.data.infinite import MixedDataset, ShuffledDataset, TransformedDataset
from likewise.data.photometric import ColorJitter, colour_field, jitter_colours
from likewise.errors import LikewiseError

PLAIN = Crop(size=128, object_size=24.0, box_jitter=0.0, look=None, reflect=0.0)


def scene(
    seed: int, size: tuple[int, int] = (200, 260), number: int = 30, side: tuple[int, int] = (9, 19), margin: int = 1
) -> CountSample:
    """Rectangles of different colours, none touching another; `visible` is used to tell them apart."""
    rng = np.random.default_rng(seed)
    image = np.zeros((*size, 3), np.uint8)
    taken = np.zeros(size, bool)
    boxes = []
    for _ in range(20 * number):
        w, h = rng.integers(*side, 2)
        x, y = (int(rng.integers(margin, s - d - margin)) for s, d in ((size[1], w), (size[0], h)))
        if len(boxes) < number and not taken[max(y - 3, 0) : y + h + 3, max(x - 3, 0) : x + w + 3].any():
            taken[y : y + h, x : x + w] = True
            image[y : y + h, x : x + w] = colour(len(boxes))
            boxes.append([x, y, x + w, y + h])
    found = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    who = torch.arange(len(boxes)) / 1024
    centres = (found[:, :2] + found[:, 2:]) / 2
    return CountSample(
        torch.from_numpy(image).permute(2, 0, 1), centres, found, found[:3], f"scene {seed}", "boxes", None, who
    )


def colour(number: int) -> np.ndarray:
    return np.array([255, 60 + 45 * (number % 5), 30 + 30 * (number // 5)], np.uint8)


def check_crop(out: CountSample, size: int) -> None:
    """Points lie on their own colours, boxes end where their colours do, and no visible object lacks a point."""
    assert out.image.shape == (3, size, size)
    assert out.visible is not None
    image = out.image.float()
    for (x, y), box, who in zip(out.points.tolist(), out.boxes.tolist(), out.visible.tolist(), strict=True):
        own = torch.from_numpy(colour(round(who * 1024))).float()
        assert (image[:, int(y), int(x)] - own).abs().max() < 40
        x0, y0, x1, y1 = box
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        assert (x, y) == pytest.approx(middle, abs=1e-2)
        for u, v in ((x0 - 2, y), (x1 + 2, y), (x, y0 - 2), (x, y1 + 2)):
            if 0 <= u < size and 0 <= v < size:
                assert image[0, int(v), int(u)] < 200
        for u, v in ((x0 + 2, y), (x1 - 2, y), (x, y0 + 2), (x, y1 - 2)):
            if 0 <= u < size and 0 <= v < size:
                assert image[0, int(v), int(u)] > 55
    alone = image[0] > 127
    expected = sum(area_inside(box, size) for box in out.boxes.tolist())
    assert alone.sum().item() >= 0.9 * expected - 5


def area_inside(box: list[float], size: int) -> float:
    x0, y0, x1, y1 = (min(max(v, 0.0), float(size)) for v in box)
    return (x1 - x0) * (y1 - y0)


@given(st.integers(0, 10_000))
def test_points_boxes_and_pixels_move_together(seed: int):
    sample, rng = scene(seed % 7), np.random.default_rng(seed)
    out = TrainCrop(PLAIN)(sample, rng)
    check_crop(out, 128)
    assert 1 <= len(out.exemplars) <= 5
    assert ((out.exemplars >= 0) & (out.exemplars <= 128)).all()
    sides = (out.exemplars[:, 2:] - out.exemplars[:, :2]).prod(dim=1).sqrt()
    assert 24 * 0.6 * 0.97 <= sides.mean().item() <= 24 * 1.5 * 1.03
    for box in out.exemplars:
        assert (out.boxes - box).abs().max(dim=1).values.min() < 1e-3
    assert ((out.points >= 0) & (out.points < 128)).all()


@given(st.integers(0, 10_000))
def test_objects_inside_the_crop_are_all_counted(seed: int):
    """Coloured pixels of the crop that belong to no counted object's box belong to objects whose centre is outside."""
    out = TrainCrop(replace(PLAIN, turns=False))(scene(seed % 7), np.random.default_rng(seed))
    ys, xs = (out.image[0] > 127).nonzero(as_tuple=True)
    places = torch.stack((xs, ys), dim=1).float() + 0.5
    boxes = out.boxes + torch.tensor([-1.5, -1.5, 1.5, 1.5])
    inside = (places[:, None] > boxes[None, :, :2]) & (places[:, None] < boxes[None, :, 2:])
    rest = places[~inside.all(dim=2).any(dim=1)]
    # an uncounted object is less than half inside: its pixels are within half the largest object of the border
    largest = (out.boxes[:, 2:] - out.boxes[:, :2]).max().item()
    to_border = torch.minimum(rest, 128 - rest).min(dim=1).values
    assert (to_border < largest).all()


@pytest.mark.parametrize("reflect", [0.0, 1.0])
def test_pictures_smaller_than_the_crop_are_filled(reflect: float):
    counts = []
    for seed in range(40):
        sample = scene(seed % 5, size=(60, 80), number=5, margin=4)
        crop = replace(PLAIN, reflect=reflect, jitter=(0.5, 0.8))
        out = TrainCrop(crop)(sample, np.random.default_rng(seed))
        if reflect:
            check_crop(out, 128)
        counts.append(len(out.points))
    assert max(counts) > 5 if reflect else max(counts) <= 5


def test_an_object_cut_by_the_picture_is_never_mirrored():
    box = torch.tensor([[0.0, 20.0, 10.0, 30.0], [40.0, 20.0, 50.0, 30.0]])
    image = torch.zeros(3, 60, 80, dtype=torch.uint8)
    sample = CountSample(image, (box[:, :2] + box[:, 2:]) / 2, box, box)
    crop = TrainCrop(replace(PLAIN, reflect=1.0, jitter=(0.5, 0.6)))
    assert all(len(crop(sample, np.random.default_rng(seed)).points) <= 2 for seed in range(20))


def test_the_same_generator_gives_the_same_crop_and_another_one_another():
    sample = scene(0)
    first, again, other = (TrainCrop(Crop())(sample, np.random.default_rng(s)) for s in (1, 1, 2))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.points, again.points)
    assert not torch.equal(first.image, other.image)


def test_every_turn_is_made():
    """One object off the diagonals of a square picture that is one crop large lands in eight places."""
    box = torch.tensor([[70.0, 20.0, 94.0, 44.0]])
    image = torch.zeros(3, 128, 128, dtype=torch.uint8)
    image[:, 20:44, 70:94] = 255
    sample = CountSample(image, torch.tensor([[82.0, 32.0]]), box, box)
    crop = TrainCrop(replace(PLAIN, jitter=(1.0, 1.0)))
    seen = set()
    for seed in range(80):
        out = crop(sample, np.random.default_rng(seed))
        x, y = out.points[0].tolist()
        assert (out.image[0, int(y), int(x)], out.image.sum()) == (255, image.sum())
        seen.add((round(x), round(y)))
    assert seen == {(x, y) for a, b in ((82, 32), (32, 82)) for x in (a, 128 - a) for y in (b, 128 - b)}


def test_exemplars_are_whole_and_visible_where_such_are():
    boxes = torch.tensor(
        [[0.0, 10.0, 12.0, 30.0], [50.0, 50.0, 66.0, 66.0], [80.0, 50.0, 96.0, 66.0], [50.0, 80.0, 66.0, 96.0]]
    )
    points = (boxes[:, :2] + boxes[:, 2:]) / 2
    image = torch.zeros(3, 120, 120, dtype=torch.uint8)
    sample = CountSample(image, points, boxes, boxes[:0], visible=torch.tensor([0.8, 1.0, 0.9, 0.05]))
    crop = TrainCrop(replace(PLAIN, turns=False, jitter=(1.0, 1.0), exemplars=(1, 1)))
    drawn = [crop(sample, np.random.default_rng(seed)) for seed in range(60)]
    seen = [o.visible[(o.boxes - o.exemplars[0]).abs().amax(dim=1).argmin()].item() for o in drawn]
    # the one at the border is drawn next to never, the hidden one once in hundreds
    assert sum(v in (pytest.approx(1.0), pytest.approx(0.9)) for v in seen) >= 58


def test_hand_drawn_boxes_are_near_the_true_ones():
    shaken = TrainCrop(replace(PLAIN, box_jitter=0.05))
    errors = []
    for seed in range(40):
        out = shaken(scene(seed % 5), np.random.default_rng(seed))
        nearest = [(out.boxes - b).abs().sum(dim=1).argmin() for b in out.exemplars]
        true = out.boxes[torch.stack(nearest)]
        errors.append(((out.exemplars - true) / (true[:, 2:] - true[:, :2]).repeat(1, 2)).flatten())
        assert ((out.exemplars >= 0) & (out.exemplars <= 128)).all()
    spread = torch.cat(errors)
    assert 0.03 < spread.std().item() < 0.07
    assert spread.abs().max().item() < 0.2


def test_loose_hands_draw_all_boxes_of_a_crop_larger_by_one_factor():
    plain, loose = (TrainCrop(replace(PLAIN, turns=False, box_growth=g)) for g in ((1.0, 1.0), (1.4, 1.4)))
    for seed in range(20):
        tight, grown = (crop(scene(seed % 5), np.random.default_rng(seed)) for crop in (plain, loose))
        middles = (tight.exemplars[:, :2] + tight.exemplars[:, 2:]) / 2
        reach = 0.7 * (tight.exemplars[:, 2:] - tight.exemplars[:, :2])
        expected = torch.cat([middles - reach, middles + reach], dim=1).clamp(0, PLAIN.size)
        torch.testing.assert_close(grown.exemplars, expected)
        assert torch.equal(grown.points, tight.points)
        assert torch.equal(grown.boxes, tight.boxes)


def test_pictures_without_boxes_or_points_are_refused():
    sample = scene(0)
    nothing = replace(sample, boxes=torch.full_like(sample.boxes, torch.nan), exemplars=sample.exemplars[:0])
    with pytest.raises(LikewiseError, match="scene 0 has no object with a known box"):
        TrainCrop(PLAIN)(nothing, np.random.default_rng(0))
    with pytest.raises(LikewiseError, match="scene 0 has a count but no points"):
        TrainCrop(PLAIN)(replace(sample, truth=3.0), np.random.default_rng(0))
    from_exemplars = TrainCrop(PLAIN)(replace(nothing, exemplars=sample.exemplars), np.random.default_rng(0))
    assert len(from_exemplars.exemplars) >= 1


@given(st.integers(0, 1000), st.integers(1, 70), st.integers(1, 70))
def test_the_colour_field_is_bounded_smooth_and_never_the_same_twice(seed: int, height: int, width: int):
    look = ColorJitter(gain=0.5, tint=0.2, offset=0.1)
    gain, offset = colour_field((height, width), look, np.random.default_rng(seed))
    assert gain.shape == offset.shape == (3, height, width)
    assert gain.log().abs().max() <= 0.7 + 1e-5
    assert offset.abs().max() <= 0.1 + 1e-6
    other, _ = colour_field((height, width), look, np.random.default_rng(seed + 1))
    assert not torch.equal(gain, other)


def test_the_colour_field_changes_slowly_and_differs_between_channels():
    gain, _ = colour_field((256, 256), ColorJitter(cells=(9, 9)), np.random.default_rng(0))
    # nodes 32 pixels apart: the steepest a smooth step between two of them can be is 1.5 times the mean slope
    steepest = 1.5 * 2 * 0.9 / (255 / 8)
    assert gain.log().diff(dim=1).abs().max() <= steepest
    assert gain.log().diff(dim=2).abs().max() <= steepest
    assert gain.log().std() > 0.01
    assert (gain[0] - gain[1]).abs().max() > 0.01


NONE = ColorJitter(0, 0, 0, 0, (2, 2), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_no_strength_changes_nothing():
    image = torch.randint(0, 256, (3, 30, 40), dtype=torch.uint8)
    assert torch.equal(jitter_colours(image, NONE, np.random.default_rng(0)), image)


def shades(image: Tensor) -> Tensor:
    return image.float().amax(dim=0) - image.float().amin(dim=0)


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (replace(NONE, grey=1.0), lambda old, new: shades(new).max() <= 1),
        (replace(NONE, invert=1.0), lambda old, new: ((255 - old.float()) - new.float()).abs().max() <= 1),
        (
            replace(NONE, blur=1.0, blur_sigma=3.0),
            lambda old, new: new.float().diff().abs().mean() < old.float().diff().abs().mean(),
        ),
        (replace(NONE, noise=1.0, noise_sigma=0.1), lambda old, new: 1 < (old.float() - new.float()).std() < 30),
        (replace(NONE, hue=1.0), lambda old, new: (old.float().mean(0) - new.float().mean(0)).abs().mean() < 12),
        (replace(NONE, jpeg=1.0, jpeg_quality=40), lambda old, new: 0 < (old.float() - new.float()).abs().mean() < 40),
    ],
    ids=["grey", "invert", "blur", "noise", "hue", "jpeg"],
)
def test_each_change_does_what_its_name_says(look: ColorJitter, expected):
    old = torch.randint(60, 190, (3, 40, 40), dtype=torch.uint8)
    new = jitter_colours(old, look, np.random.default_rng(3))
    assert new.dtype == torch.uint8
    assert not torch.equal(new, old)
    assert expected(old, new)


def test_a_picture_on_white_keeps_its_objects():
    """However bright it is made, objects a little darker than a white ground stay distinguishable."""
    image = torch.full((3, 64, 64), 245, dtype=torch.uint8)
    image[:, ::16, :] = 200
    for seed in range(50):
        new = (
            jitter_colours(image, ColorJitter(noise=0, blur=0, jpeg=0, grey=0), np.random.default_rng(seed))
            .float()
            .mean(dim=0)
        )
        lines, ground = new[16:49:16], new[8:57:16]
        assert (lines.mean() - ground.mean()).abs() > 8


class Two(Dataset[CountSample]):
    def __init__(self, first: int) -> None:
        self.first = first

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> CountSample:
        return scene(self.first + index, size=(150, 150))


def test_a_mixture_is_a_function_of_seed_and_position():
    stream = MixedDataset([Two(0), Two(10)], [3, 1], seed=4, transform=TrainCrop(PLAIN))
    again = MixedDataset([Two(0), Two(10)], [3, 1], seed=4, transform=TrainCrop(PLAIN))
    for index in (0, 7, 10**6):
        assert torch.equal(stream[index].image, again[index].image)
    other = MixedDataset([Two(0), Two(10)], [3, 1], seed=5, transform=TrainCrop(PLAIN))
    assert any(stream[i].name != other[i].name for i in range(8))
    names = [MixedDataset([Two(0), Two(10)], [3, 1], seed=4)[i].name for i in range(400)]
    share = sum(n in ("scene 0", "scene 1") for n in names) / 400
    assert share == pytest.approx(0.75, abs=0.07)
    assert len(set(names)) == 4


def test_workers_give_the_same_samples_as_none():
    stream = MixedDataset([Two(0)], seed=1, transform=TrainCrop(Crop(size=64)), length=6)
    alone, helped = (list(DataLoader(stream, batch_size=2, num_workers=n, collate_fn=collate)) for n in (0, 1))
    assert [b.names for b in alone] == [b.names for b in helped]
    assert all(torch.equal(a.image, b.image) for a, b in zip(alone, helped, strict=True))


def test_a_shuffled_set_is_whole_in_every_epoch():
    stream = ShuffledDataset(Two(0), seed=0)
    epochs = [tuple(stream[2 * e + i].name for i in range(2)) for e in range(12)]
    assert all(set(names) == {"scene 0", "scene 1"} for names in epochs)
    assert len(set(epochs)) == 2
    assert epochs == [tuple(ShuffledDataset(Two(0), seed=0)[2 * e + i].name for i in range(2)) for e in range(12)]


def test_a_transformed_set_is_in_order():
    crops = TransformedDataset(Two(0), 3, TrainCrop(PLAIN))
    assert [crops[i].name for i in range(len(crops))] == ["scene 0", "scene 1"]
    assert torch.equal(crops[1].image, crops[1].image)


@pytest.mark.parametrize(
    ("datasets", "weights"), [([], None), ([[]], None), ([Two(0)], [1, 2]), ([Two(0)], [0]), ([Two(0)], [-1])]
)
def test_mixtures_that_make_no_sense_are_refused(datasets, weights):
    with pytest.raises(LikewiseError):
        MixedDataset(datasets, weights)


def test_a_batch_holds_what_its_samples_do():
    first, second = scene(0, size=(40, 60), number=3), scene(1, size=(50, 30), number=2)
    batch = collate([first, second], text=True)
    assert batch.image.shape == (2, 3, 50, 60)
    assert torch.equal(batch.image[0, :, :40], first.image / 255)
    assert batch.image[0, :, 40:].sum() == batch.image[1, :, :, 30:].sum() == 0
    assert torch.equal(batch.prompt.exemplars[1], second.exemplars)
    assert batch.prompt.text == ("boxes", "boxes")
    assert torch.equal(batch.points[0], first.points)
    assert torch.equal(batch.sizes[1], second.sizes())
    assert batch.names == ("scene 0", "scene 1")
    assert collate([first]).prompt.text is None
    with pytest.raises(LikewiseError, match="scene 0 has no prompt text"):
        collate([replace(first, prompt=None)], text=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": torch.zeros(3, 4, 4)}, r"image is torch.float32 \(3, 4, 4\), expected torch.uint8"),
        ({"points": torch.zeros(3, 3)}, r"points is .* \(3, 3\), expected torch.float32 \(3, 2\)"),
        ({"boxes": torch.zeros(1, 4)}, r"boxes is .* \(1, 4\)"),
        ({"exemplars": torch.zeros(2, 5)}, r"exemplars is .* \(2, 5\)"),
        ({"visible": torch.zeros(1)}, r"visible is .* \(1,\)"),
    ],
)
def test_a_sample_of_other_shapes_is_refused(change: dict[str, Tensor], message: str):
    with pytest.raises(LikewiseError, match=message):
        replace(scene(0, number=5), **change)


def test_objects_of_unknown_size_and_no_exemplar_have_none():
    sample = replace(scene(0, number=2), boxes=torch.full((2, 4), torch.nan), exemplars=torch.zeros(0, 4))
    with pytest.raises(LikewiseError, match="no box and no exemplar tells how large its 2 objects"):
        sample.sizes()
