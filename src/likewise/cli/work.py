"""Where pictures are worked through: here, one shard of several, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from likewise.cli.folder_run import Job, Output, run_through
from likewise.cli.inputs import find_pictures
from likewise.cli.shard import parse_shard
from likewise.errors import LikewiseError


@dataclass(frozen=True)
class Where:
    """As typed.

    Attributes:
        shard: which part of the pictures; None: all.
        engine: what does it.
        address: of the cluster; None: one on this machine.
    """

    shard: str | None = None
    engine: Literal["local", "ray"] = "local"
    address: str | None = None


def work(inputs: Sequence[str], verb: str, job: Callable[[], Job], output: Output, where: Where) -> int:
    """Work through the pictures that the inputs name; the exit code.

    Args:
        inputs: files, folders, globs; with the ray engine, addresses too.
        verb: for messages.
        job: makes what is asked, after the pictures were found.
        output: what becomes of the results.
        where: who does it.

    Raises:
        LikewiseError: as `likewise.cli.folder_run.run_through` does; or an address without the engine that reads it.
    """
    shard = None if where.shard is None else parse_shard(where.shard)
    if where.engine == "ray":
        from likewise.cluster.ray_run import run_on_ray

        return run_on_ray(inputs, verb, job, output, shard=shard, address=where.address)
    if where.address is not None:
        raise LikewiseError(f"--address {where.address} is of a cluster; give --engine ray with it")
    for text in inputs:
        if "://" in text and not text.lower().startswith(("http:", "https:")):
            raise LikewiseError(f'{text} is an address; --engine ray reads it (pip install "likewise[scale]")')
    return run_through(find_pictures(inputs, verb, shard), job(), output)
