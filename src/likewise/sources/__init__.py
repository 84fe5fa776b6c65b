"""Pictures of any size and kind, read in parts: what `open_source` opens, and the one protocol that all of it meets."""

from __future__ import annotations

from likewise.sources.base import GIANT, PictureSource, Window
from likewise.sources.choice import PLAIN, Axes, Choice
from likewise.sources.frames import Frame, Frames, open_frames
from likewise.sources.opening import open_source

__all__ = [
    "GIANT",
    "PLAIN",
    "Axes",
    "Choice",
    "Frame",
    "Frames",
    "PictureSource",
    "Window",
    "open_frames",
    "open_source",
]
