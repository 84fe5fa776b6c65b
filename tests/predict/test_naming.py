"""Names of photographs: places that agree on boxes, evidence for a name, and what is counted by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from likewise.class_names import ClassNames
from likewise.errors import LikewiseError
from likewise.predict import Counter, NamedCounter
from likewise.predict.naming import STRIDE, Namer, Shares, agreement
from likewise.predict.prepared_image import PreparedImage
from likewise.preprocess.rules import Preprocess

from .test_counter import BLUE, ColourCounter, lattice, scene
from .test_named import RedFinder

SIZE = 48
CENTRES = lattice(600, 400, step=83.4, size=SIZE)
REDS, BLUES = CENTRES[::2], CENTRES[1::2]
PICTURE = np.maximum(scene(600, 400, REDS, SIZE), scene(600, 400, BLUES, SIZE, BLUE))


class Colours(nn.Module):
    """Names the colours of places: its logits are their amounts of red and of blue, and a level for all else."""

    names = ClassNames(("cherry", "blueberry", "table"), (("fruit", (0, 1)),))

    def prepare(self, image: Tensor) -> Tensor:
        seen = nn.functional.avg_pool2d(image, STRIDE)
        red, blue = seen[:, 0], seen[:, 2]
        return torch.stack([40 * (red - blue), 40 * (blue - red), torch.ones_like(red)], dim=1)


class BoxFinder(RedFinder):
    """Tells boxes of the things in the picture: of the nearest one, to each place."""

    vocabulary = ("red",)

    def knows(self, text: str) -> bool:
        return text == "red"

    def boxes_at_places(self, image: Tensor) -> tuple[Tensor, int]:
        rows, columns = (torch.arange(0.0, n, 8) + 4 for n in image.shape[2:])
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        places, things = torch.stack([x, y], dim=-1), torch.tensor(CENTRES)
        nearest = things[(places[:, :, None] - things).norm(dim=-1).argmin(-1)]
        return torch.cat([nearest - SIZE / 2, nearest + SIZE / 2], dim=-1)[None], 8


def named() -> NamedCounter:
    counter = Counter(ColourCounter(Preprocess(tile=0)), "colour", device="cpu")
    return NamedCounter(BoxFinder(), counter, "joined", namer=Namer(Colours(), torch.device("cpu")))


def test_places_agree_inside_a_thing_and_not_between_two() -> None:
    """Two things side by side: by hand, a place near the border of both sees one point in five of the other."""
    boxes = torch.zeros(4, 8, 4)
    boxes[:, :4] = torch.tensor([0.0, 0, 32, 32])
    boxes[:, 4:] = torch.tensor([32.0, 0, 64, 32])
    assert bool((agreement(boxes, 8) == 1).all())
    shifted = boxes.clone()
    shifted[1, 1] = torch.tensor([16.0, 0, 48, 32])  # its middle lies on the border
    found = agreement(shifted, 8)[1, 1]
    # middle, right, above and below lie in the second thing, left in the first; each overlaps by half: 16 of 48
    assert float(found) == pytest.approx(1 / 3)


def test_all_that_was_not_asked_for_competes() -> None:
    logs = torch.tensor([[0.5, 0.1], [0.3, 0.2], [0.2, 0.7]]).log()[:, None]
    shares = Shares(logs, torch.tensor([True, False, False]))
    torch.testing.assert_close(shares.odds(), torch.tensor([[0.5 / 0.5, 0.1 / 0.9]]).log(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shares.lead(), torch.tensor([[0.5 / 0.3, 0.1 / 0.7]]).log())
    assert shares.wins(torch.tensor([[True, False]]))
    assert not shares.wins(torch.tensor([[True, True]]))  # 0.3 of what was asked for on the whole, 0.45 of another
    assert not shares.wins(torch.tensor([[False, False]]))
    middle = shares.at(torch.tensor([[50.0, 10.0]]), (100, 20))
    torch.testing.assert_close(middle.logs[:, 0, 0], logs[:, 0].mean(1))


def test_a_picture_is_looked_at_in_several_sizes() -> None:
    image = PreparedImage(PICTURE, 1 << 28)
    namer = Namer(Colours(), torch.device("cpu"))
    red, fruit = namer.shares(image, "cherries"), namer.shares(image, "fruit")
    assert red.logs.shape == (3, 512 // STRIDE, 768 // STRIDE)
    assert bool((fruit.odds() >= red.odds()).all())
    assert namer.knows("cherries")
    assert not namer.knows("violins")


def test_a_name_of_photographs_counts_its_things_and_no_others() -> None:
    counter = named()
    for text, centres in (("cherries", REDS), ("blueberries", BLUES)):
        result = counter.count(PICTURE, text=text)
        assert result.count == pytest.approx(len(centres), rel=0.1)
        for x0, y0, x1, y1 in result.found:
            assert min(np.hypot((x0 + x1) / 2 - x, (y0 + y1) / 2 - y) for x, y in centres) < 1


def test_what_is_not_there_is_not_counted_and_nothing_is_found() -> None:
    only_red = scene(600, 400, REDS, SIZE)
    result = named().count(only_red, text="blueberries")
    assert result.count == 0
    assert result.found == ()
    assert "goes by that name" in result.warnings[0]


def test_unknown_names_are_refused_with_those_of_both() -> None:
    counter = named()
    with pytest.raises(LikewiseError, match="nearest known names are 'cherry'"):
        counter.count(PICTURE, text="chery")
    with pytest.raises(LikewiseError, match="it knows 5 names"):
        counter.count(PICTURE, text="xyz")
    assert counter.count(PICTURE, text="red").count > 0  # the finder's own
