"""Modules under the names that they had in an older layout."""

from __future__ import annotations

import importlib

import pytest

from likewise.moved import MOVED


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_an_old_name_gives_the_module_that_is_there_now_and_says_so(old: str, new: str) -> None:
    there = importlib.import_module(f"likewise.{new}")
    spec = there.__spec__
    with pytest.warns(DeprecationWarning, match=rf"likewise\.{old} is now likewise\.{new}"):
        found = importlib.import_module(f"likewise.{old}")
    assert found is there
    assert found.__spec__ is spec


def test_a_module_that_never_was_is_missing_as_ever() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"likewise\.data\.nothing"):
        importlib.import_module("likewise.data.nothing")
