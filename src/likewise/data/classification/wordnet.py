"""WordNet's nouns: what is a kind of what.

The file is ``data.noun`` of WordNet 3.0 (wordnet.princeton.edu), as Debian's package ``wordnet-base`` ships it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from likewise.errors import LikewiseError

#: Marks of what a line is a kind of, and an instance of.
_ABOVE = ("@", "@i")


@dataclass(frozen=True)
class Synset:
    """One meaning: the words for it, and the keys of the meanings right above it."""

    words: tuple[str, ...]
    above: tuple[str, ...]


def read_nouns(path: Path) -> dict[str, Synset]:
    """Every meaning of a ``data.noun`` by its key, eight digits, as ImageNet has them behind an "n".

    Raises:
        LikewiseError: there is no such file, or it is another one.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return dict(_synset(line) for line in lines if not line.startswith(" "))
    except (OSError, ValueError, IndexError) as error:
        raise LikewiseError(
            f"{path} cannot be read as WordNet's data.noun, which Debian's package wordnet-base has in "
            f"/usr/share/wordnet: {error}"
        ) from error


def ancestors(nouns: Mapping[str, Synset], key: str) -> Iterator[str]:
    """The keys of all that a meaning is a kind of, each once, the nearest first."""
    seen, waiting = set(), list(nouns[key].above)
    while waiting:
        above = waiting.pop(0)
        if above not in seen:
            seen.add(above)
            yield above
            waiting += nouns[above].above


def _synset(line: str) -> tuple[str, Synset]:
    """A line: its key, three fields, the number of words in hexadecimal, a word and a number each, and the pointers."""
    fields = line.partition(" | ")[0].split()
    end = 4 + 2 * int(fields[3], 16)
    words = tuple(word.replace("_", " ") for word in fields[4:end:2])
    pointers = [fields[i : i + 2] for i in range(end + 1, end + 1 + 4 * int(fields[end]), 4)]
    return fields[0], Synset(words, tuple(key for mark, key in pointers if mark in _ABOVE))
