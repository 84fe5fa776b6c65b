"""A run on a small cluster: nothing is lost or doubled when a worker dies, and its answers are those of a plain run."""

from __future__ import annotations

import csv
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from likewise import cli
from likewise.cli.folder_run import Output
from likewise.cluster.ray_run import run_on_ray
from likewise.errors import LikewiseError

from . import scales

ray = pytest.importorskip("ray", reason='Ray is not installed (pip install "likewise[scale]")')
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

#: What Ray warns of is its own.
pytestmark = pytest.mark.filterwarnings("ignore")

BOX = "81,39,120,74"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two workers on this machine."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # no token is written to the user's folder
    ray.cloudpickle.register_pickle_by_value(scales)
    ray.init("local", num_cpus=2, object_store_memory=100 << 20, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("pics")
    folder.mkdir()
    for size in range(1, 41):
        (folder / f"{size}.jpg").write_bytes(b"broken" if size == 6 else b"x" * size)
    return folder


def weigh(*inputs: object, pause: float = 0.0, out: str = "out", **more: object) -> int:
    job = scales.Weigh(pause, str(Path("pids").absolute()))
    return run_on_ray([str(text) for text in inputs], "weigh", lambda: job, Output(folder=Path(out), **more))


def table(out: str = "out", kind: str = "part-") -> list[dict[str, object]]:
    return [row for path in sorted(Path(out).glob(f"{kind}*.parquet")) for row in parquet.read_table(path).to_pylist()]


def weights(out: str = "out") -> dict[str, int]:
    rows = table(out)
    assert max(Counter(row["file"] for row in rows).values()) == 1
    return {Path(str(row["file"])).name: int(str(row["count"]).split(".")[0]) for row in rows}


WHOLE = {f"{size}.jpg": size for size in range(1, 41) if size != 6}


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_is_killed_loses_and_doubles_nothing(pictures: Path, capsys):
    Path("pids").mkdir()
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            parts = list(Path("out").glob("part-*.parquet"))
            pids = [int(path.name) for path in Path("pids").iterdir()]
            if len(parts) >= 2 and pids:
                os.kill(pids[0], signal.SIGKILL)
                killed.append(pids[0])
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    assert weigh("pics", pause=0.1) == 1
    killer.join()
    assert killed
    assert len(list(Path("pids").iterdir())) >= 3  # another one came in its place
    assert weights() == WHOLE
    [broken] = table(kind="errors-")
    assert (Path(str(broken["file"])).name, broken["error"]) == ("6.jpg", "ValueError: it is broken")
    assert "39 of 40 are in" in capsys.readouterr().err


@pytest.mark.usefixtures("cluster")
def test_what_is_done_is_skipped_and_what_failed_or_changed_is_done_again(pictures: Path, capsys):
    Path("pids").mkdir()
    assert weigh("pics") == 1
    (pictures / "6.jpg").write_bytes(b"x" * 6)
    (pictures / "7.jpg").write_bytes(b"x" * 70)
    (pictures / "41.jpg").write_bytes(b"x" * 41)
    capsys.readouterr()
    assert weigh("pics") == 0
    assert capsys.readouterr().err.startswith("1 changed since, weighed again\n38 already weighed, skipped")
    assert weights() == WHOLE | {"6.jpg": 6, "7.jpg": 70, "41.jpg": 41}
    assert table(kind="errors-") == []
    assert weigh(f"file://{pictures.absolute()}/**/*.jpg", out="there") == 0
    assert weights("there") == weights()


@pytest.mark.usefixtures("cluster")
def test_the_answers_are_those_of_a_plain_run(tmp_path: Path, monkeypatch, capsys):
    from skimage import data

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Path("pics").mkdir()
    for number in range(3):
        Image.fromarray(data.coins()[:, : 300 - 30 * number]).save(f"pics/{number}.png")

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["count", "pics", "--box", BOX, *words])
        return int(stopped.value.code or 0)

    assert run("--csv", "plain.csv", "--workers", "1") == 0
    assert run("--engine", "ray", "-o", "out") == 0
    with pytest.raises(SystemExit):
        cli.main(["merge", "out/part-*.parquet", "-o", "merged.csv"])
    with Path("plain.csv").open(newline="") as plain, Path("merged.csv").open(newline="") as merged:
        for ours, theirs in zip(csv.DictReader(merged), csv.DictReader(plain), strict=True):
            for name in ("image", "file", "stamp", "settings", "points", "warnings", "prompt", "model"):
                assert ours[name] == theirs[name]
            for name in ("count", "low", "high"):
                assert float(ours[name]) == pytest.approx(float(theirs[name]), abs=2e-4)


def test_what_the_engine_cannot_write_is_refused(pictures: Path):
    with pytest.raises(LikewiseError, match=r"writes Parquet files to the folder --output"):
        weigh("pics", csv=Path("t.csv"))


def test_an_address_without_the_engine_names_it(capsys):
    with pytest.raises(SystemExit):
        cli.main(["count", "s3://bucket/*.jpg", "--box", BOX])
    assert "--engine ray reads it" in capsys.readouterr().err
