"""A CSV file that remembers which pictures are done, so that a long run can be stopped and taken up again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from likewise.errors import LikewiseError


def fingerprint(settings: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that change with anything in the settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


class Ledger:
    """One row a picture that is done; a row is on disk as soon as it is added.

    Args:
        path: the CSV file; it and its folder are made when the first row is added.
        columns: between image and seconds, model, settings.
        settings: `fingerprint` of everything the results depend on.
        overwrite: forget what the file holds.

    Raises:
        LikewiseError: the file holds something else, or results made with other settings.
    """

    def __init__(self, path: Path, columns: Sequence[str], settings: str, *, overwrite: bool = False) -> None:
        self._path = path
        self._columns = ("image", *columns, "seconds", "model", "settings")
        self._settings = settings
        self._done = {os.path.normpath(row["image"]) for row in self._read(overwrite)}

    def __contains__(self, picture: Path) -> bool:
        return os.path.normpath(picture) in self._done

    def add(self, picture: Path, values: Sequence[object], result: Any) -> None:
        """Append a row, unless the picture has one."""
        if picture in self:
            return
        new = not self._path.exists() or self._path.stat().st_size == 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        row = (picture, *values, f"{result.seconds:.3f}", result.model, self._settings)
        lines = io.StringIO()
        csv.writer(lines).writerows([self._columns, row] if new else [row])
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(lines.getvalue())  # in one piece, and closed: a kill loses nothing
        self._done.add(os.path.normpath(picture))

    def _read(self, overwrite: bool) -> list[dict[str, str]]:
        """The rows there are, after cutting off one that a kill left half written."""
        held = self._path.read_bytes() if self._path.exists() else b""
        header = ",".join(self._columns).encode() + b"\r\n"
        if held[: len(header)] != header[: len(held)]:
            raise LikewiseError(f"{self._path} is another table; expected columns {','.join(self._columns)}")
        whole = b"" if overwrite else held[: held.rfind(b"\n") + 1]
        rows = list(csv.DictReader(io.StringIO(whole.decode("utf-8", "replace"), newline="")))
        if any(row["settings"] != self._settings for row in rows):
            raise LikewiseError(
                f"{self._path} holds results of another prompt, model or version; "
                "name another file, or start it anew with --overwrite"
            )
        if whole != held:
            self._path.write_bytes(whole)
        return rows
