"""How much the workbench takes on, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass

from likewise.errors import LikewiseError

#: The status for who does not wait for an answer any more; nobody gets to see it.
CLIENT_GONE = 499


class RefusedError(LikewiseError):
    """A request that is not served, and with which HTTP status.

    Args:
        status: 400 to 499.
        message: what was wrong, and what was expected.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """The most that the workbench takes; beyond it, requests are refused with a reason.

    Attributes:
        upload_bytes: size of one uploaded file.
        upload_pixels: width x height of an uploaded picture, known from its header before it is decoded.
        stored_bytes: of all uploads together.
        pictures: uploaded.
        uploads: being received at the same time.
        body_bytes: size of any other request.
        requests: other requests with a body, at the same time.
        questions: waiting for the model.
        jobs: not finished.
        cached_pixels: of pictures that are kept ready for another question.
        header_bytes: of a request's address and headers together.
        held_bytes: of all bodies (uploads aside) that are being read or answered.
        values: in one body of JSON: its numbers, texts, lists and keys.
        answers: requests being answered, of all kinds.
        silence: seconds that a sender may pause in its headers or its body, or a receiver in taking the answer.
        told: changed pictures that other pages are told of one by one.
        waiting: connections on which no request has come; the oldest is given up for another.
    """

    upload_bytes: int = 64 << 20
    upload_pixels: int = 64_000_000
    stored_bytes: int = 2 << 30
    pictures: int = 2000
    uploads: int = 256
    body_bytes: int = 16 << 20
    requests: int = 32
    questions: int = 24
    jobs: int = 4
    cached_pixels: int = 48_000_000
    header_bytes: int = 16 << 10
    held_bytes: int = 48 << 20
    values: int = 3_000_000
    answers: int = 512
    silence: float = 20.0
    told: int = 200
    waiting: int = 128
