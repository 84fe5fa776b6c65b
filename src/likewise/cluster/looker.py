"""A worker of a cluster: loads the model once, and looks at one lot of pictures after another."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from likewise.cli.folder_run import Job, reason
from likewise.cli.ledger import stamp_of
from likewise.cluster.parts import DONE, FAILED, Parts
from likewise.cluster.places import Place, Unit
from likewise.plain_text import name_cell, text_cell

#: Columns behind a job's own: those of the CSV tables, what tells that a file has changed, and what went wrong.
BEHIND = ("seconds", "model", "settings", "weights", "prompt", "file", "stamp", "bytes", "modified", "error")


@dataclass(frozen=True)
class Errand:
    """What a worker is sent with.

    Attributes:
        job: what is asked about every picture.
        folder: address of the results.
        told: the columns that are the same in every row.
    """

    job: Job
    folder: str
    told: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the rows."""
        return ("image", *self.job.columns, *BEHIND)

    def parts(self) -> Parts:
        """The results."""
        return Parts(Place.of(self.folder), self.columns, self.told["settings"])


class Looker:
    """What an actor of Ray Data is: made once, called with one batch of lots after another."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._parts = errand.parts()
        self._ask = errand.job.load()
        torch: Any = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(1)

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
        """Work through lots, as JSON of a name and units: how many pictures were done, and how many could not be."""
        counts = [self._work_through(str(lot)) for lot in batch["lot"]]
        return {"done": [done for done, _ in counts], "failed": [failed for _, failed in counts]}

    def _work_through(self, lot: str) -> tuple[int, int]:
        name, units = json.loads(lot)
        rows = [self._row(Unit(**unit)) for unit in units]
        failed = [row for row in rows if row["error"] is not None]
        done = [row for row in rows if row["error"] is None]
        self._parts.write(DONE, name, done)
        self._parts.write(FAILED, name, failed)
        return len(done), len(failed)

    def _row(self, unit: Unit) -> dict[str, object]:
        """A picture's row, whatever is wrong with it."""
        row: dict[str, object] = dict.fromkeys(self._errand.columns)
        row |= {"image": name_cell(unit.image), "file": name_cell(unit.file), **self._errand.told}
        row |= {"bytes": unit.bytes, "modified": unit.modified}
        try:
            with Place.of(unit.address).here() as path:
                stamp = stamp_of(path)
                result = self._ask(path)
            values = dict(zip(self._errand.job.columns, self._errand.job.row(result), strict=True))
            row |= {name: text_cell(value) for name, value in values.items()}
            row |= {"seconds": f"{result.seconds:.3f}", "model": result.model, "stamp": stamp}
        except Exception as error:  # noqa: BLE001  # one picture must not stop millions, whatever is wrong with it
            row["error"] = reason(None, error)
        return row
