"""Which of a picture's values become black and white: the choice, as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from likewise.errors import LikewiseError

_FORMS = "auto, min,max, two percentages such as 0.1%,99.9%, or two values such as 200,4095"
_NUMBER = r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*"


@dataclass(frozen=True)
class Contrast:
    """Which values become black and white.

    Attributes:
        low: the percentage of a picture's values that lie below black, or that value itself.
        high: likewise of white.
        unit: "percent"; "value"; or "auto": these percentages where nothing is known better
            (`likewise.data.intensity`).

    Raises:
        LikewiseError: low is not below high, or one of them is not finite or no percentage.

    Example:
        >>> Contrast.parse("1%, 99%")
        Contrast(low=1.0, high=99.0, unit='percent')
        >>> str(Contrast.parse("min,max")), str(Contrast())
        ('0%,100%', 'auto')
    """

    low: float = 0.1
    high: float = 99.9
    unit: Literal["auto", "percent", "value"] = "auto"

    def __post_init__(self) -> None:
        """Check the ends."""
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise LikewiseError(f"contrast {self._ends()}: expected two numbers, the lower one first")
        if self.unit != "value" and not (self.low >= 0 and self.high <= 100):
            raise LikewiseError(f"contrast {self._ends()}: expected percentages from 0 to 100")

    @classmethod
    def parse(cls, text: str) -> Contrast:
        """The choice that a text names: auto, min,max, LOW%,HIGH% or LOW,HIGH.

        Args:
            text: ``min,max`` are the picture's own least and greatest value, so 0% and 100%.

        Raises:
            LikewiseError: it is none of these, or an end is out of its range.
        """
        plain = text.strip().lower()
        if plain == "auto":
            return cls()
        if re.fullmatch(r"min\s*,\s*max", plain):
            return cls(0.0, 100.0, "percent")
        found = re.fullmatch(f"{_NUMBER}(%?)\\s*,{_NUMBER}(%?)", plain)
        if found is None or found[2] != found[4]:
            raise LikewiseError(f"contrast {text!r}: expected {_FORMS}")
        return cls(float(found[1]), float(found[3]), "percent" if found[2] else "value")

    def __str__(self) -> str:
        """As `parse` reads it."""
        return "auto" if self.unit == "auto" else self._ends()

    def _ends(self) -> str:
        sign = "" if self.unit == "value" else "%"
        return ",".join(repr(end).removesuffix(".0") + sign for end in (self.low, self.high))


#: What is done where nothing is said.
AUTO = Contrast()
