"""likewise: show it one, it finds the rest.

>>> import likewise as lw
>>> counter = lw.load("spdcn-lite")  # doctest: +SKIP
>>> counter.count("coins.png", exemplars=[(81, 39, 120, 74)]).count  # doctest: +SKIP
24.1
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likewise.errors import LikewiseError
    from likewise.predict import Counter, load
    from likewise.results import CountResult
    from likewise.types import Prompt

    __version__: str

#: Public name -> where it lives; imported when it is first used, so that `import likewise` is instant.
_PUBLIC = {
    "CountResult": "likewise.results",
    "Counter": "likewise.predict",
    "LikewiseError": "likewise.errors",
    "Prompt": "likewise.types",
    "load": "likewise.predict",
}

__all__ = ["CountResult", "Counter", "LikewiseError", "Prompt", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("likewise")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'likewise' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
