"""Any request is answered, refused or done within what its content said it would cost."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from likewise.app import budget, strokes
from likewise.app.budget import check_json, check_masks, stroke_pixels
from likewise.app.export import to_csv, to_format
from likewise.app.limits import RefusedError
from likewise.app.models import Models
from likewise.app.project import Project
from likewise.app.requests import Stroke
from likewise.app.server import build_app
from likewise.app.strokes import mask_of
from likewise.ops.run_lengths import decode_rle, encode_rle
from likewise.results import SegmentResult

from .conftest import BOXES, SMALL, coins, encoded
from .test_api import Stub

LABELS = '<View><Image name="i" value="$image"/><KeyPointLabels name="k" toName="i"/></View>'
STROKE = {"points": [[20, 20], [60, 20]], "width": 20}
RUNS = encode_rle(np.arange(130 * 180).reshape(130, 180) % 7 < 3, compressed=True)
FOUND = {"model": "m", "count": 1, "points": [[1, 1]], "scores": [0.5], "found": BOXES, "low": 0, "high": 2}
#: An overlay is not drawn of pictures that are not there: no model is asked.
PICTURE = {
    "name": "elsewhere.png",
    "width": 180,
    "height": 130,
    "exemplars": BOXES,
    "region": [[0, 0], [90, 0], [90, 90]],
    "like": {"picture": "a2.png", "exemplars": BOXES},
    "prediction": FOUND,
    "added": [[3, 3]],
    "removed": [[1, 1]],
    "strokes": [STROKE],
    "base": RUNS,
    "segmented": {"model": "m", "area": 0.5, "boxes": BOXES, "segmentation": RUNS},
    "recognized": {"model": "m", "label": "x", "probability": 0.5, "top": [["x", 0.5]]},
}
PROJECT = {"format": 1, "likewise": "0", "saved": "today", "text": "x", "pictures": [PICTURE, PICTURE]}
#: Bodies that are good; "ID" stands for a picture's.
GOOD: dict[str, Any] = {
    "/api/v1/count": {"picture": "ID", "exemplars": BOXES, "region": [[0, 0], [90, 0], [90, 90]], "heat": False},
    "/api/v1/forecast": {"picture": "ID", "exemplars": BOXES, "coarse": 0.5, "keep": "q"},
    "/api/v1/segment": {"picture": "ID", "support": [{"picture": "ID", "strokes": [STROKE], "base": RUNS}]},
    "/api/v1/recognize": {"picture": "ID"},
    "/api/v1/jobs": {
        "task": "count",
        "pictures": ["ID"],
        "like": [{"picture": "ID", "exemplars": BOXES}],
        "regions": {"ID": [[0, 0], [90, 0], [90, 90]]},
    },
    "/api/v1/project/check": PROJECT,
    "/api/v1/export/csv": PROJECT,
    "/api/v1/export/coco": PROJECT,
    "/api/v1/export/csv?task=segment": PROJECT,
    "/api/v1/export/coco?task=segment": PROJECT,
    "/api/v1/export/csv?task=recognize": PROJECT,
    "/api/v1/export/overlays?task=segment": PROJECT,
    "/label-studio/predict": {
        "tasks": [
            {
                "data": {"image": "a2.png"},
                "annotations": [
                    {"result": [{"type": "rectanglelabels", "value": {"x": 10, "y": 10, "width": 9, "height": 9}}]}
                ],
            }
        ],
        "label_config": LABELS,
        "params": {"context": {"result": []}},
    },
    "/label-studio/setup": {"project": "1", "schema": LABELS},
}

numbers = st.one_of(
    st.sampled_from([0, -1, 5e-324, 1e-300, 1e16, 1e300, -1e300, 1e308, float("nan"), float("inf"), 2**31, 2**63]),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.floats(-500, 500),
)
texts = st.one_of(st.text(max_size=8), st.sampled_from(["\0", "../x", "é" * 400, "PTg0", "o" * 50, "=1+1", "ID"]))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a body."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def by_kind(body: Any) -> dict[tuple[Any, ...], list[tuple[Any, ...]]]:
    """The same, those together that differ by their numbers in lists only."""
    kinds: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for place in places(body):
        kinds.setdefault(tuple("*" if isinstance(key, int) else key for key in place), []).append((0, *place))
    return kinds


CHANGES = ["other", "number", "larger", "larger", "again", "again", "gone"]


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Any]:
    """A path, and a good body in which up to four values are something else, larger, repeated, or gone."""
    path = draw(st.sampled_from(sorted(GOOD)))
    whole = [copy.deepcopy(GOOD[path])]
    for _ in range(draw(st.integers(0, 4))):
        kinds = by_kind(whole[0])
        *way, last = draw(st.sampled_from(kinds[draw(st.sampled_from(sorted(kinds, key=repr)))]))
        holder: Any = whole
        for key in way:
            holder = holder[key]
        change, old = draw(st.sampled_from(CHANGES)), holder[last]
        if change == "again" and isinstance(old, list):
            holder[last] = old * draw(st.sampled_from([2, 7, 300, 3000]))
        elif change == "larger" and isinstance(old, int | float):
            holder[last] = old * draw(st.sampled_from([2, 10, 1000]))
        elif change == "gone" and isinstance(holder, dict):
            del holder[last]
        else:
            holder[last] = draw(numbers if change == "number" else anything)
    return path, whole[0]


class Work:
    """Counts what is really done: pixels of masks, and those that the pen goes over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.masks = self.brushed = 0.0
        self.largest = 0
        monkeypatch.setattr(budget, "MASK_PIXELS", 180 * 130)
        monkeypatch.setattr(budget, "ALL_MASKS", 8 * 180 * 130)
        monkeypatch.setattr(budget, "BRUSHED_PIXELS", 1 << 20)
        monkeypatch.setattr(strokes, "decode_rle", self.decoding(decode_rle))
        monkeypatch.setattr(ImageDraw.ImageDraw, "ellipse", self.discs(ImageDraw.ImageDraw.ellipse))
        monkeypatch.setattr(strokes, "mask_of", self.drawing(mask_of))

    def decoding(self, decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def decoded(runs: Any) -> Any:
            self.add(*runs["size"])
            return decode(runs)

        return decoded

    def drawing(self, draw: Callable[..., Any]) -> Callable[..., Any]:
        def drawn(marks: Any, width: int, height: int, base: Any = None) -> Any:
            self.add(height, width)
            return draw(marks, width, height, base)

        return drawn

    def discs(self, ellipse: Callable[..., None]) -> Callable[..., None]:
        def disc(pen: Any, place: Any, **options: Any) -> None:
            width, height = pen.im.size
            self.brushed += min(place[2] - place[0], width) * min(place[3] - place[1], height)
            ellipse(pen, place, **options)

        return disc

    def add(self, height: int, width: int) -> None:
        self.masks += height * width
        self.largest = max(self.largest, height * width)

    def check(self) -> None:
        assert self.largest <= budget.MASK_PIXELS
        assert self.masks <= budget.ALL_MASKS
        assert self.brushed <= budget.BRUSHED_PIXELS
        self.masks = self.brushed = self.largest = 0


@pytest.fixture
def stubbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, str, Work]]:
    """A workbench whose models find nothing, one of its pictures, and what it does."""
    folder: Path = tmp_path_factory.mktemp("pictures")
    (folder / "a2.png").write_bytes(encoded(coins()))
    with pytest.MonkeyPatch.context() as monkeypatch:
        work = Work(monkeypatch)
        named = Models.named
        monkeypatch.setattr(
            Models,
            "named",
            lambda self, name, task, *more: named(self, name, task, *more) if task == "count" else Stub(),
        )
        with TestClient(build_app(folder, limits=SMALL), base_url="http://127.0.0.1:7878") as client:
            yield client, client.get("/api/v1/pictures").json()["pictures"][0]["id"], work


SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(request=requests())
def test_any_body_is_answered_or_refused_within_its_budget(
    stubbed: tuple[TestClient, str, Work], request: tuple[str, Any]
) -> None:
    client, picture, work = stubbed
    path, body = request
    content = json.dumps(body).replace('"ID"', f'"{picture}"').encode()
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code < 500
    if answer.status_code >= 400:
        assert answer.json()["error"]
    assert not {"NaN", "Infinity", "-Infinity"} & set(answer.text.replace(",", " ").replace(":", " ").split())
    if "state" in answer.text and answer.status_code == 202:
        client.delete(f"/api/v1/jobs/{answer.json()['id']}")
    work.check()


sides = st.sampled_from([1, 30, 130, 180, 500, 5000, 1 << 24])
drawn = st.builds(
    lambda points, times, width: {"points": points * times, "width": width},
    st.lists(st.tuples(st.floats(-300, 300), st.floats(-300, 300)), min_size=1, max_size=3),
    st.sampled_from([1, 10, 1000]),
    st.sampled_from([0.01, 3, 90, 20_000]),
)
marked = st.one_of(
    st.builds(lambda marks, times: {"strokes": marks * times}, st.lists(drawn, max_size=2), st.sampled_from([1, 30])),
    st.builds(
        lambda *size: {"segmented": {"model": "", "area": 0, "segmentation": RUNS | {"size": size}}}, sides, sides
    ),
)
masked = st.builds(
    lambda width, height, mark: {"name": "a", "width": width, "height": height, **mark}, sides, sides, marked
)


@settings(max_examples=80, deadline=None, suppress_health_check=SLOW)
@given(
    pictures=st.lists(masked, min_size=1, max_size=4),
    times=st.sampled_from([1, 1, 5]),
    form=st.sampled_from(["csv", "coco"]),
)
def test_masks_are_drawn_within_their_budget_or_not_at_all(
    stubbed: tuple[TestClient, str, Work], pictures: list[Any], times: int, form: str
) -> None:
    client, _, work = stubbed
    body = {"format": 1, "pictures": pictures * times}
    answer = client.post(f"/api/v1/export/{form}?task=segment", json=body)
    assert answer.status_code in (200, 413, 422)
    if answer.status_code == 413:
        assert work.masks == work.brushed == 0
    work.check()


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(path=st.text(max_size=30), query=st.text(max_size=20), method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]))
def test_any_address_is_answered_or_refused(
    stubbed: tuple[TestClient, str, Work], path: str, query: str, method: str
) -> None:
    client, *_ = stubbed
    from urllib.parse import quote

    for before in ("/", "/api/v1/", "/api/v1/pictures/", "/api/v1/jobs/", "/api/v1/export/"):
        told = quote(path, safe="/", errors="replace") + "?after=" + quote(query, errors="replace")
        assert client.request(method, before + told, content=b"{}").status_code < 500


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(kind=st.text(st.characters(max_codepoint=255), max_size=60), body=st.binary(max_size=200))
def test_any_form_is_taken_or_refused(stubbed: tuple[TestClient, str, Work], kind: str, body: bytes) -> None:
    client, *_ = stubbed
    for content_type in (kind, "multipart/form-data;" + kind, "multipart/form-data; boundary=" + kind):
        headers = {b"content-type": content_type.replace("\r", "").replace("\n", "").encode("latin-1")}
        for content in (body, b"--x\r\nContent-Disposition: form-data; name=file; " + body + b"\r\n\r\nx\r\n--x--"):
            assert client.post("/api/v1/pictures", content=content, headers=headers).status_code < 500


points = st.lists(st.tuples(st.floats(-300, 300), st.floats(-300, 300)), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(path=points, width=st.floats(0.01, 400), size=st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_a_stroke_covers_no_more_than_was_reckoned(path: Any, width: float, size: tuple[int, int]) -> None:
    stroke = Stroke(points=tuple(path), width=width)
    assert mask_of([stroke], *size).sum() <= stroke_pixels(stroke, *size)
    twice = Stroke(points=(*path, *path), width=width)
    assert stroke_pixels(twice, *size) >= 2 * stroke_pixels(stroke, *size) - 1e-6


def test_a_mask_of_a_few_bytes_is_refused_before_it_is_made() -> None:
    def project(*pictures: dict[str, Any]) -> Project:
        return Project.model_validate({"format": 1, "pictures": [{"name": "a", **each} for each in pictures]})

    dot = {"points": [[5, 5]], "width": 3}
    huge = {"width": 16384, "height": 16384}
    runs = {"model": "m", "area": 1, "segmentation": {"size": [16384, 16384], "counts": "0PPPP8"}}
    many = [{"width": 10_000, "height": 10_000, "strokes": [dot]}] * 100
    wide = {"width": 4000, "height": 4000, "strokes": [{"points": [[5, 5]] * 20_000, "width": 3000}]}
    for pictures, message in (
        ([{**huge, "strokes": [dot]}], "at most 134 million"),
        ([{**huge, "segmented": runs}], "at most 134 million"),
        (many, "billion pixels together"),
        ([wide], "the brush goes over"),
    ):
        tracemalloc.start()
        with pytest.raises(RefusedError, match=message):
            to_csv(project(*pictures), "segment")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 50 << 20
    check_masks([("a", 10_000, 10_000, ()), ("b", 10, 10, ())])


@pytest.mark.parametrize("write", [to_csv, lambda *args: to_format(*args[:2], "coco", args[2])])
def test_an_export_nobody_waits_for_stops_at_the_next_picture(write: Callable[..., str]) -> None:
    turns: list[int] = []

    def go_on() -> None:
        turns.append(1)
        if len(turns) > 2:
            raise RefusedError(499, "left")

    project = Project.model_validate({**PROJECT, "pictures": [PICTURE] * 9})
    with pytest.raises(RefusedError, match="left"):
        write(project, "segment", go_on)
    assert len(turns) == 3


def test_parts_are_counted_as_a_result_counts_them() -> None:
    rng = np.random.default_rng(0)
    for density in (0.0, 0.02, 0.4, 1.0):
        small = rng.random((20, 30)) < density
        mask = np.asarray(Image.fromarray(small).resize((120, 90), Image.Resampling.NEAREST))
        dots = [{"points": [[int(x) + 0.5, int(y) + 0.5]], "width": 0.5} for y, x in np.argwhere(mask)]
        picture = {"name": "a", "width": 120, "height": 90, "strokes": dots[:2000]}
        drawn = mask_of([Stroke.model_validate(dot) for dot in dots[:2000]], 120, 90)
        if not drawn.any():
            continue
        expected = SegmentResult(drawn.astype(np.float32), (120, 90), "", 0.0, np.zeros((1, 1, 3), np.uint8))
        row = to_csv(Project.model_validate({"format": 1, "pictures": [picture]}), "segment").splitlines()[1]
        assert row.split(",")[1:3] == [f"{expected.area:.6f}", str(len(expected.boxes))]


#: Bytes of the bodies that take most.
BYTES = 1 << 18


def filled(unit: str, before: str = "", after: str = "") -> bytes:
    """A body of the most bytes that are taken, of one thing again and again."""
    return (before + unit * ((BYTES - len(before) - len(after)) // len(unit)) + after).encode()


HOSTILE = {
    "empty lists": filled("[],", '{"exemplars": [', "[]]}"),
    "empty objects": filled("{},", '{"like": [', "{}]}"),
    "lists in lists": b"[" * BYTES,
    "objects in objects": filled('{"a":'),
    "wrong corners": filled('["a"],', '{"pictures": [{"name": "a", "added": [', "[]]}]}"),
    "wrong pictures": filled("{},", '{"format": 1, "pictures": [', "{}]}"),
    "numbers": filled("1,", "[", "1]"),
    "a long number": filled("1"),
    "a long fraction": filled("1", '{"picture": 0.', "}"),
    "escapes": filled("\\u0000", '{"text": "', '"}'),
    "unknown keys": ("{" + ",".join(f'"{i:x}":1' for i in range(20_000)) + "}").encode(),
    "unknown regions": ('{"task":"count","regions":{' + ",".join(f'"{i:x}":[]' for i in range(20_000)) + "}}").encode(),
    "many boxes": filled("[1,1,2,2],", '{"exemplars": [', "[1,1,2,2]]}"),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("path", ["/api/v1/count", "/api/v1/jobs", "/api/v1/export/csv", "/label-studio/predict"])
def test_a_body_takes_no_more_memory_than_its_bytes_allow(client: TestClient, what: str, path: str) -> None:
    """A value of JSON takes some sixty bytes at the least; errors must not take more than what they are about."""
    tracemalloc.start()
    answer = client.post(path, content=HOSTILE[what], headers={"content-type": "application/json"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 2000
    assert peak < 100 * BYTES


def test_more_values_than_are_taken_are_refused_by_their_number() -> None:
    check_json(b"[1,2,3]", 3)
    check_json(b'{"a": [1,2,3]}', 5)
    for body in (b"[1,2,3]", b"[[],[]]", b'{"a":{}}'):
        with pytest.raises(RefusedError, match="values; at most 2 are taken"):
            check_json(body, 2)
