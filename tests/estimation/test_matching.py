"""Which hand count is of which picture, and a total of which nothing is left to be estimated."""

from __future__ import annotations

import re

import pytest

from likewise.errors import LikewiseError
from likewise.estimation import estimate, sample
from likewise.estimation.matching import places


def test_a_total_of_which_all_is_counted_is_exact():
    truth = {f"plate{number % 2}/{number}.jpg": float(3 * number % 17) for number in range(30)}
    counts = {name: 0.8 * true + 1 for name, true in truth.items()}
    found = estimate(counts, sample(counts, 30, seed=9).filled(truth), by="folder")
    assert found.complete
    assert found.total.low == found.total.high == pytest.approx(sum(truth.values()))
    lines = "\n".join(found.lines())
    assert "exact: every picture was counted by hand" in lines.split("\n")[0]
    assert "interval" not in lines
    assert found.notes == ("Every picture was counted by hand: the total is exact, without any sampling error.",)
    assert "without any sampling error" in found.methods()
    assert "interval" not in found.methods()
    drawn = sample(counts, 29, seed=9)
    assert not estimate(counts, drawn.filled({name: truth[name] for name in drawn.names})).complete


def test_pictures_of_one_name_in_two_folders_are_two():
    listed = ("a/1.jpg", "b/1.jpg", "b/2.jpg", "there/c/3.jpg", "./4.jpg")

    def found(*names: str) -> list[int]:
        return places(names, listed, "hand count of", "counts.csv").tolist()

    assert found("b/1.jpg", "2.jpg", "c/3.jpg", "4.jpg") == [1, 2, 3, 4]
    assert found("D:\\here\\b\\2.jpg", "/over/there/c/3.jpg", "x/a/1.jpg") == [2, 3, 0]
    for name, hint in (
        ("1.jpg", "2 pictures there are called so: give the folder, too"),
        ("a/2.jpg", "'b/2.jpg' there lies in another folder"),
        ("here/c/3.jpg", "'there/c/3.jpg' there lies in another folder"),
        ("b/7.jpg", "did you mean 'b/"),
    ):
        with pytest.raises(LikewiseError, match=re.escape(f"is not in counts.csv; {hint}")):
            found(name)
    with pytest.raises(LikewiseError, match=r"'b/2.jpg' and '2.jpg' are there twice"):
        found("b/2.jpg", "2.jpg")
