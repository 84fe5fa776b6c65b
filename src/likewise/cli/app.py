"""``likewise app``: the workbench, a page in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likewise.cli.terminal import tell
from likewise.errors import LikewiseError


def app(
    folder: Path | None = None,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 7878,
    model: Annotated[Sequence[Path], Parameter(negative="", metavar="FILE", show_default=False)] = (),
    no_browser: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> None:
    """Open a page in which to count, segment and recognise with the mouse, correct the counts, and export.

    Args:
        folder: Pictures to work on; others can be dropped into the page.
        host: Address to listen on. Beyond this machine, the page asks for the token that is printed.
        port: Port to listen on; 0 takes any that is free.
        model: What 'likewise adapt' wrote, to choose in the page beside what ships and what lies in the folder. Repeat.
        no_browser: Do not open the page; only print its address.
    """
    if folder is not None and not folder.is_dir():
        raise LikewiseError(f"{folder} is not a folder; expected one with pictures in it")
    for each in model:
        if not each.is_file():
            raise LikewiseError(f"there is no file {each}; expected what 'likewise adapt -o FILE' wrote")
    tell("Loading PyTorch; that takes some seconds ...")
    try:
        from likewise.app.server import serve
    except ModuleNotFoundError as error:
        raise LikewiseError(f"the page needs {error.name}; in likewise's folder: pip install '.[app]'") from error
    serve(folder, host, port, browser=not no_browser, models=model)
