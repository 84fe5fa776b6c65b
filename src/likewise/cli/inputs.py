"""What people type to name pictures, boxes and regions."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from likewise.cli.listing import Listing, files_in, matching
from likewise.cli.shard import Shard
from likewise.cli.terminal import tell
from likewise.digests import DigestMap
from likewise.drawings import DRAWN, is_drawing
from likewise.errors import LikewiseError
from likewise.types import Box, Point


@dataclass(frozen=True)
class Pictures:
    """Pictures to work through.

    Attributes:
        listings: of what each argument names, one after another, no file twice.
        several: whether more than one file was asked for: a folder or a glob may hold only one.
        shard: whose these pictures are; None: all of them.
    """

    listings: tuple[Listing, ...]
    several: bool
    shard: Shard | None = None

    def __len__(self) -> int:
        return sum(map(len, self.listings))

    def __iter__(self) -> Iterator[Path]:
        for listing in self.listings:
            yield from listing


def find_pictures(inputs: Sequence[str], verb: str, shard: Shard | None = None) -> Pictures:
    """The pictures that files, folders and globs name, each once, folders in natural order.

    A folder means the pictures directly in it, without hidden ones; what else in it looks like a picture, films and
    formats that are not read among it, is told on stderr. A file that is missing is kept: it is an error of its own
    when it is read. Drawings of pictures that are also found are left out. The verb is for the message.

    Args:
        inputs: as typed.
        verb: what is done to them.
        shard: only pictures of this one; a shard may be empty.

    Raises:
        LikewiseError: nothing named, a folder without pictures, or a glob that matches nothing.
    """
    if not inputs:
        raise LikewiseError(f"no pictures; expected files, folders or globs, such as: likewise {verb} dishes/")
    finder = _Finder(inputs, shard)
    listings = tuple(finder.undrawn([Listing(finder.names(text)) for text in inputs]))
    found = Pictures(listings, several=True, shard=shard)
    alone = shard is None and len(found) == 1 and next(iter(found)) == Path(inputs[0])
    return Pictures(listings, not alone, shard)


class _Finder:
    """Names what the arguments name, without drawings, what came before, and what is another shard's."""

    def __init__(self, inputs: Sequence[str], shard: Shard | None) -> None:
        self._inputs = inputs
        self._shard = shard
        self._before: DigestMap | None = DigestMap() if len(inputs) > 1 else None
        self._suspects: dict[str, bool] = {}  # named as a drawing: the picture's name -> whether that was found

    def names(self, text: str) -> Iterator[str]:
        """What one argument names."""
        root, found = _expand(text, tell)
        for name in found:
            if self._before is not None:
                if name in self._before:
                    continue
                self._before[name] = 1
            if self._shard is not None and not self._shard.holds(_below(name, root)):
                continue
            if name.endswith(DRAWN):
                if name not in self._inputs and is_drawing(Path(name)):
                    continue
                self._suspects.update(dict.fromkeys(_drawn_of(name), False))
            yield name

    def undrawn(self, listings: list[Listing]) -> list[Listing]:
        """The listings without files that are called like the drawing of another that was found."""
        if not self._suspects:
            return listings
        for name in self._all(listings):
            stem = str(Path(name).with_suffix(""))
            if stem in self._suspects:
                self._suspects[stem] = True
        return [Listing(name for name in map(str, each) if not self._is_drawn(name)) for each in listings]

    def _all(self, listings: list[Listing]) -> Iterator[str]:
        """Names of everything that was found, also what is another shard's."""
        if self._shard is None:
            return (str(path) for listing in listings for path in listing)
        return (name for text in self._inputs for name in _expand(text, lambda line: None)[1])

    def _is_drawn(self, name: str) -> bool:
        return any(self._suspects.get(stem, False) for stem in _drawn_of(name))


def _below(name: str, root: str) -> str:
    """A file's name from a folder on, with slashes."""
    return Path(name).relative_to(root).as_posix() if root else Path(name).name


def _drawn_of(name: str) -> list[str]:
    """Whose drawing a file would be by its name: that picture's path without its suffix."""
    return [name.removesuffix(end) for end in DRAWN if name.endswith(end)]


def parse_box(text: str, option: str = "--box") -> Box:
    """``X0,Y0,X1,Y1`` as a box.

    Raises:
        LikewiseError: not four numbers.
    """
    numbers = _numbers(text)
    if len(numbers) != 4:
        raise LikewiseError(f"{option} {text}: expected four numbers X0,Y0,X1,Y1, such as 81,39,120,74")
    x0, y0, x1, y1 = numbers
    return x0, y0, x1, y1


def parse_like(text: str) -> tuple[str, Box]:
    """``REF.jpg:X0,Y0,X1,Y1`` as a path and a box.

    Raises:
        LikewiseError: no colon, or not four numbers behind it.
    """
    path, box = _in_two(text)
    if not path:
        raise LikewiseError(f"--like {text}: expected a picture and a box in it, such as ref.jpg:81,39,120,74")
    return path, parse_box(box, f"--like {path}:")


def parse_support(text: str) -> tuple[str, str | Box | list[Point]]:
    """``IMG:MASK`` as a path and a mask: a file, a box ``X0,Y0,X1,Y1``, or clicks ``@X,Y@X,Y``.

    Raises:
        LikewiseError: no colon, nothing behind it, or clicks that are no pairs of numbers.
    """
    path, mask = _in_two(text)
    if not (path and mask):
        raise LikewiseError(
            f"--support {text}: expected a picture and its mask, such as ref.jpg:ref_mask.png, "
            "ref.jpg:81,39,120,74 (a box) or ref.jpg:@81,39 (a click)"
        )
    if mask.startswith("@"):
        clicks = [_numbers(part) for part in mask.split("@")[1:]]
        if any(len(click) != 2 for click in clicks):
            raise LikewiseError(f"--support {text}: expected clicks such as @81,39@120,74")
        return path, [(x, y) for x, y in clicks]
    numbers = _numbers(mask)
    if numbers and not Path(mask).exists():
        return path, parse_box(mask, f"--support {path}:")
    return path, mask


def parse_region(text: str) -> list[Point]:
    """``X,Y,X,Y,X,Y,...`` as a polygon.

    Raises:
        LikewiseError: not an even number of numbers, at least six.
    """
    numbers = _numbers(text)
    if len(numbers) < 6 or len(numbers) % 2:
        raise LikewiseError(f"--region {text}: expected three or more corners X,Y,X,Y,X,Y, such as 0,0,400,0,400,300")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def parse_grid(text: str) -> tuple[int, int]:
    """The wells of a plate, such as ``96``, or ``ROWSxCOLUMNS`` as rows and columns.

    Raises:
        LikewiseError: neither.
    """
    from likewise.regions import PLATES

    found = re.fullmatch(r"(\d{1,5})(?:[xX×](\d{1,5}))?", text.strip())
    if found and found[2] and int(found[1]) and int(found[2]):
        return int(found[1]), int(found[2])
    if found and int(found[1]) in PLATES:
        return PLATES[int(found[1])]
    plates = ", ".join(map(str, PLATES))
    raise LikewiseError(f"--grid {text}: expected ROWSxCOLUMNS, such as 4x6, or the wells of a plate: {plates}")


def _in_two(text: str) -> tuple[str, str]:
    """What stands before the last colon and behind it; the colon of a drive, as in ``C:/ref.jpg``, is not one."""
    drives = {drive.end() - 1 for drive in re.finditer(r"(?:^|(?<=:))[A-Za-z]:(?=[\\/])", text)}
    last = max((i for i, letter in enumerate(text) if letter == ":" and i not in drives), default=-1)
    return ("", text) if last < 0 else (text[:last], text[last + 1 :])


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return []


def _expand(text: str, tell: Callable[[str], None]) -> tuple[str, Iterable[str]]:
    """The folder that an argument begins with, "" where it is a file, and the files that it names.

    Args:
        text: as typed.
        tell: is told what looks like a picture and is not read.

    Raises:
        LikewiseError: while they are gone through, where there are none.
    """
    from likewise.data.decoders import is_address

    path = Path(text)
    if path.is_dir():
        return ("", _in_store(path)) if path.suffix.lower() == ".zarr" else (str(path), _in_folder(path, tell))
    if path.exists() or not glob.has_magic(text) or is_address(text):
        return "", (str(path),)
    head = _literal_head(text)
    return str(head), _matching(text, head)


def _literal_head(pattern: str) -> Path:
    """The folders at a pattern's beginning that are there by these very names."""
    parts = Path(pattern).parts
    there = max((n for n in range(len(parts)) if Path(*parts[:n]).is_dir()), default=0)
    return Path(*parts[:there])


def _matching(pattern: str, head: Path) -> Iterator[str]:
    """Files that match, the folders at the beginning taken for themselves."""
    rest = Path(*Path(pattern).parts[len(head.parts) :])
    name = None
    for name in matching(str(Path(glob.escape(str(head)), rest)) if head.parts else pattern):
        yield str(Path(name))
    if name is None:
        raise LikewiseError(f"{pattern} matches no file")


def _in_folder(folder: Path, tell: Callable[[str], None]) -> Iterator[str]:
    from likewise.data.decoders import IMAGE_SUFFIXES, is_read

    name = None
    others: Counter[tuple[str, str]] = Counter()
    for name in files_in(folder, is_read, lambda path: others.update(_kind(path))):
        yield name
    for store in folder.glob("[!.]*.zarr"):
        for name in _in_store(store):
            yield name
    left_out = ", ".join(f"{number} {suffix} ({what})" for (suffix, what), number in sorted(others.items()))
    if name is None:
        raise LikewiseError(
            f"{folder} holds no pictures ({' '.join(IMAGE_SUFFIXES)}){left_out and f', only {left_out}'}; "
            f"for those in folders inside it write '{folder}/**/*.jpg'"
        )
    if left_out:
        tell(f"{folder}: left out {left_out}")


def _in_store(path: Path) -> Iterator[str]:
    """The fields of a plate, or the picture that an OME-Zarr is."""
    from likewise.sources.zarr import plate_fields

    yield from map(str, plate_fields(path) or [path])


def _kind(path: Path) -> list[tuple[str, str]]:
    """What a file is that looks like a picture and is not read, and what to do; nothing where it does not."""
    from likewise.data.decoders import KINDS, is_read

    suffix = path.suffix.lower()
    if is_read(path):  # named like a picture, and no file
        return [(suffix, "a folder" if path.is_dir() else "a pipe or a device")]
    return [(suffix, "; ".join(KINDS[suffix]))] if suffix in KINDS else []
