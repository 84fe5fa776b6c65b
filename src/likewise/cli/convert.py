"""``likewise convert``: bring in a checkpoint as its authors published it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likewise.cli.terminal import say, tell
from likewise.cli.writable import check_file


def convert(
    method: str,
    checkpoint: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    labels: Path | None = None,
) -> None:
    """Turn a published checkpoint into a file that --model takes.

    Args:
        method: The model whose published configuration the checkpoint fits, such as spdcn.
        checkpoint: The authors' file (.pth, .pt, .safetensors, .tflite); read without executing code.
        output: The safetensors file to write.
        labels: A text file with the names of a recogniser's classes, one a line; for .tflite files, which hold none.
    """
    from likewise.convert import convert as write

    check_file("-o", output)
    say(write(method, checkpoint, output, tell, labels=labels))
