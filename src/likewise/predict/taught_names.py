"""What names a few pictures taught a recogniser (`likewise.adapt_recognizer`): a record that travels with its weights.

It stands in the metadata of the weights' file: they are read and used as any others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from likewise.errors import LikewiseError
from likewise.json_text import json_text

#: Where a file's metadata holds the record.
NOTE = "taught"


@dataclass(frozen=True)
class NamedPicture:
    """One picture that taught.

    Attributes:
        name: its file's name, or its place in the list where it has none.
        truth: what it was said to show.
        found: what it is taken for when everything was learnt from the other pictures.
    """

    name: str
    truth: str
    found: str


@dataclass(frozen=True, repr=False)
class TaughtNames:
    """What named pictures taught a recogniser, and how it was found out.

    Attributes:
        base: name of the recogniser whose trunk it is.
        pictures: what was learnt from.
        version: of likewise.

    Raises:
        LikewiseError: no pictures.
    """

    base: str
    pictures: tuple[NamedPicture, ...]
    version: str = ""

    def __post_init__(self) -> None:
        if not self.pictures:
            raise LikewiseError("taught: expected the pictures that were learnt from")

    @property
    def right(self) -> int:
        """Pictures that are named right when they are left out."""
        return sum(each.truth == each.found for each in self.pictures)

    @property
    def names(self) -> tuple[str, ...]:
        """What was taught, in alphabetical order."""
        return tuple(sorted({each.truth for each in self.pictures}))

    def __str__(self) -> str:
        by = f"{len(self.names)} names, taught by {len(self.pictures)} pictures"
        return f"{by}: of these, left out in turn, {self.right} are named right"

    def __repr__(self) -> str:
        return f"<taught {self.base}: {self}>"

    def to_notes(self) -> dict[str, str]:
        """The record as `likewise.weights.save_checkpoint` takes notes."""
        return {NOTE: json_text(asdict(self), what="what was taught")}


def taught_names_of(path: Path) -> TaughtNames | None:
    """The record in a file of weights; None: it has none that can be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return _read(json.loads((file.metadata() or {})[NOTE]))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, LikewiseError):
        return None


def named_classes(path: Path) -> tuple[str, tuple[str, ...]]:
    """The method of the weights in a file, and the names of its classes as far as its config has any.

    Raises:
        LikewiseError: no weights that carry a config.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        config = json.loads(metadata["config"])
        return metadata["method"], tuple(str(each) for each in config.get("labels") or ())
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise LikewiseError(f"{path} holds no weights that say what they are: {error}") from error


def _read(held: Mapping[str, Any]) -> TaughtNames:
    pictures = tuple(NamedPicture(**{k: str(v) for k, v in each.items()}) for each in held["pictures"])
    return TaughtNames(str(held["base"]), pictures, str(held["version"]))
