"""One file out of a multipart form, written as it arrives: nothing is held in memory, nothing lands elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from likewise.app.limits import RefusedError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

#: The form's field that holds the file.
FIELD = "file"
#: Bytes of a part's headers.
HEADER_BYTES = 8192
#: Characters of what parts the form, by RFC 2046.
BOUNDARY = 70
#: Those of RFC 5987.
CHARSETS = ("utf-8", "iso-8859-1")


async def receive_file(content_type: str, chunks: AsyncIterator[bytes], path: Path, take: Callable[[int], None]) -> str:
    """Write the form's file to ``path``.

    Args:
        content_type: of the request.
        chunks: its body.
        path: the file is made; the caller removes it when this raises.
        take: told of every stretch of bytes before it is written; may refuse.

    Returns:
        The file's name, as the sender gave it.

    Raises:
        RefusedError: not a multipart form with one file in a field ``file``, or ``take`` refused.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise RefusedError(415, f"expected a multipart form with one file in the field '{FIELD}'")
    if len(boundary) > BOUNDARY or not boundary.isascii():
        raise RefusedError(400, f"the form's boundary is not one; expected at most {BOUNDARY} plain characters")
    with path.open("xb") as file:
        form = _Form(file, take)
        parser = MultipartParser(boundary.encode("ascii"), form.callbacks())
        try:
            async for chunk in chunks:
                parser.write(chunk)
            parser.finalize()
        except FormParserError as error:
            raise RefusedError(400, "the multipart form is broken") from error
    if not form.ended:
        raise RefusedError(400, "the multipart form was cut off")
    if form.name is None:
        raise RefusedError(422, f"the form holds no file; expected one in the field '{FIELD}'")
    return form.name


class _Form:
    """Collects the headers of each part, and passes on the bytes of the one that is wanted."""

    def __init__(self, file: BinaryIO, take: Callable[[int], None]) -> None:
        self.name: str | None = None
        self.ended = False
        self._file = file
        self._take = take
        self._field = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._wanted = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": lambda data, start, end: self._add(self._field, data[start:end]),
            "on_header_value": lambda data, start, end: self._add(self._value, data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _end(self) -> None:
        self.ended = True

    def _add(self, held: bytearray, data: bytes) -> None:
        held += data
        if len(held) > HEADER_BYTES:
            raise RefusedError(400, "a header in the multipart form is too long")

    def _header_end(self) -> None:
        if len(self._headers) > 16:
            raise RefusedError(400, "too many headers in the multipart form")
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        part = Message()
        part["content-disposition"] = self._headers.get(b"content-disposition", b"").decode("utf-8", "replace")
        self._wanted = part.get_param("name", header="content-disposition") == FIELD
        if not self._wanted:
            return
        if self.name is not None:
            raise RefusedError(422, f"the form holds several files; expected one in the field '{FIELD}'")
        self.name = _file_name(part)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self._take(end - start)
            self._file.write(data[start:end])


def _file_name(part: Message) -> str:
    """What a part calls its file: of ``filename`` and ``filename*`` (RFC 5987: any alphabet) the latter; or nothing."""
    given: list[Any] = [value for key, value in part.get_params([], header="content-disposition") if key == "filename"]
    named = next((value for value in given if isinstance(value, tuple)), given[0] if given else "")
    if not isinstance(named, tuple):
        return str(named)
    charset, _, raw = named  # each octet as a character
    if (charset or "").lower() not in CHARSETS:
        raise RefusedError(422, f"filename* is in an alphabet that is not read; expected {' or '.join(CHARSETS)}")
    return str(raw).encode("latin-1", "replace").decode(charset, "replace")
