"""Results: what a picture was found to show, a type for each task.

Convention
----------
Everything is in the caller's pixels: points are ``(x, y)``, the centre of the top left pixel at (0.5, 0.5).
"""

from __future__ import annotations

from likewise.results.count import CountResult
from likewise.results.kinds import KindsResult
from likewise.results.recognize import RecognizeResult
from likewise.results.segment import SegmentResult

__all__ = ["CountResult", "KindsResult", "RecognizeResult", "SegmentResult"]
