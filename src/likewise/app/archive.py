"""A zip archive of pictures, written one by one; nothing of it is left where it is not finished."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path

from PIL import Image


class Archive:
    """Pictures as PNG in a zip file.

    Args:
        path: the file, made with the first picture.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip: zipfile.ZipFile | None = None
        self._names: set[str] = set()

    def add(self, name: str, image: Image.Image) -> None:
        """Write a picture.

        Args:
            name: without an ending; a number is added where there is one of that name.
            image: encoded before anything is written, so that what cannot be leaves no broken entry.

        Raises:
            OSError: it cannot be written.
        """
        encoded = io.BytesIO()
        image.save(encoded, "PNG")
        free, number = name, 2
        while free in self._names:
            free, number = f"{name} ({number})", number + 1
        self._names.add(free)
        if self._zip is None:
            self._zip = zipfile.ZipFile(self._path, "w", zipfile.ZIP_STORED)  # PNG does not shrink any more
        self._zip.writestr(f"{free}.png", encoded.getbuffer())

    def finish(self) -> Path:
        """Write what stands at the end of an archive.

        Raises:
            OSError: it cannot be written.
        """
        if self._zip is None:
            self._zip = zipfile.ZipFile(self._path, "w", zipfile.ZIP_STORED)
        self._zip.close()
        return self._path

    def discard(self) -> None:
        """Close the file and remove it, whatever state it is in."""
        if self._zip is not None:
            with contextlib.suppress(Exception):  # closing writes, which a full disk does not take
                self._zip.close()
        self._path.unlink(missing_ok=True)
