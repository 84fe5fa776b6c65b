"""Damaged files, prompts, tables, projects and requests by the thousand: each is read, or refused in so many words.

``make fuzz`` runs it for ten minutes, ``python tests/fuzz.py --seconds 60 --seed 3`` as long and with as much luck as
is asked for. What is neither read nor refused is kept in the folder ``fuzz`` beside the seed that made it, and the
exit code is 1. The page's bodies are checked in the process, without a socket.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.torch import save

from likewise.app.limits import Limits
from likewise.app.server import build_app
from likewise.cli.ledger import Ledger
from likewise.data.counting.folder import CountingFolder
from likewise.data.images import read_image
from likewise.errors import LikewiseError
from likewise.types import Prompt
from likewise.weights import read_checkpoint, read_foreign

Rng = np.random.Generator
#: What an attack did: nothing came of it but a value, or an error in words.
READ, REFUSED = "read", "refused"
FORMS = ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP", "PPM")
NUMBERS = (0, 1, -1, 2**31, 2**63, 1e308, -1e-308, 0.5, float("nan"), float("inf"), True)
WORDS = ("", "coins", "coins, apples", "everything except", "\x00", "../..", "=1+1", "\ud800", "ä" * 40, "1")
KEYS = (
    "picture", "pictures", "exemplars", "negatives", "text", "region", "like", "model", "task", "support", "strokes",
    "points", "width", "name", "count", "images", "annotations", "id", "image_id", "bbox", "point", "file_name",
    "segmentation", "size", "counts", "version", "prompt",
)  # fmt: skip
#: The corners of a region.
FIELD = [[0, 0], [30, 0], [30, 20]]
ROUTES = (
    "count",
    "segment",
    "recognize",
    "jobs",
    "project/check",
    "export/csv",
    "export/overlays",
    "export/coco",
    "label-studio",
)
TASKS = ("count", "segment", "recognize")
#: An example drawn in Label Studio, in per cent.
RECTANGLE = {"type": "rectanglelabels", "value": {"x": 9, "y": 9, "width": 30, "height": 30, "rectanglelabels": ["a"]}}
TASK = {"data": {"image": "a.png"}, "annotations": [{"result": [RECTANGLE]}]}
INTERFACE = '<View><Image name="i" value="$image"/><KeyPointLabels name="k" toName="i"/></View>'


def damaged(rng: Rng, content: bytes) -> bytes:
    """A few bytes other than they were, a piece gone, doubled or moved."""
    held = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        if not held:
            break
        start, length = int(rng.integers(len(held))), int(rng.integers(1, 40))
        piece = bytes(held[start : start + length])
        how = int(rng.integers(4))
        if how == 0:
            held[start : start + length] = rng.bytes(len(piece))
        elif how == 1:
            del held[start:]
        elif how == 2:
            held[start:start] = piece
        else:
            del held[start : start + length]
    return bytes(held)


def value(rng: Rng, depth: int = 0) -> Any:
    """Any JSON there is, not too deep."""
    kind = int(rng.integers(6 if depth < 4 else 3))
    if kind == 0:
        return NUMBERS[int(rng.integers(len(NUMBERS)))]
    if kind == 1:
        return float(rng.normal(0, 200))
    if kind == 2:
        return WORDS[int(rng.integers(len(WORDS)))]
    if kind < 5:
        return [value(rng, depth + 1) for _ in range(int(rng.integers(6)))]
    return {KEYS[int(rng.integers(len(KEYS)))]: value(rng, depth + 1) for _ in range(int(rng.integers(8)))}


def spoilt(rng: Rng, words: dict[str, Any], share: float = 0.15) -> dict[str, Any]:
    """The same words, a share of them left out, and as many with anything for a value."""
    kept = {name: held for name, held in words.items() if rng.random() >= share}
    return {name: value(rng, 2) if rng.random() < share else held for name, held in kept.items()}


def project(rng: Rng) -> dict[str, Any]:
    """A project file, each part of its picture spoilt now and then."""
    parts = {
        "prediction": {"model": "spdcn-lite", "count": 2.0, "points": [[3, 3], [9, 9]], "scores": [1.0, 0.5]},
        "segmented": {"model": "fwb-lite", "area": 0.5, "segmentation": {"size": [24, 32], "counts": "0PP1"}},
        "recognized": {"model": "s3n-lite", "label": "a lemon", "probability": 0.5, "top": [["a lemon", 0.5]]},
    }
    held = {name: spoilt(rng, words, 0.03) for name, words in parts.items() if rng.random() < 0.7}
    strokes = [spoilt(rng, {"points": [[3, 3], [20, 9]], "width": 4, "erase": False}, 0.03)]
    picture = {"name": "a.png", "width": 32, "height": 24, "added": [[1, 1]], "removed": [[3, 3]], "strokes": strokes}
    return {"format": 1, "pictures": [spoilt(rng, picture | held, 0.03)]}


class Attacks:
    """What is attacked, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        self.pictures = [_encoded(pixels, form) for form in FORMS]
        (folder / "pics").mkdir()
        Image.fromarray(pixels).save(folder / "pics" / "a.png")
        Ledger(folder / "good.csv", ("count",), "s1").add(folder / "pics" / "a.png", (7,), _Result)
        self.table = (folder / "good.csv").read_bytes()
        self.checkpoints = (_pickled(), save({"a": torch.ones(2)}, {"method": "spdcn", "config": "{}"}))
        self.client = TestClient(
            build_app(folder / "pics", limits=Limits(uploads=8)),
            raise_server_exceptions=False,
            base_url="http://127.0.0.1:7878",
        )
        self.client.__enter__()
        self.id = self.client.get("/api/v1/pictures").json()["pictures"][0]["id"]

    def picture(self, rng: Rng) -> str:
        """A picture of a form that is read, damaged."""
        file = self.folder / "x.bin"
        file.write_bytes(damaged(rng, self.pictures[int(rng.integers(len(self.pictures)))]))
        pixels = read_image(file)
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        return READ

    def prompt(self, rng: Rng) -> str:
        """A prompt with some of its words or numbers other than they should be."""
        whole = {"exemplars": [[1, 2, 30, 40]], "negatives": [[5, 5, 9, 9]], "text": "a coin", "region": FIELD}
        Prompt(**spoilt(rng, whole)).inside(100, 80)
        return READ

    def table_of_counts(self, rng: Rng) -> str:
        """A table that something else went through."""
        file = self.folder / "t.csv"
        file.write_bytes(damaged(rng, self.table))
        table = Ledger(file, ("count",), "s1")
        assert len(table) in (0, 1)
        table.finish()
        return READ

    def annotations(self, rng: Rng) -> str:
        """A data set's annotations."""
        image = {"id": 1, "file_name": "a.png", "count": 3, "exemplars": [[1, 2, 9, 9]]}
        thing = {"id": 1, "image_id": 1, "bbox": [3, 3, 8, 8], "point": [7, 7], "category_id": 1}
        whole = {"images": [spoilt(rng, image, 0.05)], "annotations": [spoilt(rng, thing, 0.05) for _ in range(3)]}
        file = self.folder / "pics" / "annotations.json"
        file.write_text(json.dumps(spoilt(rng, whole, 0.05)))
        samples = CountingFolder(self.folder / "pics")
        assert all(np.isfinite(samples[i].count) for i in range(len(samples)))
        return READ

    def checkpoint(self, rng: Rng) -> str:
        """Weights, of ours and of others."""
        index = int(rng.integers(2))
        file = self.folder / ("w.pth", "w.safetensors")[index]
        file.write_bytes(damaged(rng, self.checkpoints[index]))
        (read_foreign, read_checkpoint)[index](file)
        return READ

    def request(self, rng: Rng) -> str:
        """A body of the page's, or what never was one."""
        route = ROUTES[int(rng.integers(len(ROUTES)))]
        whole = {
            "count": {"picture": self.id, "exemplars": [[2, 2, 12, 12]], "region": FIELD},
            "segment": {"picture": self.id, "support": [{"picture": self.id, "box": [2, 2, 12, 12]}]},
            "recognize": {"picture": self.id},
            "jobs": {"task": "count", "pictures": [self.id], "exemplars": [[2, 2, 12, 12]]},
            "label-studio": {"tasks": [TASK], "label_config": INTERFACE},
        }.get(route, project(rng))
        text = json.dumps(spoilt(rng, whole) if rng.random() < 0.8 else value(rng)).encode()
        body = damaged(rng, text) if rng.random() < 0.2 else text
        where = "/label-studio/predict" if route == "label-studio" else f"/api/v1/{route}"
        if "export" in route:
            where += f"?task={TASKS[int(rng.integers(len(TASKS)))]}"
        answer = self.client.post(where, content=body, headers={"content-type": "application/json"})
        assert answer.status_code < 500, f"{where}: {answer.status_code} {answer.text[:200]} for {body[:500]!r}"
        return REFUSED if answer.status_code >= 400 else READ


class _Result:
    seconds, model = 1.0, "fuzz"


def _encoded(pixels: np.ndarray, form: str) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, form)
    return held.getvalue()


def _pickled() -> bytes:
    held = io.BytesIO()
    torch.save({"model": {"a": torch.ones(3)}, "args": argparse.Namespace(lr=1.0)}, held)
    return held.getvalue()


def tried(attack: Callable[[Rng], str], rng: Rng) -> str:
    """What came of an attack."""
    try:
        return attack(rng)
    except LikewiseError:
        return REFUSED


def main() -> int:
    """Attack until the time is over; 1 where anything got through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    figures: Counter[str] = Counter()
    found, end = 0, time.monotonic() + asked.seconds
    with tempfile.TemporaryDirectory() as folder:
        attacks = Attacks(Path(folder))
        each = [getattr(attacks, n) for n in vars(Attacks) if not n.startswith("_")]
        for number, attack in zip(itertools.count(), itertools.cycle(each)):
            if time.monotonic() > end or found >= 20:
                break
            try:
                figures[f"{attack.__name__}: {tried(attack, np.random.default_rng((asked.seed, number)))}"] += 1
            except Exception:  # noqa: BLE001  # whatever it is, it is what is looked for
                found += 1
                kept = Path("fuzz") / f"{attack.__name__}-{asked.seed}-{number}.txt"
                kept.parent.mkdir(exist_ok=True)
                kept.write_text(traceback.format_exc())
                sys.stdout.write(f"got through: {kept}\n")
        attacks.client.__exit__(None, None, None)
    for name in sorted(figures):
        sys.stdout.write(f"{figures[name]:8d} {name}\n")
    sys.stdout.write(f"{found} got through, seed {asked.seed}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
