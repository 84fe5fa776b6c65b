"""A process of its own for every measurement: pools of threads do not shrink, and memory is given back late."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from likewise.errors import LikewiseError


def lines_of(
    module: str, words: Sequence[str], threads: int, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """Run ``python -m module threads words...`` and pass on its lines as they come.

    Args:
        module: whose ``__main__`` part gives its first argument to ``torch.set_num_threads``.
        words: the other arguments.
        threads: for torch and the libraries under it.
        variables: of its environment, besides this one's.

    Raises:
        LikewiseError: at the end, where it failed; with the last line it said.
    """
    command = [sys.executable, "-m", module, str(threads), *words]
    pools = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(  # noqa: S603  # this very interpreter, with words of our own
            command,
            env={**os.environ, **pools, "PYTHONIOENCODING": "utf-8", **variables},
            stdout=subprocess.PIPE,
            stderr=complaints,
            encoding="utf-8",
        ) as process,
    ):
        try:
            yield from process.stdout or ()
        except GeneratorExit:  # nobody wants the rest
            process.kill()
            raise
        if process.wait():
            complaints.seek(0)
            said = complaints.read().strip().splitlines() or [f"exit code {process.returncode}"]
            raise LikewiseError(f"python {' '.join(command[1:])} failed: {said[-1]}")
