"""Millions of names in a few megabytes: what is asked of them is only whether one was there, and what it stood for.

Python keeps a name in a set with a hundred bytes or more. Here it takes sixteen at a load of two thirds: eight for its
digest and eight for a number. Two of ten million names have the same digest of 64 bits with a chance of three in a
million; what must not rest on that, such as a row that counts as done, is compared in full where it was found.
"""

from __future__ import annotations

import hashlib
from array import array

#: A digest stands for a free place where it is this one, which no name has.
_FREE = 0


def digest(name: str) -> int:
    """64 bits that stand for a name, never 0."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1


class DigestMap:
    """A number for each name, by open addressing in two arrays.

    Example:
        >>> seen = DigestMap()
        >>> seen["a.jpg"] = 7
        >>> seen.get("a.jpg"), seen.get("b.jpg"), len(seen)
        (7, None, 1)
    """

    def __init__(self) -> None:
        self._held = 0
        self._digests, self._numbers = _free(1 << 10), _free(1 << 10)

    def __len__(self) -> int:
        return self._held

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __setitem__(self, name: str, number: int) -> None:
        if 3 * self._held >= 2 * len(self._digests):
            self._resize(2 * len(self._digests))
        self._put(digest(name), number)

    def get(self, name: str) -> int | None:
        """The number of a name; None: it has none."""
        place = self._place(digest(name))
        return self._numbers[place] if self._digests[place] != _FREE else None

    def _place(self, wanted: int) -> int:
        """Where a digest is, or would be."""
        digests, last = self._digests, len(self._digests) - 1
        place = wanted & last
        while digests[place] not in (_FREE, wanted):
            place = (place + 1) & last
        return place

    def _put(self, wanted: int, number: int) -> None:
        place = self._place(wanted)
        self._held += self._digests[place] == _FREE
        self._digests[place], self._numbers[place] = wanted, number

    def _resize(self, places: int) -> None:
        """Make room for so many, a power of two."""
        held = zip(self._digests, self._numbers, strict=True)
        self._digests, self._numbers = _free(places), _free(places)
        self._held = 0
        for each, number in held:
            if each != _FREE:
                self._put(each, number)


def _free(places: int) -> array[int]:
    return array("Q", bytes(8 * places))
