"""The suite of names: its questions, and scores worked out by hand."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from likewise.errors import LikewiseError
from likewise.lab.suite import names
from likewise.lab.suite.names import Asked, Score


def test_a_score_by_hand() -> None:
    asked = [
        Asked("a", "apples", 10, 30, 12.0, held=True, pointed=True),
        Asked("a", "pears", 20, 30, 14.0, held=False, pointed=False),
        Asked("a", "dogs", 0, 30, 3.0, held=None, pointed=None),
        Asked("b", "apples", 10, 10, 10.0, held=None, pointed=None),
        Asked("b", "dogs", 0, 10, 1.0, held=None, pointed=None),
    ]
    found = Score.of("set", asked)
    assert found.questions == 3
    assert found.relative == pytest.approx((0.2 + 0.3 + 0) / 3)
    assert found.middle == pytest.approx(0.2)
    assert found.absent == pytest.approx(4 / 40)
    assert (found.pointed, found.held) == (0.5, 0.5)
    assert found.untrusted == pytest.approx(1 / 3)
    assert math.isnan(Score.of("set", asked[3:]).pointed)


class Knowing:
    """Counts 5 of whatever it is asked for, by one box at the left."""

    def count(self, image, *, text):
        return SimpleNamespace(count=5.0, interval=(4.0, 6.0), found=((0.0, 0.0, 20.0, 20.0),))


def test_two_crates_have_a_side_each_and_something_is_absent(data_dir: Path) -> None:
    opened = names.sets(data_dir)
    for picture in opened["two crates"]():
        assert picture.image.shape == (256, 512, 3)
        assert len(picture.truths) == 2
        assert sorted(part[0] for part in picture.parts.values()) == [0, 256]
        assert not set(picture.absent) & set(picture.truths)
    asked = names.run(Knowing(), {"two crates": opened["two crates"]}, limit=2)["two crates"]
    assert [each.pointed for each in asked] == [True, False, None] * 2
    assert [each.truth > 0 for each in asked] == [True, True, False] * 2


def test_there_are_sixty_photographs_or_more(data_dir: Path) -> None:
    opened = names.sets(data_dir)
    assert sum(1 for name in opened for _ in opened[name]()) >= 60
    sheet = next(islice(opened["clothes"](), 1))
    assert sheet.image.shape == (768, 768, 3)
    assert sheet.truths == {"jeans": 2}


def test_a_folder_that_lacks_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LikewiseError, match="the names suite needs grocery, red_cells, nuclei, clothing"):
        names.sets(tmp_path)
