"""The results of a run on a cluster: a folder of Parquet files, which is also its memory of what is done.

A file holds the rows of one lot and is called after the pictures in it: a lot that is worked through a second time,
because its worker died, takes the place of the first. Pictures that could not be done are in files of their own, which
the next run takes away and tries again. So every picture has one row, or none yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from likewise.cli.parquet import as_table
from likewise.cluster.places import Place
from likewise.digests import DigestMap, digest
from likewise.errors import LikewiseError

#: How the files of rows, and of pictures that could not be done, begin.
DONE, FAILED = "part-", "errors-"


class Parts:
    """The files of results in a folder.

    Args:
        folder: is made.
        columns: of the rows.
        settings: fingerprint of all that the results depend on.
    """

    def __init__(self, folder: Place, columns: Sequence[str], settings: str) -> None:
        self.folder, self.columns, self._settings = folder, tuple(columns), settings
        folder.system.create_dir(folder.path, recursive=True)

    def write(self, kind: str, lot: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Write a lot's rows, if there are any, in the place of those that it had."""
        if rows:
            self.folder.below(f"{self.folder.path}/{kind}{lot}.parquet").write(as_table(rows, self.columns))

    def remove(self, *kinds: str) -> None:
        """Take the files of these kinds away."""
        for path in [path for kind in kinds for path in self._paths(kind)]:
            self.folder.system.delete_file(path)

    def done(self) -> DigestMap:
        """Each file that has a row, and `state_of` what it held; of two rows of one file, the second is taken out.

        Raises:
            LikewiseError: rows of another prompt, model or version.
        """
        seen = DigestMap()
        for path in list(self._paths(DONE)):
            twice: set[str] = set()
            for row in self._read(path, ("file", "bytes", "modified", "settings")).to_pylist():
                if row["settings"] != self._settings:
                    raise LikewiseError(
                        f"{self.folder.below(path).address} holds results of another prompt, model or version; "
                        "name another --output, or start it anew with --overwrite"
                    )
                if row["file"] in seen:
                    twice.add(row["file"])
                else:
                    seen[row["file"]] = state_of(row["bytes"], row["modified"])
            if twice:
                self._without(path, twice)
        return seen

    def forget(self, files: set[str]) -> None:
        """Take the rows of these files out."""
        for path in list(self._paths(DONE)) if files else ():
            if not files.isdisjoint(self._read(path, ("file",))["file"].to_pylist()):
                self._without(path, files)

    def _without(self, path: str, unwanted: set[str]) -> None:
        """Write a file again without the rows of some files."""
        table = self._read(path, None)
        kept = table.filter([file not in unwanted for file in table["file"].to_pylist()])
        if kept.num_rows:
            self.folder.below(path).write(kept)
        else:
            self.folder.system.delete_file(path)

    def _read(self, path: str, columns: Sequence[str] | None) -> Any:
        import pyarrow.parquet

        try:
            return pyarrow.parquet.read_table(path, columns=columns and list(columns), filesystem=self.folder.system)
        except (pyarrow.ArrowException, OSError) as error:
            raise LikewiseError(f"{self.folder.below(path).address} cannot be read: {error}") from error

    def _paths(self, kind: str) -> Iterator[str]:
        for info in self.folder.files():
            if info.base_name.startswith(kind) and info.extension == "parquet":
                yield info.path


def state_of(size: int, modified: int) -> int:
    """What stands for what a file held."""
    return digest(f"{size} {modified}")
