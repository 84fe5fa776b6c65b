"""Compiles src/likewise/native into the package when it is built, where there is a C compiler.

Without one the package is built all the same and runs on its torch paths. ``python hatch_build.py`` compiles in place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path(__file__).parent / "src" / "likewise" / "native"
LIBRARY = NATIVE / "kernels.so"
FLAGS = ["-std=c11", "-O3", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fopenmp-simd"]


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled library to the wheel, which then is one for this platform, of any Python 3."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling's documentation of build hooks."""
        problem = compile_library()
        if problem:
            self.app.display_warning(f"building likewise without its compiled functions: {problem}")
            return
        build_data["artifacts"].append(f"/{LIBRARY.relative_to(Path(self.root))}")
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"], build_data["tag"] = False, f"py3-none-{platform}"


def compile_library() -> str:
    """Compile in place; returns what went wrong, empty when nothing did."""
    LIBRARY.unlink(missing_ok=True)
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return "no C compiler found (set CC to name one)"
    # OpenMP calls are left open on purpose: at run time they meet the runtime that torch brought along.
    problem = _compile([compiler, *FLAGS, "-fopenmp"])
    return _compile([compiler, *FLAGS]) if problem else ""


def _compile(command: list[str]) -> str:
    linking = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for source in sorted(NATIVE.glob("*.c")):
            objects.append(str(Path(folder, source.name).with_suffix(".o")))
            problem = _run([*command, "-c", str(source), "-o", objects[-1]])
            if problem:
                return problem
        return _run([command[0], "-shared", *linking, *objects, "-lm", "-o", str(LIBRARY)])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip() or f"{command[0]} failed"


if __name__ == "__main__":
    sys.exit(compile_library() or None)
