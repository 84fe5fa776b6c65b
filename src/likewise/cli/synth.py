"""``likewise data synth``: write synthetic counting scenes with exact labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from likewise.cli.terminal import say
from likewise.cli.writable import check_folder

if TYPE_CHECKING:
    from likewise.scenes import SceneConfig


def synth(
    *,
    count: Annotated[int, Parameter(name=("--count", "-n"))] = 20,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    seed: int = 0,
    split: Literal["train", "val"] = "train",
    size: int | None = None,
    cutouts: Annotated[list[Path] | None, Parameter(negative="")] = None,
    backgrounds: Annotated[list[Path] | None, Parameter(negative="")] = None,
    workers: int = 1,
    preset: Literal[
        "default",
        "wide-scale",
        "two-kinds",
        "near-twins",
        "assortment",
        "crowds",
        "cells",
        "hidden",
        "receding",
        "plain",
    ] = "default",
    emoji: bool = True,
    masks: Annotated[bool, Parameter(negative="")] = False,
    preview: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write synthetic scenes as a counting folder: pictures, boxes, points and names of everything in them.

    The same options give the same pictures. A run that was stopped goes on where it stopped.

    Args:
        count: How many scenes.
        output: The folder to write.
        seed: Other seeds give other scenes.
        split: The kinds of thing to use: train and val share none.
        size: Longest side of the pictures in pixels; sides vary from 0.8 of it. [default: 640]
        cutouts: Folder of cut-out objects (RGBA PNGs, or annotations.json with masks); may be repeated.
        backgrounds: Folder of photographs to paste on; may be repeated.
        workers: Processes to share the work.
        preset: wide-scale: sizes vary 4x in every scene. two-kinds: two unlike kinds in every scene. near-twins: the
            same thing in another colour or size beside what is counted. assortment: many kinds, a few of each. crowds:
            very many small things that touch. cells: what lies under a microscope. hidden: things in a ground of their
            own colours and texture. receding: rows and crowds that go into the distance. plain: two simple shapes on
            bare ground.
        emoji: Use the sprites of the colour-emoji font, where it is installed.
        masks: Also write every object's mask.
        preview: Also write preview.png, a contact sheet of the first scenes with their labels drawn in.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    from likewise.scenes import contact_sheet, make_scene, write_scenes

    check_folder("-o", output)
    config = replace(_config(preset, seed, split, size), emoji=emoji)
    config = replace(config, cutouts=tuple(map(str, cutouts or ())), backgrounds=tuple(map(str, backgrounds or ())))
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("scenes", total=count)
        path = write_scenes(config, count, output, workers, masks=masks, on_done=lambda: bar.advance(task))
    say(path)
    if preview:
        sheet = output / "preview.png"
        contact_sheet([make_scene(config, i) for i in range(min(count, 20))]).save(sheet)
        say(sheet)


def _config(preset: str, seed: int, split: str, size: int | None) -> SceneConfig:
    from likewise.scenes import SceneConfig

    config = SceneConfig.preset(preset)
    side = config.side if size is None else (round(0.8 * size), size)
    return replace(config, seed=seed, split=split, side=side)
