"""The compiled library: how it is reached, switched off and built, and that all its variants compute the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from likewise import native

needs_native = pytest.mark.skipif(not native.available(), reason=f"compiled functions are {native.why_not()}")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler named cc")

#: Prints which library serves, and how far the compiled convolution is off the exact one.
COMPARE = """
import torch
from likewise import native
from likewise.ops.deform.conv2d import deform_conv2d
torch.manual_seed(0)
x, offset, weight = torch.randn(1, 40, 12, 13), 2 * torch.randn(1, 18, 12, 13), torch.randn(50, 40, 3, 3)
inputs = [t.requires_grad_() for t in (x, offset, weight)]
found = []
for backend in ("native", "torch"):
    out = deform_conv2d(*inputs, padding=1, backend=backend)
    found.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
print(native.instructions(), max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(*found)))
"""


def run(*command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | environment, timeout=300
    )


@needs_native
@pytest.mark.parametrize("capability", ["default", "avx2", "avx512"])
def test_every_variant_computes_the_same(capability: str):
    """Torch can be told to take a machine for a lesser one; a greater one cannot be pretended."""
    order = ["default", "avx2", "avx512"]
    own = torch.backends.cpu.get_cpu_capability().lower()
    if own not in order or order.index(capability) > order.index(own):
        pytest.skip(f"this machine has {own}, not {capability}")
    done = run(sys.executable, "-c", COMPARE, ATEN_CPU_CAPABILITY=capability)
    assert done.returncode == 0, done.stderr
    variant, error = done.stdout.split()
    assert variant == capability
    assert float(error) < 1e-5


@needs_native
def test_pointers_are_only_given_to_what_can_be_read(monkeypatch):
    turned = torch.zeros(4, 3).T
    with pytest.raises(ValueError, match="contiguous tensor on the CPU"):
        native.call("deform_conv2d_sizes", turned, turned)
    with pytest.raises(AttributeError, match="no_such_function"):
        native.call("no_such_function")


@needs_native
def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(native.VARIABLE, "0")
    assert not native.available()
    assert native.why_not() == "switched off by LIKEWISE_NATIVE=0"


def test_a_library_that_is_missing_is_said_to_be(monkeypatch, tmp_path):
    monkeypatch.delenv(native.VARIABLE, raising=False)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    native._load.cache_clear()
    try:
        assert native.why_not() == "not built (a C compiler is needed when likewise is installed)"
        with pytest.raises(RuntimeError, match="no compiled functions: not built"):
            native.call("deform_conv2d_sizes")
        (tmp_path / f"kernels-{native.instructions()}.so").write_bytes(b"not a library")
        native._load.cache_clear()
        assert "does not load" in native.why_not()
    finally:
        native._load.cache_clear()


def sources(repository: Path, tmp_path: Path) -> Path:
    """A copy of what is needed to build, in which building harms nobody."""
    shutil.copy(repository / "hatch_build.py", tmp_path)
    folder = tmp_path / "src" / "likewise" / "native"
    shutil.copytree(repository / "src" / "likewise" / "native", folder, ignore=shutil.ignore_patterns("*.so"))
    return folder


@needs_compiler
def test_it_builds_from_its_sources_without_a_warning(repository, tmp_path):
    folder = sources(repository, tmp_path)
    done = run(sys.executable, "hatch_build.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "kernels-default.so").is_file()
    for source in folder.glob("*.c"):  # here as for a compiler without OpenMP
        strict = run(
            "cc",
            "-std=c11",
            "-O2",
            "-Wall",
            "-Wextra",
            *("-Wno-unknown-pragmas", "-Wno-unused-parameter"),
            "-c",
            str(source),
            cwd=tmp_path,
        )
        assert (strict.returncode, strict.stderr) == (0, "")


def test_without_a_compiler_it_says_so_and_leaves_no_stale_library(repository, tmp_path):
    folder = sources(repository, tmp_path)
    (folder / "kernels-default.so").write_bytes(b"stale")
    done = run(sys.executable, "hatch_build.py", cwd=tmp_path, CC="no-such-compiler")
    assert done.returncode == 1
    assert "no C compiler found" in done.stderr
    assert not list(folder.glob("*.so"))


@needs_compiler
def test_a_compiler_that_knows_fewer_instruction_sets_still_builds_the_rest(repository, tmp_path):
    folder = sources(repository, tmp_path)
    old = tmp_path / "old-cc"
    old.write_text(
        '#!/bin/sh\ncase "$*" in *x86-64-v4*) echo "bad value for -march" >&2; exit 1;; esac\nexec cc "$@"\n'
    )
    old.chmod(0o755)
    done = run(sys.executable, "hatch_build.py", cwd=tmp_path, CC=str(old))
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "kernels-default.so").is_file()
    assert not (folder / "kernels-avx512.so").exists()
