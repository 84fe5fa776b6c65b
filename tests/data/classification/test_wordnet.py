"""WordNet's file of nouns, in the form that its manual (wndb) describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from likewise.data.classification.wordnet import ancestors, read_nouns
from likewise.errors import LikewiseError

LINES = """  1 This software and database is being provided to you
00000001 03 n 01 entity 0 002 ~ 00000002 n 0000 ~ 00000003 n 0000 | what there is; "an @ in a gloss"
00000002 05 n 02 bird 0 fowl_of_the_air 1 003 @ 00000001 n 0000 %p 00000009 n 0000 ~ 00000004 n 0000 | has wings
00000003 05 n 01 pet 0 001 @ 00000001 n 0000 | is kept
00000004 05 n 01 budgie 0 003 @ 00000002 n 0000 @ 00000003 n 0000 + 00000001 v 0102 | sings
00000005 05 n 01 Polly 0 001 @i 00000004 n 0000 | one of them
"""


def test_meanings_have_their_words_and_all_that_is_above(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(LINES)
    nouns = read_nouns(tmp_path / "data.noun")
    assert nouns["00000002"].words == ("bird", "fowl of the air")
    assert nouns["00000004"].above == ("00000002", "00000003")
    assert list(ancestors(nouns, "00000005")) == ["00000004", "00000002", "00000003", "00000001"]
    assert list(ancestors(nouns, "00000001")) == []


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LikewiseError, match="wordnet-base"):
        read_nouns(tmp_path / "none")
    (tmp_path / "other").write_text("no such thing\n")
    with pytest.raises(LikewiseError, match="cannot be read as WordNet"):
        read_nouns(tmp_path / "other")
