"""``likewise lab``: what the documents say of results, measured again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likewise.errors import LikewiseError, nearest
from likewise.lazy import resolve

#: Name -> what measures it: a function of data and cache that prints what it found.
LABS = {
    "adapt": "likewise.cli.lab_adapt:adapt",
    "outlines": "likewise.cli.lab_outlines:outlines",
    "recognize": "likewise.cli.lab_recognize:recognize",
    "totals": "likewise.cli.lab_totals:totals",
}


def lab(
    name: str,
    /,
    *,
    data: Annotated[Path, Parameter(metavar="DATA")],
    cache: Annotated[Path, Parameter(metavar="DIR", show_default=False)] = Path("lab"),
) -> None:
    """Measure again what the documents report.

    Args:
        name: adapt: what five corrected pictures teach, on sets never trained on. outlines: how well things are
            outlined. recognize: how well a few pictures of a name teach it. totals: whether intervals of totals hold,
            and how narrow they are.
        data: The folder with the data sets.
        cache: A folder for what takes long and is needed again. [default: lab]
    """
    if name not in LABS:
        raise LikewiseError(f"no measurement {name!r}{nearest(name, LABS)}")
    resolve(LABS[name])(data, cache, shown=sys.stderr.isatty())
