"""Pictures of a made-up project of the page, as its file holds them: counted by example, by name, and not yet."""

from __future__ import annotations

from typing import Any

BOXES = [[12, 10, 29, 30], [50.5, 12, 70, 31]]
COUNTED: dict[str, Any] = {
    "name": "a2.png",
    "width": 180,
    "height": 130,
    "exemplars": BOXES,
    "prediction": {
        "model": "spdcn-lite",
        "count": 3.4,
        "low": 2.5,
        "high": 5.0,
        "points": [[20, 20], [60, 20], [100.123, 50]],
        "scores": [0.9, 0.8, 0.7],
        "seconds": 0.25,
    },
    "added": [[150, 100], [10.5, 100]],
    "removed": [[60, 20], [1, 1]],
}
BY_NAME = {**COUNTED, "name": "b, with a comma.png", "exemplars": [], "text": "shells", "added": [], "removed": []}
UNCOUNTED = {"name": "c.png", "width": 10, "height": 10, "exemplars": BOXES}
