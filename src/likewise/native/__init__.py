"""Compiled inner loops (C, reached through ctypes): optional, and free of torch's C++ ABI.

The library beside this file is compiled when likewise is built into a wheel or installed from source where there is
a C compiler; nothing is compiled later. Where it is missing, or ``LIKEWISE_NATIVE=0`` is set, operators take their
exact torch path. It sees float32 arrays and numbers only, so any version of torch will do; its threads are those of
the OpenMP runtime that torch itself has loaded.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

import torch
from torch import Tensor

VARIABLE = "LIKEWISE_NATIVE"


def available() -> bool:
    """Whether compiled functions can be called now: built, loadable, and not switched off."""
    return why_not() == ""


@torch.compiler.assume_constant_result
def why_not() -> str:
    """The reason for which `available` is False, empty where it is True."""
    if os.environ.get(VARIABLE, "1") == "0":
        return f"switched off by {VARIABLE}=0"
    found = _load()
    return found if isinstance(found, str) else ""


def instructions() -> str:
    """The instruction set whose library serves this machine: "avx512", "avx2", or "default" for the compiler's own."""
    capability = torch.backends.cpu.get_cpu_capability().lower()
    return capability if _path(capability).is_file() else "default"


def call(name: str, *arguments: Tensor | float | None) -> None:
    """Call a compiled function; tensors go as pointers, int as int64, float as double, None as a null pointer.

    Args:
        name: of the function, which returns nothing.
        arguments: in the function's order; tensors contiguous float32 or integer ones on the CPU.

    Raises:
        RuntimeError: the library is not `available`.
        ValueError: a tensor that is not contiguous or not on the CPU.
    """
    getattr(_library(), name)(*map(_passed, arguments))


def _library() -> ctypes.CDLL:
    found = _load()
    if isinstance(found, str):
        raise RuntimeError(f"no compiled functions: {found}")
    return found


@functools.cache
def _load() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    path = _path(instructions())
    if not path.is_file():
        return "not built (a C compiler is needed when likewise is installed)"
    try:
        _share_openmp()
        return ctypes.CDLL(str(path))
    except OSError as error:
        return f"{path.name} does not load: {error}"


def _path(variant: str) -> Path:
    return Path(__file__).with_name(f"kernels-{variant}.so")


def _share_openmp() -> None:
    """Let the library find the OpenMP runtime that torch loaded, so that both share one pool of threads."""
    folders = [Path(torch.__file__).parent / "lib", Path(torch.__file__).parents[1] / "torch.libs"]
    bundled = [path for folder in folders for path in sorted(folder.glob("lib*omp*"))]
    for name in [*map(str, bundled), "libgomp.so.1"]:
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return


def _passed(argument: Tensor | float | None) -> object:
    if argument is None:
        return None
    if isinstance(argument, Tensor):
        if not argument.is_contiguous() or argument.device.type != "cpu":
            raise ValueError(f"expected a contiguous tensor on the CPU, got {argument.device} {argument.stride()}")
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_int64(argument) if isinstance(argument, int) else ctypes.c_double(argument)
