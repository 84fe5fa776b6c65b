"""likewise: show it one, it finds the rest.

>>> import likewise as lw
>>> from skimage import data
>>> counter = lw.load("spdcn-lite")
>>> result = counter.count(data.coins(), exemplars=[(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)])
>>> round(result.count)
24
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from likewise.moved import MovedFinder

if TYPE_CHECKING:
    from likewise.adaptation.adapt import adapt
    from likewise.adaptation.corrections import Correction
    from likewise.adaptation.recognizer import adapt_recognizer
    from likewise.data.regions import read_regions
    from likewise.errors import LikewiseError
    from likewise.estimation import Estimate, Sample, estimate, sample
    from likewise.placement import Placement
    from likewise.predict import Counter, NamedCounter, Recognizer, Segmenter, Session, load
    from likewise.predict.frames import count_frames
    from likewise.regions import Region
    from likewise.results import CountResult, KindsResult, RecognizeResult, SegmentResult
    from likewise.sources import Choice, open_source
    from likewise.types import Prompt

    __version__: str

#: Public name -> where it lives; imported when it is first used, so that `import likewise` is instant.
_PUBLIC = {
    "Choice": "likewise.sources",
    "Correction": "likewise.adaptation.corrections",
    "CountResult": "likewise.results",
    "Counter": "likewise.predict",
    "Estimate": "likewise.estimation",
    "KindsResult": "likewise.results",
    "LikewiseError": "likewise.errors",
    "NamedCounter": "likewise.predict",
    "Placement": "likewise.placement",
    "Prompt": "likewise.types",
    "RecognizeResult": "likewise.results",
    "Recognizer": "likewise.predict",
    "Region": "likewise.regions",
    "SegmentResult": "likewise.results",
    "Sample": "likewise.estimation",
    "Segmenter": "likewise.predict",
    "Session": "likewise.predict",
    "count_frames": "likewise.predict.frames",
    "estimate": "likewise.estimation",
    "adapt": "likewise.adaptation.adapt",
    "adapt_recognizer": "likewise.adaptation.recognizer",
    "load": "likewise.predict",
    "open_source": "likewise.sources",
    "read_regions": "likewise.data.regions",
    "sample": "likewise.estimation",
}

__all__ = [
    "Choice",
    "Correction",
    "CountResult",
    "Counter",
    "Estimate",
    "KindsResult",
    "LikewiseError",
    "NamedCounter",
    "Placement",
    "Prompt",
    "RecognizeResult",
    "Recognizer",
    "Region",
    "Sample",
    "SegmentResult",
    "Segmenter",
    "Session",
    "__version__",
    "adapt",
    "adapt_recognizer",
    "count_frames",
    "estimate",
    "load",
    "open_source",
    "read_regions",
    "sample",
]

sys.meta_path.append(MovedFinder())


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
