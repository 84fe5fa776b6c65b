"""What people type to name pictures, boxes and regions."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from likewise.cli.terminal import tell
from likewise.drawings import DRAWN, is_drawing
from likewise.errors import LikewiseError
from likewise.types import Box, Point


@dataclass(frozen=True)
class Pictures:
    """Pictures to work through, and whether more than one file was asked for: a folder or a glob may hold only one."""

    paths: list[Path]
    several: bool


def find_pictures(inputs: Sequence[str], verb: str) -> Pictures:
    """The pictures that files, folders and globs name, each once, folders in natural order.

    A folder means the pictures directly in it, without hidden ones; what else in it looks like a picture, films and
    formats that are not read among it, is told on stderr. A file that is missing is kept: it is an error of its own
    when it is read. Drawings of pictures that are also found are left out. The verb is for the message.

    Raises:
        LikewiseError: nothing named, a folder without pictures, or a glob that matches nothing.
    """
    if not inputs:
        raise LikewiseError(f"no pictures; expected files, folders or globs, such as: likewise {verb} dishes/")
    found = list(dict.fromkeys(path for text in inputs for path in _expand(text)))
    drawn = {path.with_name(path.stem + end) for path in found for end in DRAWN}
    drawn |= {path for path in found if str(path) not in inputs and is_drawing(path)}
    paths = [path for path in found if path not in drawn]
    return Pictures(paths, len(paths) > 1 or paths != [Path(inputs[0])])


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
    if found and found[2]:
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


def _expand(text: str) -> list[Path]:
    from likewise.data.decoders import is_address
    from likewise.data.images import natural

    path = Path(text)
    if path.is_dir():
        return _in_folder(path)
    if path.exists() or not glob.has_magic(text) or is_address(text):
        return [path]
    matches = [Path(m) for m in glob.glob(_literal_head(text), recursive=True)]  # noqa: PTH207  # Path.glob needs a root
    files = sorted(
        (match for match in matches if match.is_file() or _is_broken_link(match)), key=lambda file: natural(str(file))
    )
    if not files:
        raise LikewiseError(f"{text} matches no file")
    return files


def _literal_head(pattern: str) -> str:
    """The pattern with the folders at its beginning that are there by these very names taken for themselves."""
    parts = Path(pattern).parts
    there = max((n for n in range(len(parts)) if Path(*parts[:n]).is_dir()), default=0)
    return str(Path(glob.escape(str(Path(*parts[:there]))), *parts[there:])) if there else pattern


def _in_folder(folder: Path) -> list[Path]:
    from likewise.data.decoders import IMAGE_SUFFIXES, is_read
    from likewise.data.images import natural

    there = [path for path in folder.iterdir() if not path.name.startswith(".")]
    found = [path for path in there if is_read(path) and (path.is_file() or _is_broken_link(path))]
    left_out = _left_out(set(there) - set(found))
    if not found:
        raise LikewiseError(
            f"{folder} holds no pictures ({' '.join(IMAGE_SUFFIXES)}){left_out and f', only {left_out}'}; "
            f"for those in folders inside it write '{folder}/**/*.jpg'"
        )
    if left_out:
        tell(f"{folder}: left out {left_out}")
    return sorted(found, key=lambda file: natural(str(file)))


def _left_out(paths: set[Path]) -> str:
    """What of a folder looks like pictures and is not read: how many of each kind, what they are and what to do."""
    from likewise.data.decoders import KINDS, is_read

    kinds: Counter[tuple[str, str]] = Counter()
    for path in paths:
        suffix = path.suffix.lower()
        if is_read(path):  # named like a picture, and no file
            kinds[suffix, "a folder" if path.is_dir() else "a pipe or a device"] += 1
        elif suffix in KINDS:
            kinds[suffix, "; ".join(KINDS[suffix])] += 1
    return ", ".join(f"{number} {suffix} ({what})" for (suffix, what), number in sorted(kinds.items()))


def _is_broken_link(path: Path) -> bool:
    """Whether a path is a link to nothing, which is an error of its own when it is read."""
    return path.is_symlink() and not path.exists()
