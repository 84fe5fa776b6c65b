"""Pictures as a film, by PyAV."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likewise.draw import GROUND
from likewise.errors import needs_extra

#: Encoders in the order in which they are taken, with what each is told.
ENCODERS = {"libx264": {"crf": "20"}, "libopenh264": {"b": "6M"}, "mpeg4": {"qmin": "2", "qmax": "5"}}
#: Pictures a second: slow enough to read a number off each.
RATE = 4


def film_encoder() -> str | None:
    """The encoder that films are written with; None: there is none, or no PyAV."""
    try:
        import av
    except ImportError:
        return None
    for name in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except ValueError:  # this FFmpeg was built without it
            continue
        return name
    return None


def write_film(pictures: Iterable[Image.Image], path: Path, rate: int = RATE) -> None:
    """Write an MP4 file, one picture after the other: only one is in memory, and what the encoder keeps.

    The film is as large as the first picture, to whole pairs of pixels; others are cut, or have plain ground beside.

    Args:
        pictures: RGB.
        path: of the file.
        rate: pictures a second.

    Raises:
        LikewiseError: PyAV or an encoder is missing.
    """
    with needs_extra(f"{path.name} is a film, which", "video"):
        import av
    name = film_encoder() or "mpeg4"
    with av.open(str(path), "w", format="mp4") as film:
        stream: Any = None
        for picture in pictures:
            if stream is None:
                stream = film.add_stream(name, rate=rate, options=ENCODERS[name])
                stream.width, stream.height = (side + side % 2 for side in picture.size)
                stream.pix_fmt = "yuv420p"
            sheet = Image.new("RGB", (stream.width, stream.height), GROUND)
            sheet.paste(picture)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(sheet), format="rgb24")))
        if stream is not None:
            film.mux(stream.encode())
