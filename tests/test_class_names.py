"""Which classes a name asks for."""

from __future__ import annotations

import pytest

from likewise.class_names import ClassNames, own_names

LABELS = (
    "Granny Smith, green apple",
    "pink lady, red apple",
    "royal gala, red apple",
    "strawberry",
    "Cyanocitta cristata (Blue Jay)",
    "Aphelocoma californica (Scrub Jay)",
)
NAMES = ClassNames(LABELS, (("apple", (0, 1, 2)), ("bird", (4, 5)), ("edible fruit", (0, 1, 2, 3))))


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("granny smiths", (0,)),
        ("Red Apples", (1, 2)),
        ("apples", (0, 1, 2)),
        ("how many strawberries", (3,)),
        ("ripe strawberries", (3,)),
        ("blue strawberries", ()),  # a colour tells kinds apart: it is not passed over
        ("Cyanocitta cristata", (4,)),
        ("blue jays", (4,)),
        ("jays", (4, 5)),
        ("the birds", (4, 5)),
        ("Smith", (0,)),
        ("granny", ()),  # no name ends in it
        ("violin", ()),
    ],
)
def test_a_name_asks_for_what_is_called_so(text: str, classes: tuple[int, ...]) -> None:
    assert NAMES.classes(text) == classes


def test_labels_give_several_names() -> None:
    assert list(own_names("Cyanocitta cristata (Blue Jay)")) == ["Cyanocitta cristata", "Blue Jay"]
    assert list(own_names("tench, Tinca tinca")) == ["tench", "Tinca tinca"]
    assert NAMES.sharing(1) == (1, 2)
    assert NAMES.sharing(3) == (3,)
    assert {"red apple", "bird", "Blue Jay"} <= set(NAMES.names)
    assert len(NAMES.names) == len(set(NAMES.names))
