"""The pictures the workbench knows: those of the folder it was started on, and uploads. Outside they have only ids.

Convention
----------
Sizes and pixels are of the upright picture, as `likewise.data.images.read_image` gives it.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from likewise.app.limits import Limits, RefusedError
from likewise.app.multipart import receive_file
from likewise.app.upload_checks import check_header, checked_name, decode
from likewise.data.decoders import is_read, open_image
from likewise.data.images import natural, pixel_bound
from likewise.data.orientation import orientation_of
from likewise.data.tiff import is_tiff
from likewise.sources import PLAIN, Choice


@dataclass(frozen=True)
class Picture:
    """A picture on the shelf.

    Attributes:
        id: what the outside calls it, the same after a restart, as long as the file is; it tells nothing of the path.
        name: the file's name; no two are alike.
        path: never told outside.
        key: what its work is kept under: the name in its folder, or the content of an upload.
        size: of the file, bytes.
        width: upright, pixels; 0 where it cannot be read.
        height: likewise.
        uploaded: whether it lies in the workbench's own folder.
        problem: why it cannot be read.
        choice: what of the file is the picture.
    """

    id: str
    name: str
    path: Path
    key: str
    size: int
    width: int
    height: int
    uploaded: bool
    problem: str | None = None
    choice: Choice = PLAIN

    def to_dict(self) -> dict[str, object]:
        """What the outside may know."""
        known: dict[str, object] = {"id": self.id, "name": self.name, "width": self.width, "height": self.height}
        if self.uploaded:
            known["uploaded"] = True
        return known if self.problem is None else {**known, "error": self.problem}


class PictureStore:
    """All pictures by id.

    Args:
        folder: whose pictures are on it, those directly in it; None: none.
        uploads: an empty folder for uploads.
        limits: what is taken.
    """

    def __init__(self, folder: Path | None, uploads: Path, limits: Limits) -> None:
        self._folder = folder
        self._uploads = uploads
        self._limits = limits
        self._pictures: dict[str, Picture] = {}  # copied before it is walked through: other threads add to it
        self._names: set[str] = set()
        self._scanned = False
        self._stored = 0
        self._arriving = 0
        self._lock = threading.Lock()
        self._scanning = threading.Lock()

    def scan(self) -> None:
        """Put on the shelf what is new in the folder."""
        with self._scanning:
            known = {picture.path for picture in list(self._pictures.values())}
            for path in sorted(self._folder.iterdir(), key=lambda path: natural(path.name)) if self._folder else ():
                if path not in known and is_read(path) and path.is_file() and (found := _from_folder(path)):
                    self._put(found)
            self._scanned = True

    def listed(self) -> list[Picture]:
        """Every picture, those of the folder first."""
        return sorted(self._pictures.values(), key=lambda picture: picture.uploaded)

    def get(self, picture_id: str) -> Picture:
        """The picture of that id.

        Raises:
            RefusedError: there is none, or it cannot be read.
        """
        found = self.known(picture_id)
        if found is None:
            raise RefusedError(404, "no such picture; it may have been put away, or the workbench was started anew")
        if found.problem is not None:
            raise RefusedError(415, found.problem)
        return found

    def known(self, picture_id: str) -> Picture | None:
        """The picture of that id, whether or not it can be read; None: there is none."""
        if picture_id not in self._pictures and not self._scanned:  # a page that was open before it was started anew
            self.scan()
        return self._pictures.get(picture_id)

    def named(self, name: str) -> Picture | None:
        """The picture of that name, if there is one."""
        return next((p for p in list(self._pictures.values()) if p.name == name and p.problem is None), None)

    def names(self) -> set[str]:
        """Of all pictures that can be read."""
        return {picture.name for picture in list(self._pictures.values()) if picture.problem is None}

    async def receive(self, content_type: str, chunks: AsyncIterator[bytes]) -> tuple[Path, str]:
        """Write an upload into the uploads' folder, under a random name.

        Raises:
            RefusedError: too many at once or too large, or its name is not a picture's.
        """
        with self._lock:
            if self._arriving >= self._limits.uploads:
                raise RefusedError(429, f"{self._arriving} uploads are arriving; try again in a moment")
            self._arriving += 1
        path, tally = self._uploads / secrets.token_hex(16), _Tally(self)
        try:
            return path, checked_name(await receive_file(content_type, chunks, path, tally.take))
        except BaseException:
            tally.give_back()
            path.unlink(missing_ok=True)
            raise
        finally:
            with self._lock:
                self._arriving -= 1

    def store(self, content: bytes) -> Path:
        """Write bytes that came otherwise than as an upload into the uploads' folder.

        Raises:
            RefusedError: there is no room for them.
        """
        self.account(len(content))
        path = self._uploads / secrets.token_hex(16)
        try:
            path.write_bytes(content)
        except BaseException:
            self.account(-len(content))
            path.unlink(missing_ok=True)
            raise
        return path

    def admit(self, path: Path, name: str) -> Picture:
        """Examine a received file and put it on the shelf; one that is refused is deleted.

        Raises:
            RefusedError: it is not a picture that is taken, or there are too many.
        """
        try:
            if sum(picture.uploaded for picture in list(self._pictures.values())) >= self._limits.pictures:
                raise RefusedError(413, f"{self._limits.pictures} pictures were uploaded; put some away first")
            check_header(path, name, self._limits)
            width, height = decode(path, name, self._limits)
        except BaseException:
            self._drop(path)
            raise
        key = f"sha256:{_digest(path)}"
        found = Picture("", name, path, key, path.stat().st_size, width, height, uploaded=True)
        return self._put(found)

    def spoil(self, picture_id: str, problem: str) -> None:
        """Remember that a picture turned out not to be readable, and why."""
        with self._lock:
            found = self._pictures.get(picture_id)
            if found is not None:
                self._pictures[picture_id] = replace(found, problem=problem)

    def remove(self, picture_id: str) -> None:
        """Take an upload away; the folder's own pictures stay.

        Raises:
            RefusedError: there is no such picture, or it is the folder's.
        """
        picture = self._pictures.get(picture_id) or self.get(picture_id)
        if not picture.uploaded:
            raise RefusedError(403, f"{picture.name} lies in your folder; only uploads are put away here")
        with self._lock:
            del self._pictures[picture_id]
            self._names.discard(picture.name)
        self._drop(picture.path)

    def account(self, size: int) -> None:
        """Count bytes that arrive (or, below 0, that went).

        Raises:
            RefusedError: there is no room for them.
        """
        with self._lock:
            if size > 0 and self._stored + size > self._limits.stored_bytes:
                raise RefusedError(413, f"the uploads fill the {_megabytes(self._limits.stored_bytes)} kept for them")
            self._stored += size

    @property
    def upload_bytes(self) -> int:
        """The most that one upload may have."""
        return self._limits.upload_bytes

    def _drop(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            path.unlink()
            self.account(-size)

    def _put(self, picture: Picture) -> Picture:
        with self._lock:
            name = _free(picture.name, self._names)
            put = replace(picture, name=name, id=picture.id or _id_of(f"{picture.key}\0{name}"))
            self._pictures[put.id] = put
            self._names.add(name)
        return put


class _Tally:
    """Bytes of one upload, while it arrives."""

    def __init__(self, store: PictureStore) -> None:
        self._shelf = store
        self._taken = 0

    def take(self, size: int) -> None:
        if self._taken + size > self._shelf.upload_bytes:
            raise RefusedError(413, f"the file is larger than the {_megabytes(self._shelf.upload_bytes)} taken")
        self._shelf.account(size)
        self._taken += size

    def give_back(self) -> None:
        self._shelf.account(-self._taken)


def _from_folder(path: Path) -> Picture | None:
    """Only the header is read: folders are large. None: it is gone."""
    name, problem, width, height = path.name, None, 0, 0
    try:
        with open_image(path) as image:
            width, height = image.size
            if width * height > pixel_bound() and not is_tiff(path):  # that one is read in parts
                problem = f"{name} has too many pixels; crop or reduce it first"
            if orientation_of(image) >= 5:
                width, height = height, width
    except Exception:  # noqa: BLE001  # decoders raise nearly anything on what is not theirs
        problem = f"{name} cannot be read as a picture"
    try:
        held = path.stat()
    except OSError:  # gone since it was listed
        return None
    place = "\0".join((str(path.absolute()), str(held.st_size), str(held.st_mtime_ns)))
    return Picture(_id_of(place), name, path, name, held.st_size, width, height, uploaded=False, problem=problem)


def _id_of(what: str) -> str:
    """What a picture is called outside, now and after a restart: another file, or one that changed, has another."""
    return hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _free(name: str, taken: set[str]) -> str:
    """The name, or the name with a number where another has it."""
    path, number, free = Path(name), 2, name
    while free in taken:
        free, number = f"{path.stem} ({number}){path.suffix}", number + 1
    return free


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):g} MB"
