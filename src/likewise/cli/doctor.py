"""``likewise doctor``: is this installation sound, and what would make it complete."""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from likewise.cli.terminal import marked, say
from likewise.json_text import json_text

if TYPE_CHECKING:
    from packaging.requirements import Requirement

State = Literal["ok", "missing", "broken"]
_COLOURS = {"ok": "green", "missing": "yellow", "broken": "red"}


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes:
        name: what was looked at.
        state: "missing" can be done without, "broken" cannot.
        detail: what was found.
        remedy: what to do about it; empty where nothing is wrong.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""


def doctor(*, as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False) -> int:
    """Examine this installation: versions, devices, operators, weights, fonts and optional parts.

    Args:
        as_json: Print one JSON object instead of a table.

    Returns:
        Exit code: 1 when something that is needed is broken.
    """
    findings = examine()
    sound = all(finding.state != "broken" for finding in findings)
    if as_json:
        say(json_text({"sound": sound, "findings": [dataclasses.asdict(finding) for finding in findings]}))
    else:
        _show(findings, sound)
    return 0 if sound else 1


def examine() -> list[Finding]:
    """Every finding, in the order shown; an examination that fails is itself a finding."""
    findings: list[Finding] = []
    for name, look in _EXAMINATIONS.items():
        try:
            findings += look()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with an installation is what we are here to tell
            findings.append(Finding(name, "broken", f"{type(error).__name__}: {error}", _REINSTALL))
    return findings


_REINSTALL = "in likewise's folder: pip install --force-reinstall ."


def _python() -> Iterator[Finding]:
    new_enough = sys.version_info >= (3, 11)
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("python", "ok" if new_enough else "broken", detail, "" if new_enough else "install Python >= 3.11")


def _packages() -> Iterator[Finding]:
    for requirement in _requirements()[""]:
        wrong = _wrong(requirement)
        remedy = f"pip install '{requirement.name}{requirement.specifier}'" if wrong else ""
        detail = wrong or metadata.version(requirement.name)
        yield Finding(requirement.name, "broken" if wrong else "ok", detail, remedy)


def _extras() -> Iterator[Finding]:
    for extra, requirements in _requirements().items():
        wrong = [f"{r.name} {_wrong(r)}" for r in requirements if _wrong(r)]
        remedy = f"in likewise's folder: pip install '.[{extra}]'" if wrong else ""
        if extra:
            yield Finding(f"extra [{extra}]", "missing" if wrong else "ok", "; ".join(wrong) or "installed", remedy)


def _requirements() -> dict[str, list[Requirement]]:
    """What likewise says it needs, by extra; "" is what it always needs."""
    from packaging.requirements import Requirement

    extras = ["", *(metadata.metadata("likewise").get_all("Provides-Extra") or [])]
    needed = [Requirement(line) for line in metadata.requires("likewise") or []]
    always = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    found = {e: [r for r in needed if r not in always and r.marker and r.marker.evaluate({"extra": e})] for e in extras}
    return {**found, "": always}


def _wrong(requirement: Requirement) -> str:
    """What is wrong with an installed package; empty where nothing is."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "is not installed"
    fits = requirement.specifier.contains(version, prereleases=True)
    return "" if fits else f"is {version}, needed {requirement.specifier}"


def _devices() -> Iterator[Finding]:
    import torch

    found = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("Apple GPU (mps)")
    yield Finding("devices", "ok", ", ".join([*found, f"CPU, threads: {torch.get_num_threads()}"]))


def _native() -> Iterator[Finding]:
    from likewise import native

    reason = native.why_not()
    build = "install a C compiler (on Debian: apt install gcc), then, in likewise's folder: pip install ."
    remedy = f"unset {native.VARIABLE}" if native.VARIABLE in reason else build if reason else ""
    detail = f"{reason}; the torch paths run instead" if reason else f"{native.instructions()} instructions"
    yield Finding("compiled functions", "missing" if reason else "ok", detail, remedy)


def _operators() -> Iterator[Finding]:
    """Every implementation of deformable convolution must agree with an ordinary one where nothing is deformed."""
    import torch

    from likewise.ops.deform.conv2d import active_backend, backends, deform_conv2d

    image, weight = torch.linspace(-1, 1, 128).reshape(1, 2, 8, 8), torch.linspace(-1, 1, 36).reshape(2, 2, 3, 3)
    plain, still = torch.nn.functional.conv2d(image, weight), torch.zeros(1, 18, 6, 6)
    found = {name: deform_conv2d(image, still, weight, backend=name) for name in backends()}
    wrong = [name for name, out in found.items() if not torch.allclose(out, plain, atol=1e-5)]
    detail = f"{active_backend()} path" + "".join(f"; the {name} path is wrong" for name in wrong)
    yield Finding("deformable convolution", "broken" if wrong else "ok", detail, _REINSTALL if wrong else "")


def _weights() -> Iterator[Finding]:
    from likewise.registry import model_names, preset
    from likewise.weights import file_sha256

    for name in model_names():
        card = preset(name).card
        if card.path is None:
            continue
        if not card.path.is_file():
            yield Finding(f"weights of {name}", "broken", f"{card.file} is missing", _REINSTALL)
        elif file_sha256(card.path) != card.sha256:
            yield Finding(f"weights of {name}", "broken", f"{card.file} differs from its SHA-256", _REINSTALL)
        else:
            yield Finding(f"weights of {name}", "ok", f"{card.file}, {card.path.stat().st_size / 1e6:.1f} MB")


def _emoji_font() -> Iterator[Finding]:
    from likewise.scenes.kinds.emoji import find_font

    font = find_font()
    if font is None:
        remedy = "on Debian and Ubuntu: apt install fonts-noto-color-emoji fontconfig"
        yield Finding("emoji font", "missing", "none found: synthetic scenes are made of plain shapes", remedy)
    else:
        yield Finding("emoji font", "ok", font.name)


_EXAMINATIONS: dict[str, Callable[[], Iterator[Finding]]] = {
    "python": _python,
    "packages": _packages,
    "devices": _devices,
    "compiled functions": _native,
    "deformable convolution": _operators,
    "bundled weights": _weights,
    "emoji font": _emoji_font,
    "extras": _extras,
}


def _show(findings: list[Finding], sound: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        colour = _COLOURS[finding.state]
        detail = finding.detail + (f"\n{finding.remedy}" if finding.remedy else "")
        table.add_row(f"[{colour}]{finding.state}[/]", marked(finding.name), marked(detail))
    console = Console(highlight=False)
    console.print(table)
    console.print("[green]This installation is sound.[/]" if sound else "[red]Something that is needed is broken.[/]")
