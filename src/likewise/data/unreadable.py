"""What is said of a picture that its decoder gives up on.

Decoders raise nearly anything, in words for those who wrote them. Said is what a person can do something about: what
kind of file it is, how much of it is missing, or that it is damaged; the decoder's words stand behind that.
"""

from __future__ import annotations

import errno
from pathlib import Path

from PIL import UnidentifiedImageError

from likewise.data.decoders import DamagedError, begins_as_picture, other_kind
from likewise.data.tiff import bytes_missing, is_tiff
from likewise.errors import LikewiseError


def unreadable(name: str, path: Path | None, error: Exception, what: str = "a picture") -> LikewiseError:
    """The error to raise for one that a decoder raised.

    Args:
        name: of the picture, for the message.
        path: of its file; None: it has none.
        error: what was raised; a `LikewiseError` is given back as it is.
        what: it was read as.
    """
    if isinstance(error, LikewiseError):
        return error
    if isinstance(error, MemoryError):
        return LikewiseError(f"{name} does not fit into the memory; crop or reduce it first")
    return LikewiseError(f"{name} cannot be read as {what}: {_reason(path, error)}")


def _reason(path: Path | None, error: Exception) -> str:
    if isinstance(error, DamagedError):
        return str(error)
    if isinstance(error, OSError) and error.errno in errno.errorcode and error.strerror:
        return error.strerror  # of the system: not permitted, a disk that fails
    file = path if path is not None and path.is_file() else None
    if isinstance(error, UnidentifiedImageError):
        kind = other_kind(file) if file else None
        if kind:
            return f"it is {kind[0]}; {kind[1]}"
        if not (file and begins_as_picture(file)):
            return "no picture of a kind that is read"
    missing = bytes_missing(file) if file and is_tiff(file) else 0
    if missing:
        return f"it ends early: {missing} bytes of its pixels are missing; copy it again"
    words = "" if isinstance(error, UnidentifiedImageError) else str(error).rstrip(".") or type(error).__name__
    said = f" (its decoder says: {words})" if words else ""
    return f"it is damaged or ends early{said}; copy it again, or save it anew"
