"""Sprites of a colour-emoji font: some thousand named things that are installed on most machines.

The font is found through fontconfig. What cannot be counted as a thing is dropped (flags, letters, keycaps,
clock faces, arrows, plain symbols, skin tones), and so are sprites whose pictures nearly coincide.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from likewise.scenes.kinds.cutouts import PhotoBank

#: The only size at which the bitmap glyphs of Noto Color Emoji can be loaded.
GLYPH_SIZE = 109
_FONT_FILES = ("NotoColorEmoji", "AppleColorEmoji", "seguiemj")
_RANGES = ((0x203C, 0x3300), (0x1F000, 0x1FB00))
#: ZWJ sequences of things (not of people) that have no code point of their own.
_SEQUENCES = {"polar bear": "\U0001f43b\u200d\u2744\ufe0f", "black cat": "\U0001f408\u200d\u2b1b"}
_NOT_THINGS = re.compile(
    r"\b(ARROWS?|LETTERS?|SQUARED|SQUARE|CLOCK FACE|KEYCAP|SYMBOL FOR|IDEOGRAPH|MODIFIER|COMPONENT|SIGN|"
    r"TRIANGLE|DIAMOND|ORNAMENT|MARK|HEAVY|ASTERISK|LOOP|DASH|BUTTON|DOUBLE VERTICAL|BLACK CIRCLE|WHITE CIRCLE|"
    r"POINTING|INDEX|ALTERNATION|ARIES|TAURUS|GEMINI|CANCER|LEO|VIRGO|LIBRA|SCORPIUS|SAGITTARIUS|CAPRICORN|"
    r"AQUARIUS|PISCES|OPHIUCHUS|DOTTED LINE|MENS SYMBOL|WOMENS SYMBOL|BABY SYMBOL|RESTROOM|OM SYMBOL|"
    r"POTABLE|LITTER|SMOKING SYMBOL|NO ENTRY|NO BICYCLES|NO PEDESTRIANS|NO MOBILE|BRIGHTNESS|VIBRATION|"
    r"MULTIPLICATION|PASSPORT CONTROL|CUSTOMS|BAGGAGE CLAIM|LEFT LUGGAGE|WATER CLOSET|INFORMATION SOURCE|"
    r"SHIBBOLETH|HUNDRED POINTS|SILHOUETTE OF JAPAN|SLEEPING SYMBOL|ANTENNA WITH BARS|"
    r"HOT SPRINGS|NIGHT WITH STARS|MILKY WAY|RAINBOW|"
    r"FOGGY|WIND BLOWING|FOG|SPLASHING|REVOLVING HEARTS|UNDER EIGHTEEN)\b"
)
_THUMB = 12
#: Mean absolute difference of thumbnails (0 to 1, premultiplied RGB and alpha) below which two sprites coincide.
_SAME = 0.012


@dataclass(frozen=True)
class EmojiKind:
    """One sprite of the font."""

    name: str
    text: str

    source = "emoji"

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """The sprite, ``count`` times: the variety of its instances is made by what follows (`vary`)."""
        glyph = sprite(self.text)
        return [glyph] * count


@lru_cache(maxsize=1)
def find_font() -> Path | None:
    """The colour-emoji font fontconfig knows, or None where there is no font or no fontconfig."""
    if shutil.which("fc-list") is None:
        return None
    listing = subprocess.run(["fc-list", ":", "file"], capture_output=True, text=True, check=False, timeout=60)  # noqa: S607  # found on PATH, as everywhere
    paths = sorted(Path(line.split(":")[0].strip()) for line in listing.stdout.splitlines() if line.strip())
    named = [p for wanted in _FONT_FILES for p in paths if p.stem.startswith(wanted)]
    return next((p for p in named if _has_colour_glyphs(p)), None)


@lru_cache(maxsize=1)
def emoji_kinds() -> tuple[EmojiKind, ...]:
    """Every nameable thing of the font, under one name each; empty where the font is missing."""
    if find_font() is None:
        return ()
    codes = [chr(c) for low, high in _RANGES for c in range(low, high) if _is_thing(chr(c))]
    named = {_name(text): text for text in reversed(codes)} | _SEQUENCES
    kinds = [EmojiKind(name, text) for name, text in reversed(named.items()) if _drawn(text)]
    thumbs = np.stack([_thumbnail(sprite(kind.text)) for kind in kinds])
    return tuple(kind for i, kind in enumerate(kinds) if not _coincides(thumbs[:i], thumbs[i]))


@lru_cache(maxsize=4096)
def sprite(text: str) -> Image.Image:
    """One glyph as an RGBA picture cropped to what is drawn.

    Raises:
        RuntimeError: no colour-emoji font is installed.
    """
    image = Image.new("RGBA", (2 * GLYPH_SIZE, 2 * GLYPH_SIZE))
    ImageDraw.Draw(image).text((GLYPH_SIZE // 3, GLYPH_SIZE // 3), text, font=_font(), embedded_color=True)
    return image.crop(image.getbbox())


def _name(text: str) -> str:
    # "black" and "white" in old names tell whether a symbol was printed filled, not its colour
    name = unicodedata.name(text, "").lower()
    return re.sub("^(black|white) ", "", name) if text < "\U0001f000" else name


def _is_thing(text: str) -> bool:
    name = unicodedata.name(text, "")
    return bool(name) and unicodedata.category(text) in ("So", "Sk") and not _NOT_THINGS.search(name)


def _drawn(text: str) -> bool:
    return _font().getmask(text).getbbox() is not None


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    path = find_font()
    if path is None:
        raise RuntimeError("no colour-emoji font was found; install fonts-noto-color-emoji")
    return ImageFont.truetype(str(path), GLYPH_SIZE)


def _has_colour_glyphs(path: Path) -> bool:
    try:
        font = ImageFont.truetype(str(path), GLYPH_SIZE)
    except OSError:
        return False
    return font.getmask("\U0001f34e").getbbox() is not None


def _thumbnail(image: Image.Image) -> NDArray[np.float32]:
    small = image.convert("RGBa").resize((_THUMB, _THUMB), Image.Resampling.BOX)
    return np.frombuffer(small.tobytes(), dtype=np.uint8).astype(np.float32) / np.float32(255)


def _coincides(earlier: NDArray[np.float32], thumb: NDArray[np.float32]) -> bool:
    return len(earlier) > 0 and float(np.abs(earlier - thumb).mean(1).min()) < _SAME
