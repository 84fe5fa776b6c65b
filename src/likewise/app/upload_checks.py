"""Which uploaded files are taken as pictures: by their name, their first and last bytes, their header, their pixels.

The raw bytes of an upload are never sent to a browser, only what was decoded of them. A file that is a picture and
something else at once is refused all the same: a picture has no use for it.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from pathlib import Path

from likewise.app.limits import Limits, RefusedError
from likewise.data.decoders import IMAGE_SUFFIXES, open_image
from likewise.data.images import read_image
from likewise.errors import LikewiseError
from likewise.sources import Choice, open_source

#: Bytes at both ends of a file that are searched for something else than a picture.
ENDS = 1 << 16
#: Signatures of other things: pages, scripts and documents near the start, archives at the end.
_PAGES = re.compile(
    rb"<(?:!doctype|html|script|svg|\?php|body|iframe|object|embed)\b|%PDF-|^#!|^MZ|\x7fELF", re.IGNORECASE
)
_ARCHIVE = b"PK\x05\x06"
NAME_LENGTH = 200
#: What every file has, a stack as well as a photograph.
FIRST = Choice(channel=0, z=0, frame=0)


def checked_name(name: str) -> str:
    """A file's name, if it is one and nothing more.

    Raises:
        RefusedError: empty, too long, a path, with characters that cannot be seen, or not the ending of a picture.
    """
    name = unicodedata.normalize("NFC", name)
    if not name or len(name) > NAME_LENGTH:
        raise RefusedError(422, f"the file's name is empty or longer than {NAME_LENGTH} characters")
    if "/" in name or "\\" in name or name.startswith("."):
        raise RefusedError(422, "the file's name is a path; expected a plain name such as coins.png")
    if any(unicodedata.category(character)[0] == "C" or character in "\u2028\u2029" for character in name):
        raise RefusedError(422, "the file's name has characters that cannot be seen")
    if Path(name).suffix.lower() not in IMAGE_SUFFIXES:
        raise RefusedError(415, f"{name} is not named like a picture; expected {' '.join(IMAGE_SUFFIXES)}")
    return name


def check_header(path: Path, name: str, limits: Limits) -> None:
    """Look at a file's ends and header, before anything of it is decoded.

    Raises:
        RefusedError: not a picture, also something else, or one with too many pixels.
    """
    _refuse_riders(path, name)
    try:
        with open_image(path) as image:
            width, height = image.size
    except Exception as error:  # decoders raise nearly anything on what is not theirs
        raise RefusedError(415, f"{name} is not a picture that can be read") from error
    if width * height > limits.upload_pixels:
        raise RefusedError(
            413,
            f"{name} is {width} x {height} pixels, more than the {limits.upload_pixels / 1e6:g} million taken; "
            "shrink it, or start likewise app on its folder",
        )


def decode(path: Path, name: str, limits: Limits) -> tuple[int, int]:
    """Decode a file whose header was found good, to see that all of it is there: width and height, upright.

    Raises:
        RefusedError: it is damaged.
    """
    try:
        height, width = read_image(path, max_pixels=limits.upload_pixels).shape[:2]
    except LikewiseError as error:
        stack = _decoded_stack(path)
        if stack is None:
            raise RefusedError(415, str(error).replace(str(path), name)) from error
        return stack
    return width, height


def _decoded_stack(path: Path) -> tuple[int, int] | None:
    """Width and height of a stack whose first plane is there; None: it is no stack, or damaged."""
    with suppress(LikewiseError), open_source(path, FIRST) as source:
        height, width = source.whole()[0].shape[:2]
        return width, height
    return None


def _refuse_riders(path: Path, name: str) -> None:
    with path.open("rb") as file:
        start = file.read(ENDS)
        file.seek(max(0, path.stat().st_size - ENDS))
        end = file.read()
    if not start:
        raise RefusedError(415, f"{name} is empty")
    if _PAGES.search(start) or _PAGES.search(end) or _ARCHIVE in end:
        raise RefusedError(415, f"{name} holds something else than a picture")
