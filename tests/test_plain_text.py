"""Names in tables and on terminals: they can be read back, and do nothing."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from likewise.plain_text import csv_field, name_cell, name_of_cell, printable, text_cell

#: Any text that a file's name can be, undecodable bytes among it.
NAMES = st.text(st.characters(exclude_characters="\0"), min_size=1) | st.binary(min_size=1).map(
    lambda held: held.replace(b"\0", b"x").decode("utf-8", "surrogateescape")
)


@given(NAMES)
@example("=1+1")
@example("'=1+1")
@example("''@x")
@example("'plain")
@example("a\\nb\nc")
@example("\\u001b\x1b")
@example("\udcfc.jpg")
@example("\uff1dwide")
def test_a_name_comes_back_from_its_cell(name: str) -> None:
    cell = name_cell(name)
    assert name_of_cell(cell) == name
    assert cell.encode() == cell.encode("utf-8", "strict")  # valid UTF-8
    assert cell[0] not in "=+-@\t\r\uff1d\uff0b\uff0d\uff20"
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in cell)


@given(NAMES, NAMES)
def test_two_names_have_two_cells(one: str, other: str) -> None:
    assert (name_cell(one) == name_cell(other)) == (one == other)


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_fields_are_read_by_any_reader_of_csv(names: list[str]) -> None:
    cells = [name_cell(name) for name in names]
    line = ",".join(map(csv_field, cells))
    assert [list(row) for row in csv.reader(io.StringIO(line, newline=""), strict=True)] == [cells]
    assert "\n" not in line


def test_a_semicolon_does_not_begin_a_cell_elsewhere() -> None:
    """Where a comma is the decimal sign, spreadsheets split lines at semicolons, except within quotes."""
    assert csv_field("a;=1+1") == '"a;=1+1"'


@given(NAMES)
def test_what_is_printed_is_one_line_and_moves_no_cursor(name: str) -> None:
    shown = printable(name)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in shown)
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") & set(shown)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("-0.5", "-0.5"),
        (12, "12"),
        ("+1e3", "+1e3"),
        ("=1+1", "'=1+1"),
        ("-lots", "'-lots"),
        ("@home", "'@home"),
        ("two\nlines", "two\\nlines"),
        ("", ""),
    ],
)
def test_numbers_stay_numbers_and_nothing_else_is_computed(value: object, cell: str) -> None:
    assert text_cell(value) == cell
