"""Which channel and plane of a file is the picture, and its contrast, as typed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likewise.sources import Choice


@dataclass(frozen=True)
class Seen:
    """What was typed; None: nothing.

    Attributes:
        channel: its number or name.
        z: a plane's number, ``max`` or ``mean``.
        contrast: ``auto``, two values or two percentages.
    """

    channel: str | None = None
    z: str | None = None
    contrast: str | None = None

    def choice(self) -> Choice:
        """What it means.

        Raises:
            LikewiseError: it means nothing.
        """
        from likewise.sources import Choice

        return Choice.parse(self.channel, self.z, self.contrast or "auto")

    def told(self) -> dict[str, str]:
        """What was typed, by its name, and nothing else: what results depend on."""
        typed = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in typed.items() if value is not None}


AS_IT_IS = Seen()
