"""Which channel, plane and frame of a file is the picture, and what of its values is black and white.

What is meant by a stack cannot be guessed: a file with several of anything is refused until one is chosen, with what
there is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from likewise.data.contrast import AUTO, Contrast
from likewise.errors import LikewiseError, nearest

#: How planes of a stack become one picture, brightest or mean value of each pixel; else the number of a plane.
Projection = Literal["max", "mean"]


@dataclass(frozen=True)
class Axes:
    """What a file holds several of.

    Attributes:
        channels: their names, or "0", "1", ... where they have none; empty: one, or colours.
        planes: how many, in depth.
        frames: how many, in time.
    """

    channels: tuple[str, ...] = ()
    planes: int = 1
    frames: int = 1


@dataclass(frozen=True)
class Choice:
    """What of a file is the picture.

    Attributes:
        channel: its name or number, from 0; None: the only one, or colours.
        z: number of a plane, from 0, or "max" or "mean" of all; None: the only one.
        frame: number of a frame, from 0; None: the only one.
        contrast: which values are black and white.

    Raises:
        LikewiseError: a negative number, or a projection that there is not.

    Example:
        >>> Choice(channel="DAPI", z="max").z
        'max'
    """

    channel: int | str | None = None
    z: int | Projection | None = None
    frame: int | None = None
    contrast: Contrast = AUTO

    def __post_init__(self) -> None:
        if self.z is not None and self.z not in ("max", "mean") and not (isinstance(self.z, int) and self.z >= 0):
            raise LikewiseError(f"z = {self.z!r}: expected the number of a plane, from 0, or 'max' or 'mean' of all")
        for name in ("channel", "frame"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 0:
                raise LikewiseError(f"{name} = {value}: expected a number from 0")

    @classmethod
    def parse(cls, channel: str | None = None, z: str | None = None, contrast: str = "auto") -> Choice:
        """What people type: ``0`` or ``DAPI``; ``3``, ``max`` or ``mean``; ``auto``, ``MIN,MAX`` or ``LOW%,HIGH%``."""
        plane: int | str | None = int(z) if z is not None and z.isdecimal() else z
        return cls(
            channel=int(channel) if channel is not None and channel.isdecimal() else channel,
            z=plane,  # type: ignore[arg-type]  # looked at by __post_init__
            contrast=Contrast.parse(contrast),
        )

    def is_made(self) -> bool:
        """Whether a channel, a plane or a frame was chosen."""
        return (self.channel, self.z, self.frame) != (None, None, None)

    def index(self, axes: Axes, name: str) -> tuple[int | None, int | Projection, int]:
        """The numbers of the channel (None: colours, or the only one), the plane and the frame.

        Args:
            axes: what the file holds.
            name: of the file, for messages.

        Raises:
            LikewiseError: a choice is missing, or there is no such thing; what there is, is named.
        """
        channel = self._channel(axes.channels, name)
        z = _numbered(self.z, axes.planes, name, "planes", "z") if self.z not in ("max", "mean") else self.z
        frame = _numbered(self.frame, axes.frames, name, "frames", "frames")
        return channel, z, frame

    def _channel(self, names: Sequence[str], file: str) -> int | None:
        if self.channel is None and not names:
            return None
        if self.channel is None:
            raise LikewiseError(
                f"{file} holds {len(names)} channels ({', '.join(names[:16])}{', ...' * (len(names) > 16)}); choose "
                f"one: --channel {_quoted(names[0])} (in Python: Choice(channel={_plain(names[0])!r}))"
            )
        if not names and self.channel in (0, "0"):
            return None
        known = {name: number for number, name in reversed(list(enumerate(names)))}
        if isinstance(self.channel, int) and self.channel < len(names):
            return self.channel
        lowered = {name.lower(): number for name, number in known.items()}
        number = lowered.get(str(self.channel).lower())
        if number is None:
            if not names:
                raise LikewiseError(f"{file} has no channel {self.channel}; it has one channel, or colours")
            raise LikewiseError(f"{file} has no channel {self.channel}{nearest(str(self.channel), names)}")
        return number


#: The choice of one who makes none.
PLAIN = Choice()


def _numbered(chosen: int | str | None, there: int, file: str, what: str, option: str) -> int:
    if chosen is None:
        if there == 1:
            return 0
        projections = ", or --z max or mean of all" if option == "z" else ", such as --frames 0:10:2 for some"
        raise LikewiseError(
            f"{file} holds {there} {what}; choose one with --{option} 0 to {there - 1}{projections}"
            f" (in Python: Choice({option.removesuffix('s')}=0))"
        )
    if not isinstance(chosen, int) or chosen >= there:
        raise LikewiseError(f"{file} has no {what[:-1]} {chosen}: expected 0 to {there - 1}")
    return chosen


def projected(planes: Sequence[NDArray[np.generic]], how: Projection) -> NDArray[np.generic]:
    """One picture of several planes, the largest value or the mean of each pixel (floats)."""
    if how == "max":
        found = planes[0]
        for plane in planes[1:]:
            found = np.maximum(found, plane)
        return found
    total = np.zeros(planes[0].shape, np.float64)
    for plane in planes:
        total += plane.astype(np.float64)
    return (total / len(planes)).astype(np.float32)


def _plain(name: str) -> int | str:
    return int(name) if name.isdecimal() else name


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.+-]+", name) else f"'{name}'"
