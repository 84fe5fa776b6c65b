"""``--engine ray``: pictures in lots to the actors of Ray Data, rows to Parquet files."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from likewise.cli.folder_run import Job, Output
from likewise.cli.inputs import find_pictures
from likewise.cli.listing import SortedTexts
from likewise.cli.lock import locked
from likewise.cli.parquet import pyarrow
from likewise.cli.progress import progress_bar
from likewise.cli.shard import Shard
from likewise.cli.terminal import tell
from likewise.cluster.looker import Errand, Looker
from likewise.cluster.parts import DONE, FAILED, state_of
from likewise.cluster.places import Unit, unit_of, units_at
from likewise.digests import DigestMap, digest
from likewise.drawings import place_of
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.plain_text import name_cell, text_cell

#: A lot has at most so many pictures and, unless one alone has more, so many bytes: what a dying worker loses.
PICTURES, BYTES = 512, 512 << 20
#: Lots a worker, at least, so that all are done at about the same time.
LOTS = 4
#: Memory for what goes between the processes, where a cluster is started here: names and numbers.
_STORE = 100 << 20


def run_on_ray(
    inputs: Sequence[str],
    verb: str,
    make_job: Callable[[], Job],
    output: Output,
    *,
    shard: Shard | None = None,
    address: str | None = None,
) -> int:
    """Work through pictures on a cluster; the exit code: 1 when a picture failed, 130 when the user stopped it.

    Args:
        inputs: files, folders, globs, or addresses of them.
        verb: for messages.
        make_job: makes what is asked, which travels to the workers.
        output: its folder is one of this machine or an address, which all workers reach.
        shard: only pictures of this one.
        address: of the cluster; None: one is started here.

    Raises:
        LikewiseError: nothing can be done; what the output asks for is not to be had; the folder holds other results.
    """
    if output.folder is None or output.csv is not None or output.as_json:
        raise LikewiseError(
            "--engine ray writes Parquet files to the folder --output, and neither --csv nor --json; "
            "'likewise merge DIR/part-*.parquet -o counts.csv' makes a table of them"
        )
    pyarrow()
    ray = _ray()
    local = "://" not in _address(output.folder)
    folder = Path(os.path.realpath(output.folder)) if local else None
    units = SortedTexts((json_text(asdict(each)) for each in _units(inputs, verb, shard, folder)), str)
    job = make_job()
    if job.text_suffixes():
        raise LikewiseError(f"*{job.text_suffixes()[0]} is not written by --engine ray, which writes one table only")
    errand = Errand(job, str(folder) if folder else _address(output.folder), _told(job))
    holder: AbstractContextManager[None] = nullcontext() if folder is None else locked(folder / "parts")
    with holder:
        return _Run(errand, units, output).through(ray, address)


class _Run:
    """One pass over the pictures that are not done."""

    def __init__(self, errand: Errand, units: SortedTexts, output: Output) -> None:
        self._errand, self._units = errand, units
        self._parts = errand.parts()
        self._verb = errand.job.done
        self._parts.remove(FAILED, *([DONE] if output.overwrite else []))

    def through(self, ray: Any, address: str | None) -> int:
        """Do what is left; the exit code."""
        left = self._left(self._parts.done())
        if len(left) < len(self._units):
            tell(f"{len(self._units) - len(left)} already {self._verb}, skipped (--overwrite does them again)")
        failed = 0
        if len(left):
            try:
                with _cluster(ray, address) as workers:
                    failed = self._work_through(ray, left, workers)
            except KeyboardInterrupt:
                tell(f"stopped: {self._safe()}; run the same again to go on")
                return 130
        tell(self._safe())
        if failed:
            where = f"{self._parts.folder.address}/{FAILED}*.parquet"
            tell(f"{failed} could not be {self._verb}: their reasons are in {where}")
        return 1 if failed else 0

    def _left(self, done: DigestMap) -> SortedTexts:
        """Pictures without a row; rows of those that have changed are taken out."""
        changed: set[str] = set()

        def undone() -> Iterator[str]:
            for text in self._units:
                unit = Unit(**json.loads(text))
                state = done.get(name_cell(unit.file))
                if state is not None and state != state_of(unit.bytes, unit.modified):
                    changed.add(name_cell(unit.file))
                    state = None
                if state is None:
                    yield text

        left = SortedTexts(undone(), str)
        if changed:
            tell(f"{len(changed)} changed since, {self._verb} again")
        self._parts.forget(changed)
        return left

    def _work_through(self, ray: Any, left: SortedTexts, workers: int) -> int:
        """Send the lots to the workers; how many pictures could not be done."""
        arrow = pyarrow()
        lots = [ray.put(arrow.table({"lot": [lot]})) for lot in _lots(left, workers)]  # the cluster's memory holds them
        actors = ray.data.ActorPoolStrategy(size=min(workers, len(lots)))
        data = ray.data.from_arrow_refs(lots).map_batches(
            Looker, fn_constructor_args=(self._errand,), batch_size=1, num_cpus=1, compute=actors
        )
        failed = 0
        with progress_bar(shown=True) as progress:
            bar = progress.add_task(self._errand.job.doing, total=len(left))
            for row in data.iter_rows():
                failed += row["failed"]
                progress.advance(bar, row["done"] + row["failed"])
        return failed

    def _safe(self) -> str:
        """What there is now."""
        return f"{len(self._parts.done())} of {len(self._units)} are in {self._parts.folder.address}"


def _units(inputs: Sequence[str], verb: str, shard: Shard | None, folder: Path | None) -> Iterator[Unit]:
    """All that is named, also by addresses."""
    here = [text for text in inputs if "://" not in text]
    if here or not inputs:
        for path in find_pictures(here, verb, shard):
            place = place_of(path)
            yield unit_of(path, place.as_posix() if folder is None else Path(os.path.relpath(place, folder)).as_posix())
    for text in inputs:
        if "://" in text:
            yield from (unit for name, unit in units_at(text) if shard is None or shard.holds(name))


def _lots(left: SortedTexts, workers: int) -> Iterator[str]:
    """Pictures in lots, each with a name that its pictures alone decide."""
    most = max(1, min(PICTURES, len(left) // (LOTS * workers)))
    lot: list[dict[str, Any]] = []
    size = 0
    for unit in map(json.loads, left):
        if lot and (len(lot) == most or size + unit["bytes"] > BYTES):
            yield _named(lot)
            lot, size = [], 0
        lot.append(unit)
        size += unit["bytes"]
    if lot:
        yield _named(lot)


def _named(lot: list[dict[str, Any]]) -> str:
    return json_text([f"{digest(json_text(lot)):016x}", lot])


def _told(job: Job) -> dict[str, str]:
    """What is the same in every row."""
    asked = json_text(job.asked(), ascii_only=False) if job.asked() else ""
    weights = str(job.weights_file() or job.model)
    return {"settings": job.fingerprint(), "weights": text_cell(weights), "prompt": text_cell(asked)}


def _address(folder: Path) -> str:
    """A folder as typed: a path takes one of the slashes of an address for superfluous."""
    scheme, found, rest = str(folder).partition(":/")
    return f"{scheme}://{rest.lstrip('/')}" if found and len(scheme) > 1 and "/" not in scheme else str(folder)


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError:
        raise LikewiseError('--engine ray needs Ray: pip install "likewise[scale]"') from None
    return ray


@contextmanager
def _cluster(ray: Any, address: str | None) -> Iterator[int]:
    """A connection to the cluster, or a cluster here; how many workers it has room for."""
    from likewise.cli.workers import usable_cores

    ours = not ray.is_initialized()
    if ours:
        here = {"num_cpus": usable_cores(), "object_store_memory": _STORE, "include_dashboard": False}
        ray.init(address or "local", log_to_driver=False, logging_level="error", **({} if address else here))
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # what it says of its plans is for its developers
        yield max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if ours:
            ray.shutdown()
