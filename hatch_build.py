"""Compiles src/likewise/native into the package when it is built, where there is a C compiler.

Without one the package is built all the same and runs on its torch paths. ``python hatch_build.py`` compiles in place.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path(__file__).parent / "src" / "likewise" / "native"
FLAGS = ["-std=c11", "-O3", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
#: Instruction set, as torch calls it -> flags; one library each, the machine's best is chosen when it is loaded.
X86_64 = {"avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"], "avx2": ["-march=x86-64-v3"]}
VARIANTS = {"default": [], **(X86_64 if platform.machine() in ("x86_64", "AMD64") else {})}


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled library to the wheel, which then is one for this platform, of any Python 3."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling's documentation of build hooks."""
        problem = compile_libraries()
        if problem:
            self.app.display_warning(f"building likewise without its compiled functions: {problem}")
            return
        build_data["artifacts"] += [f"/{path.relative_to(self.root)}" for path in sorted(NATIVE.glob("*.so"))]
        system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"], build_data["tag"] = False, f"py3-none-{system}"


def compile_libraries() -> str:
    """Compile in place, for every instruction set that the compiler knows; returns why there is none, else nothing."""
    for old in NATIVE.glob("*.so"):
        old.unlink()
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return "no C compiler found (set CC to name one)"
    problems = [_variant(compiler, name, flags) for name, flags in VARIANTS.items()]
    return "" if any(NATIVE.glob("*.so")) else problems[0]


def _variant(compiler: str, name: str, flags: list[str]) -> str:
    library = NATIVE / f"kernels-{name}.so"
    # Not every compiler has OpenMP; without it one thread does the work.
    problem = _compile([compiler, *FLAGS, *flags, "-fopenmp"], library)
    return _compile([compiler, *FLAGS, *flags], library) if problem else ""


def _compile(command: list[str], library: Path) -> str:
    # OpenMP's calls are left open on purpose: when the library is loaded they meet the runtime torch brought along.
    linking = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    with tempfile.TemporaryDirectory() as folder:
        objects = [str(Path(folder, source.stem + ".o")) for source in _sources()]
        steps = [[*command, "-c", str(source), "-o", made] for source, made in zip(_sources(), objects, strict=True)]
        steps.append([command[0], "-shared", *linking, *objects, "-lm", "-o", str(library)])
        return next(filter(None, map(_run, steps)), "")


def _sources() -> list[Path]:
    return sorted(NATIVE.glob("*.c"))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # the user's own compiler
    return "" if done.returncode == 0 else done.stderr.strip() or f"{command[0]} failed"


if __name__ == "__main__":
    sys.exit(compile_libraries() or None)
