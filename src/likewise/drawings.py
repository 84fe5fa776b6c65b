"""What is drawn for each picture, and where it goes: no two pictures ever have one drawing.

Every drawing carries a mark that says whose it is (a digest of the picture's path, as a text of the PNG file), so that
a later run, of other pictures or without a table, draws over its own picture's drawings only.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.digests import DigestMap
from likewise.errors import LikewiseError
from likewise.plain_text import printable

if TYPE_CHECKING:
    from PIL import Image


#: Ends of the names of what is drawn, so that drawings beside their pictures are not taken for pictures.
DRAWN = (
    *("_count.png", "_segment.png", "_mask.png", "_recognize.png", "_density.tif", "_density.ome.zarr"),
    *("_frames.png", "_count.mp4"),
)
_MARK = "likewise-picture"
#: The mark is in the first so many bytes of a drawing.
_MARKED_WITHIN = 1024
#: Longest name that is left as it is, in bytes: file systems take 255, with the ending and while it is written.
_LONGEST = 200


def place_of(path: Path) -> Path:
    """The file itself, from the root on: links to its folder are followed, a link that it is stays one."""
    return Path(os.path.realpath(path.parent)) / path.name


def mark_of(picture: Path) -> str:
    """Sixteen hexadecimal digits that stand for a picture's path."""
    return hashlib.sha256(str(place_of(picture)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def is_drawing(path: Path) -> bool:
    """Whether a file was drawn here."""
    return path.name.endswith(DRAWN) and bool(_mark_in(path))


def save_drawing(drawing: Image.Image, path: Path, picture: Path) -> None:
    """Write a picture's drawing with its mark; it appears under its name when it is complete.

    Raises:
        OSError: it cannot be written.
    """
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(_MARK, mark_of(picture))
    _write(path, lambda part: drawing.save(part, format="PNG", pnginfo=info))


def save_text(text: str, path: Path) -> None:
    """Write a text that goes with a picture's drawings; it appears under its name when it is complete.

    Raises:
        OSError: it cannot be written.
    """
    _write(path, lambda part: part.write_text(text, encoding="utf-8"))


def save_form(write: Callable[[Path], object], path: Path) -> None:
    """Write what goes with a picture's drawings, a file or a folder; it appears under its name when it is complete.

    Args:
        write: is given where to write it first, under a name with the same ending.
        path: where it is to be.

    Raises:
        OSError: it cannot be written.
    """
    _write(path, write)


def _write(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(f".part.{path.name}")
    try:
        write(part)
        if part.is_dir():
            _remove(path)
        part.replace(path)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    """Take a file, a link or a folder away, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def plan_drawings(
    pictures: Sequence[Path], folder: Path, drawn: Sequence[str], texts: Sequence[str] = ()
) -> list[list[Path]]:
    """Where the drawings of a few pictures go, as a `DrawingPlan` chooses."""
    plan = DrawingPlan(pictures, folder, drawn, texts)
    return [plan.paths(picture, plan.choose(picture)) for picture in pictures]


class DrawingPlan:
    """Where each picture's drawings go: NAME_count.png, or NAME.jpg_count.png where two have one name, and so on.

    What is there already is kept apart: a picture's own drawings are found again, those of other pictures and files
    that were not drawn here are left alone.

    Args:
        pictures: all of them; gone through twice.
        folder: for the drawings.
        drawn: ends of the drawings' names.
        texts: ends of the names of what goes with them, in any other form.
    """

    def __init__(self, pictures: Iterable[Path], folder: Path, drawn: Sequence[str], texts: Sequence[str] = ()) -> None:
        self._folder, self._drawn, self._suffixes = folder, len(drawn), (*drawn, *texts)
        self._twice = [_twice(_folded(form(picture)) for picture in pictures) for form in _FORMS[:2]]
        self._taken = DigestMap()  # place -> whose it is
        here = _folded(str(place_of(folder / "x").parent))
        parents: dict[Path, bool] = {}  # whether pictures of a folder lie where the drawings go
        for picture in pictures:
            beside = parents.get(picture.parent)
            if beside is None:
                beside = _folded(str(place_of(picture).parent)) == here
                parents = {picture.parent: beside}
            if beside:
                self._taken[_folded(str(place_of(picture)))] = _PICTURE

    def choose(self, picture: Path) -> int:
        """Number of a picture's name, for `paths`; the name is not given to another one after that."""
        mine = mark_of(picture)
        known = self._first("mine", _known(picture, self._folder, self._suffixes), mine)
        chosen = known if known is not None else self._first("free", _names(picture, self._shortest(picture)), mine)
        assert chosen is not None  # noqa: S101  # there is no end of names
        for path in self.paths(picture, chosen):
            self._taken[_folded(str(place_of(path)))] = int(mine, 16)
        return chosen

    def paths(self, picture: Path, number: int) -> list[Path]:
        """Where a picture's drawings go."""
        name = next(islice(_all_names(picture), number, None))
        return _paths(self._folder, name, self._suffixes)

    def _shortest(self, picture: Path) -> int:
        """The first name that is the picture's own."""
        stems, names = self._twice
        return 0 if _folded(picture.stem) not in stems else 1 if _folded(picture.name) not in names else 2

    def _first(self, wanted: str, names: Iterator[tuple[int, str]], mine: str) -> int | None:
        """Number of the first name under which there is nothing of others, and something of the picture's own."""
        for number, name in names:
            state = _state(_paths(self._folder, name, self._suffixes), self._drawn, mine, self._taken)
            if state == wanted or (state == "mine" and wanted == "free"):
                return number
        return None


#: In the place of a mark: a picture, which nothing may be drawn over.
_PICTURE = 0


def _twice(names: Iterable[str]) -> set[str]:
    """Names that come more than once."""
    seen = DigestMap()
    twice = set()
    for name in names:
        if name in seen:
            twice.add(name)
        seen[name] = 1
    return twice


def spare(references: Sequence[Path], folder: Path, drawings: Iterable[str]) -> None:
    """Refuse to draw over what somebody else made.

    Raises:
        LikewiseError: a drawing would have a reference's place.
    """
    theirs = {path.resolve() for path in references}
    there = folder.resolve()
    for name in drawings if theirs else ():
        if there / name in theirs or ((folder / name).is_symlink() and (folder / name).resolve() in theirs):
            raise LikewiseError(
                f"{printable(folder / name)} is given as an example and would be drawn over; choose another --output"
            )


def _parented(picture: Path) -> str:
    return "_".join((place_of(picture).parent.name, picture.name))


#: What a picture's drawings are called, the shortest first.
_FORMS: tuple[Callable[[Path], str], ...] = (lambda picture: picture.stem, lambda picture: picture.name, _parented)


def _named(picture: Path) -> list[str]:
    return [_shortened(form(picture)) for form in _FORMS]


def _all_names(picture: Path) -> Iterator[str]:
    names = _named(picture)
    yield from names
    yield from (f"{names[-1]}-{number}" for number in count(2))


def _names(picture: Path, shortest: int) -> Iterator[tuple[int, str]]:
    return islice(enumerate(_all_names(picture)), shortest, None)


def _known(picture: Path, folder: Path, suffixes: Sequence[str]) -> Iterator[tuple[int, str]]:
    """What a picture's drawings may be called already."""
    names = enumerate(_all_names(picture))
    yield from islice(names, len(_FORMS))
    yield from takewhile(lambda name: any(path.exists() for path in _paths(folder, name[1], suffixes)), names)


def _paths(folder: Path, name: str, suffixes: Sequence[str]) -> list[Path]:
    return [folder / (name + suffix) for suffix in suffixes]


def _state(paths: Sequence[Path], drawn: int, mine: str, taken: DigestMap) -> str:
    """Whose the files of these names are, of which the first so many are drawings: "free", "mine" or "theirs"."""
    there = [path.exists() or path.is_symlink() for path in paths]
    marks = {_mark_in(path) for path, exists in zip(paths[:drawn], there, strict=False) if exists}
    if any(there[drawn:]) and not marks:
        return "theirs"  # a text carries no mark: it is of the picture whose drawing lies beside it
    owners = {taken.get(_folded(str(place_of(path)))) for path in paths} - {None}
    if not marks <= {mine} or not owners <= {int(mine, 16)}:
        return "theirs"
    return "mine" if any(there) else "free"


def _mark_in(path: Path) -> str:
    """The mark of a PNG file, from the texts before its pixels; "" where it has none, or is none."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            held = io.BytesIO(file.read(_MARKED_WITHIN))
    except OSError:
        return ""
    if held.read(8) != b"\x89PNG\r\n\x1a\n":
        return ""
    while len(start := held.read(8)) == 8:
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        key, _, text = held.read(length).partition(b"\0")
        if kind == b"tEXt" and key == _MARK.encode():
            return text.decode("latin-1")
        held.seek(4, io.SEEK_CUR)  # its checksum
    return ""


def _folded(name: str) -> str:
    """The same for names that some file system takes for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _shortened(name: str) -> str:
    held = name.encode("utf-8", "surrogatepass")
    if len(held) <= _LONGEST:
        return name
    return f"{held[: _LONGEST - 40].decode('utf-8', 'ignore')}-{hashlib.sha256(held).hexdigest()[:12]}"
