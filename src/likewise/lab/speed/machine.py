"""What a benchmark ran on: a ratio without its machine cannot be repeated."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from likewise import native
from likewise.lab.speed.registry import usable_cores
from likewise.ops.deform.conv2d import active_backend


@dataclass(frozen=True)
class Machine:
    """The processor, the system, and the versions and paths that were measured.

    Attributes:
        processor: its model, as the system calls it.
        cores: that can be used.
        system: operating system and architecture.
        versions: of the packages that take part.
        native: the instructions that the compiled functions use, or why there are none.
        deform_conv: the implementation of deformable convolution that is taken by default.
    """

    processor: str
    cores: int
    system: str
    versions: dict[str, str]
    native: str
    deform_conv: str

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        cores = f"{self.cores} core{'s' if self.cores > 1 else ''}"
        paths = f"compiled functions: {self.native}; deform_conv2d: {self.deform_conv}"
        return f"{self.processor}, {cores}, {self.system}; {versions}; {paths}"


def this_machine() -> Machine:
    """The machine this runs on."""
    return Machine(
        processor=_processor(),
        cores=usable_cores(),
        system=f"{platform.system()} {platform.machine()}",
        versions={name: metadata.version(name) for name in ("likewise", "torch", "torchvision")} | _peers(),
        native=native.why_not() or native.instructions(),
        deform_conv=active_backend(),
    )


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def _peers() -> dict[str, str]:
    installed = {d.metadata["Name"] for d in metadata.distributions()}
    return {name: metadata.version(name) for name in ("geomloss", "POT") if name in installed}
