"""Plain values against declared types, case by case."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from likewise.field_types import fits, type_name

GOOD = (
    (int, 3),
    (float, 3),
    (float, 0.5),
    (bool, True),
    (str, "a"),
    (str | None, None),
    (Literal["a", 1], 1),
    (tuple[int, ...], ()),
    (tuple[int, ...], (1, 2, 3)),
    (tuple[int, str], (1, "a")),
    (tuple[tuple[float, float], ...], ((1, 2.0),)),
    (dict[str, int], {"whatever": "it is"}),
    (Any, "whatever it is"),
)
BAD = (
    (int, True),
    (int, 0.5),
    (float, "0.5"),
    (float, False),
    (str, None),
    (str | None, 3),
    (Literal["a", 1], "b"),
    (tuple[int, ...], (1, "a")),
    (tuple[int, str], (1,)),
    (tuple[int, ...], 3),
    (tuple[int, ...], None),
    (tuple[int, ...] | None, "a"),
    (dict[str, int], "whatever it is"),
    (tuple[int, str], (1, "a", "b")),
    (tuple[tuple[float, float], ...], ((1, 2, 3),)),
)


@pytest.mark.parametrize(("hint", "value"), GOOD)
def test_values_of_a_declared_type_fit(hint: Any, value: object):
    assert fits(hint, value)


@pytest.mark.parametrize(("hint", "value"), BAD)
def test_other_values_do_not(hint: Any, value: object):
    assert not fits(hint, value)


def test_types_have_short_names():
    assert [type_name(hint) for hint in (int, str | None, Literal["a", 1])] == ["int", "str | None", "Literal['a', 1]"]
