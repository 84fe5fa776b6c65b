r"""Names and sentences as plain text: on a terminal and in a table, whatever they are made of.

A file's name may hold anything but a slash: line breaks, a terminal's control sequences, marks that turn the direction
of writing, bytes that are no text (Python shows those as lone surrogates). None of that reaches a terminal or a table:
such a character is written ``\n``, ``\r``, ``\t`` or ``\u`` and four hexadecimal digits.

In a table a backslash of a name is doubled, so that the name can be read back, and a cell that a spreadsheet would
compute (one that begins with = + - or @) begins with an apostrophe.
"""

from __future__ import annotations

import re

#: Spreadsheets take a table for UTF-8 where it begins with this; one of ASCII alone needs none.
BOM = b"\xef\xbb\xbf"
#: Control characters, line separators, marks of direction, and what stands for undecodable bytes.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LONG = {short: letter for letter, short in _SHORT.items()} | {"\\\\": "\\"}
_ESCAPED = re.compile(r"\\(?:[\\nrt]|u[0-9a-f]{4})")
#: What a spreadsheet computes, also in the width of East Asian letters; apostrophes before it are kept apart.
_FORMULA = re.compile("'*[=+@\uff1d\uff0b\uff0d\uff20-]")


def printable(text: object) -> str:
    """The text without anything that a terminal would act on, in one line."""
    return _UNSAFE.sub(_escape, str(text))


def name_cell(name: str) -> str:
    """A file's name as a table's cell; `name_of_cell` gives it back."""
    return _no_formula(printable(name.replace("\\", "\\\\")))


def name_of_cell(cell: str) -> str:
    """The file's name that a cell holds."""
    return _ESCAPED.sub(_unescape, cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell)


def text_cell(value: object) -> str:
    """A text or a number as a table's cell; numbers stay as they are."""
    text = printable(value)
    return text if _is_number(text) else _no_formula(text)


def csv_field(cell: str) -> str:
    """A cell as a field of a CSV file, in quotes where any of the usual separators is in it."""
    return '"' + cell.replace('"', '""') + '"' if re.search('[",;|]|^ | $', cell) else cell


def _no_formula(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _escape(found: re.Match[str]) -> str:
    letter = found.group()
    return _SHORT.get(letter, f"\\u{ord(letter):04x}")


def _unescape(found: re.Match[str]) -> str:
    escape = found.group()
    return _LONG[escape] if escape in _LONG else chr(int(escape[2:], 16))
