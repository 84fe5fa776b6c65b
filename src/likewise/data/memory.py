"""How much memory a picture takes to be read, before it is read.

Wherever its format allows, a picture is read piece by piece, into three bytes a pixel. Some decoders hold all of it:
what they would take is reckoned here from the picture's size, by figures that were measured.
"""

from __future__ import annotations

from PIL import Image

from likewise.errors import LikewiseError

#: Bytes a pixel that may be needed altogether, where the bound on pixels is used to the full: 1.5 GB by default.
BYTES = 1.5
#: What decoders hold, bytes a pixel, beside the three of the result and Pillow's own picture.
HELD = {"AVIF": 4.5, "HEIF": 6.0, "JPEG2000": 13.0, "WEBP": 10.5}
#: What Pillow's own picture holds, bytes a pixel, by its mode; others hold four.
OWN = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
RESULT = 3


def check_whole(image: Image.Image, name: str, most: int, tile: tuple[int, int] | None = None) -> None:
    """Refuse a picture, opened and not decoded, that Pillow would need too much memory for.

    Args:
        image: of a format that Pillow decodes whole.
        name: of the picture.
        most: pixels that a picture may have.
        tile: (width, height) of the parts that its decoder holds; None: it holds the whole.

    Raises:
        LikewiseError: see `check_memory`.
    """
    kind, held = str(image.format), HELD.get(str(image.format), 0.0)
    area = image.width * image.height if tile is None else min(image.width, tile[0]) * min(image.height, tile[1])
    need = RESULT + OWN.get(image.mode, 4)
    check_memory(image.size, need, name, most, f"as {kind} it is decoded whole", extra=round(held * area))


def check_memory(size: tuple[int, int], need: float, name: str, most: int, why: str, extra: int = 0) -> None:
    """Refuse a picture that cannot be read in bounded memory.

    Args:
        size: (width, height).
        need: bytes a pixel.
        name: of the picture.
        most: pixels that a picture may have.
        why: it takes so much.
        extra: bytes that do not grow with the pixels.

    Raises:
        LikewiseError: with its size, what it takes, and what to do.
    """
    bytes_needed, bound = need * size[0] * size[1] + extra, BYTES * most
    if bytes_needed > bound:
        raise LikewiseError(
            f"{name} is {size[0]} x {size[1]} pixels, and {why}, which takes {bytes_needed / 1e9:.1f} GB of the "
            f"{bound / 1e9:.2g} GB that it may; save it as a PNG, a baseline JPEG or a tiled TIFF, which are read "
            "piece by piece, crop or reduce it, or raise LIKEWISE_MAX_PIXELS"
        )
