"""Damaged files, prompts, tables, regions, cards, projects and requests: each is read, or refused in so many words.

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
import tifffile
import torch
from fastapi.testclient import TestClient
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load, save

from likewise.app.limits import Limits
from likewise.app.server import build_app
from likewise.cli.ledger import Ledger
from likewise.data.counting.folder import CountingFolder
from likewise.data.images import read_image
from likewise.data.regions import read_regions
from likewise.errors import LikewiseError
from likewise.estimation import estimate, read_sample, sample
from likewise.placement import Placement
from likewise.predict.adaptation_card import read_card, save_card
from likewise.predict.densities import NO_EXEMPLARS
from likewise.predict.taught import CandidateError, Taught, TaughtPicture
from likewise.registry import preset
from likewise.sources import Choice, open_source
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
    "segmentation", "size", "counts", "version", "prompt", "type", "properties", "geometry", "coordinates", "features",
)  # fmt: skip
#: Counts of pictures, of which some are counted by hand.
COUNTED = {f"plate{number % 2}/{number}.png": 3.0 + number for number in range(12)}
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


def feature(rng: Rng) -> dict[str, Any]:
    """A region of GeoJSON, each part spoilt now and then."""
    ring = [[2, 2], [28, 2], [28, 20], [2, 20], [2, 2]]
    if rng.random() < 0.2:
        ring[int(rng.integers(5))] = value(rng, 3)
    geometry = spoilt(rng, {"type": "Polygon", "coordinates": [ring]}, 0.03)
    return spoilt(rng, {"type": "Feature", "properties": {"name": "left"}, "geometry": geometry}, 0.03)


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
        self.sources = [_tiff(pixels[..., 0].astype(kind), tile) for kind in "BHf" for tile in (None, (16, 16))]
        self.regions = _region_files(pixels)
        self.sample = _saved(folder / "sample.csv", lambda path: sample(COUNTED, 5).filled(COUNTED).save(path))
        counts = "".join(f"{name},{count},{count - 1},{count + 2}\n" for name, count in COUNTED.items())
        self.counts = f"image,count,low,high\n{counts}".encode()
        self.card = _card(folder / "card.safetensors")
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

    def source(self, rng: Rng) -> str:
        """A picture of an instrument, damaged, and read in parts."""
        file = self.folder / "x.tif"
        file.write_bytes(damaged(rng, self.sources[int(rng.integers(len(self.sources)))]))
        with open_source(file, Choice(z=0) if rng.random() < 0.1 else Choice()) as source:
            assert source.whole()[0].shape == (source.height, source.width, 3)
        return READ

    def region_file(self, rng: Rng) -> str:
        """Regions that something else wrote, damaged, or GeoJSON with anything in it."""
        suffix, content = self.regions[int(rng.integers(len(self.regions)))]
        file = self.folder / f"regions{suffix}"
        if suffix == ".geojson" and rng.random() < 0.8:
            held = {"type": "FeatureCollection", "features": [feature(rng) for _ in range(3)]}
            file.write_text(json.dumps(spoilt(rng, held, 0.03)))
        else:
            file.write_bytes(damaged(rng, content))
        unit = (None, "px", "um", "crs")[int(rng.integers(4))]
        found = read_regions(file, Placement(micrometres=(0.5, 0.5)), size=(32, 24), unit=unit)
        assert all(np.isfinite(each.box).all() for each in found)
        return READ

    def card_of_adapt(self, rng: Rng) -> str:
        """What `likewise adapt` wrote, its bytes or its words damaged."""
        file = self.folder / "spoilt.safetensors"
        if rng.random() < 0.4:
            file.write_bytes(damaged(rng, self.card[0]))
        else:
            config = spoilt(rng, self.card[1], 0.05)
            words = {"method": "adaptation", "config": json.dumps(config)}
            file.write_bytes(save(load(self.card[0]), self.card[2] | words))
        read_card(file).change(_Network())
        return READ

    def hand_counts(self, rng: Rng) -> str:
        """A table of counts and a sample that people filled in, one of them damaged."""
        counts, hand = self.folder / "counts.csv", self.folder / "hand.csv"
        first = rng.random() < 0.5
        counts.write_bytes(damaged(rng, self.counts) if first else self.counts)
        hand.write_bytes(self.sample if first else damaged(rng, self.sample))
        read_sample(hand)
        found = estimate(counts, hand, by="folder" if rng.random() < 0.5 else None)
        assert np.isfinite(found.total.value)
        json.dumps(found.to_dict())
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


class _Network(torch.nn.Module):
    """What a card changes."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = torch.nn.Linear(2, 1)


def _saved(path: Path, write: Callable[[Path], object]) -> bytes:
    write(path)
    return path.read_bytes()


def _tiff(values: np.ndarray, tile: tuple[int, int] | None) -> bytes:
    held = io.BytesIO()
    tifffile.imwrite(held, values, tile=tile, compression="zlib" if tile else None)
    return held.getvalue()


def _region_files(pixels: np.ndarray) -> list[tuple[str, bytes]]:
    """Endings and contents; ImageJ's where the other side's library is there to write them."""
    labels = (pixels[..., 0] // 64).astype(np.uint8)
    found = [(".geojson", json.dumps(feature(np.random.default_rng(1))).encode()), (".png", _encoded(labels, "PNG"))]
    try:
        from roifile import ImagejRoi
    except ImportError:
        return found
    roi = ImagejRoi.frompoints(np.array([[2.0, 2.0], [20.0, 3.0], [9.0, 18.0]]))
    return [*found, (".roi", roi.tobytes())]


def _card(path: Path) -> tuple[bytes, dict[str, Any], dict[str, str]]:
    """A card, the words in it, and what else its file says of itself."""
    errors = (CandidateError("nothing", 0.2, 0.01), CandidateError("a factor", 0.1, 0.01))
    pictures = (TaughtPicture("a.jpg", 24, 20.5, 23.5, "points"),) * 3
    taught = Taught("spdcn-lite", "0" * 64, "a factor", errors, pictures, errors, ("decoder.weight",), 7, "1")
    save_card(path, _Network(), (preset("spdcn-lite").config.inference, None), taught, NO_EXEMPLARS)
    with safe_open(path, framework="pt") as file:
        words = file.metadata()
    return path.read_bytes(), json.loads(words["config"]), words


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
