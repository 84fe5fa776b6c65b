"""Which pictures are this machine's, when many work through the same ones without knowing of each other.

A picture belongs to the shard that the hash of its name says. The name is what follows the folder or the beginning of
the glob as typed, with slashes: machines that see the folder in different places agree, and a picture that is added
later moves no other one.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from likewise.errors import LikewiseError


def shard_of(name: str, shards: int) -> int:
    """The shard, from 1 on, that a name belongs to; whatever is named, a window of a picture as well.

    Example:
        >>> [shard_of(f"IMG_{i}.jpg", 4) for i in range(8)]
        [2, 4, 1, 1, 2, 1, 1, 2]
    """
    held = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(held).digest()[:8]) % shards + 1


@dataclass(frozen=True)
class Shard:
    """One part of so many.

    Attributes:
        number: from 1 on.
        of: how many there are.
    """

    number: int
    of: int

    @property
    def name(self) -> str:
        """As files are named: ``shard-03-of-16``."""
        return f"shard-{self.number:0{len(str(self.of))}}-of-{self.of}"

    def holds(self, name: str) -> bool:
        """Whether what goes by this name is of this shard."""
        return shard_of(name, self.of) == self.number

    def table(self, path: Path) -> Path:
        """The shard's own file for a table of all: ``counts.shard-03-of-16.csv`` for ``counts.csv``."""
        return path.with_name(f"{path.stem}.{self.name}{path.suffix}")


def parse_shard(text: str) -> Shard:
    """``I/N`` as a shard.

    Raises:
        LikewiseError: not two whole numbers with 1 <= I <= N.
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise LikewiseError(
            f"--shard {text}: expected I/N with I from 1 to N, such as 3/16; "
            "of a scheduler's number that begins at 0, take one more"
        )
    return Shard(int(found[1]), int(found[2]))


def shard_in(name: str) -> Shard | None:
    """The shard that a file's name tells; None: it tells none."""
    found = re.search(r"\.shard-(\d+)-of-(\d+)\.", name)
    return Shard(int(found[1]), int(found[2])) if found else None
