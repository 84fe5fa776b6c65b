"""``likewise models``: what there is to count with, and what is known about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from likewise.cli.taught import card_rows, print_card_json
from likewise.cli.terminal import marked, say
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.plain_text import printable

if TYPE_CHECKING:
    from likewise.weights import Preset


def models(
    name: str | None = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> None:
    """List the models, or show everything about one.

    Args:
        name: The model to show, or a .safetensors file: of one that likewise adapt wrote, what it was taught. Without
            it, all models are listed.
        as_json: Print one JSON object a line instead.
    """
    from likewise.registry import model_names

    if name is not None and name.endswith(".safetensors"):
        from likewise.predict.adaptation_card import is_card

        if is_card(Path(name)):
            print_card_json(Path(name)) if as_json else _print_rows(card_rows(Path(name)))
            return
    presets = [_found(each) for each in (model_names() if name is None else [name])]
    if as_json:
        for each in presets:
            say(json_text(describe(each)))
    elif name is None:
        _show_table([describe(each) for each in presets])
    else:
        _show_card(describe(presets[0]))


def describe(preset: Preset) -> dict[str, Any]:
    """Everything about a model as plain JSON values: what it takes and knows, how large it is, its card and config.

    The config is the one that its weights carry, where they are there.
    """
    import torch

    held = _held(preset)
    if held is not None:
        preset = dataclasses.replace(preset, config=held)
    with torch.device("meta"):  # only the shapes are wanted
        parameters = sum(p.numel() for p in preset.build().parameters())
    card = preset.card
    config = dataclasses.asdict(preset.config)
    together = [name for name, _ in config.pop("kinds", ())]  # of several classes: numbers that no one reads
    present = card.path is not None and card.path.is_file()
    key = next((name for name in ("vocabulary", "labels") if name in config), None)
    return {
        "name": preset.name,
        "task": preset.task,
        "prompts": list(preset.prompts),
        "parameters": parameters,
        "bundled": present,
        "megabytes": round(card.path.stat().st_size / 1e6, 1) if card.path and present else None,
        "card": {**dataclasses.asdict(card), "scores": dict(card.scores), "notes": list(card.notes)},
        "knows": [] if key is None else [*config.pop(key), *together],
        "photographs": _names_of_photographs(preset.config),
        "config": config,
    }


def _names_of_photographs(config: Any) -> list[str]:
    """The names that a counter looks up in a classifier of photographs; none: it has no such."""
    from likewise.class_names import ClassNames
    from likewise.registry import preset

    by = getattr(getattr(config, "inference", None), "named_by", "")
    if not by:
        return []
    namer = preset(by).config
    return list(ClassNames(namer.labels, namer.kinds).names)


def _found(name: str) -> Preset:
    """The preset of a name, or what a file says of itself.

    Raises:
        LikewiseError: no such model, or a file that cannot be read.
    """
    from likewise.predict.taught_names import taught_names_of
    from likewise.registry import build, preset
    from likewise.weights import Preset, WeightCard, file_sha256, read_checkpoint

    path = Path(name)
    if path.suffix != ".safetensors" and not path.is_file():
        return preset(name)
    network: Any = build(read_checkpoint(path), printable(path))
    where = f"in {printable(path)}, {path.stat().st_size / 1e6:.1f} MB"
    unsaid = "the file does not say"
    taught = taught_names_of(path)
    card = WeightCard(
        licence=unsaid,
        data=unsaid if taught is None else str(taught),
        sha256=file_sha256(path),
        source=str(path),
        how_to=where,
    )
    return Preset(path.stem, type(network), network.config, card)


def _held(preset: Preset) -> Any:
    """The config that a model's bundled weights carry; None where there are none, or they carry none."""
    from likewise.weights import config_from, read_checkpoint

    path = preset.card.path
    if path is None or not path.is_file():
        return None
    try:
        return config_from(type(preset.config), read_checkpoint(path).config)
    except LikewiseError:  # a broken file is for `likewise doctor` to tell
        return None


def _weights(model: dict[str, Any]) -> str:
    """Where a model's weights are, or how to get them."""
    if model["bundled"]:
        return f"bundled, {model['megabytes']} MB"
    return model["card"]["how_to"] or "not bundled"


def _show_table(described: list[dict[str, Any]]) -> None:
    rows = []
    for model in described:
        by = f" by {' or '.join(model['prompts'])}" * bool(model["prompts"])
        takes = f"{model['task']}{by}, {model['parameters'] / 1e6:.1f} M parameters"
        scores = [f"{data}: {score}" for data, score in model["card"]["scores"].items()]
        about = [takes, f"weights: {_weights(model)}", f"licence: {model['card']['licence']}", *scores]
        rows.append((model["name"], "\n".join(about) + "\n"))
    _print_rows(rows)
    say("likewise models NAME shows everything about one.")


def _show_card(model: dict[str, Any]) -> None:
    card = model["card"]
    rows = {
        "name": model["name"],
        "task": model["task"],
        "takes": ", ".join(model["prompts"]),
        "parameters": f"{model['parameters']:,}",
        "weights": _weights(model),
        **{key: card[key] for key in ("licence", "data", "paper", "source", "sha256")},
        "scores": "\n".join(f"{data}: {score}" for data, score in card["scores"].items()),
        "notes": "\n".join(card["notes"]),
        **_names(model),
        "config": "\n".join(_assignments(model["config"])),
    }
    _print_rows([(key, value) for key, value in rows.items() if value])


def _names(model: dict[str, Any]) -> dict[str, str]:
    """Rows with the names that a model knows: those of photographs apart from those of drawn things."""
    if not model["photographs"]:
        return {"knows": ", ".join(model["knows"])}
    drawn = [name for name in model["knows"] if name not in model["photographs"]]
    return {"knows in photographs": ", ".join(model["photographs"]), "knows as drawn things": ", ".join(drawn)}


def _print_rows(rows: list[tuple[str, str]]) -> None:
    """Two columns, the first in bold."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, text in rows:
        table.add_row(f"[bold]{marked(name)}[/]", marked(text))
    Console(highlight=False).print(table)


def _assignments(config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """A config as lines, one a number; nested ones with dotted names."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _assignments(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key} = {value}"
