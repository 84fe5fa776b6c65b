"""What every test shares: where the data is, the same random numbers each time, and no network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# Weights that are not in the repository are never fetched by a test: a test that tries fails at once.
os.environ["HF_HUB_OFFLINE"] = "1"

# Side by side, tests share the cores instead of each wanting all of them.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ["OMP_NUM_THREADS"] = str(threads)  # of the processes that tests start: sums depend on it
    torch.set_num_threads(threads)

# Examples are drawn the same way in every run, and a slow machine is not a failure.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def parity_dir() -> Path:
    """Inputs and outputs of the published reference implementations (``LIKEWISE_PARITY``)."""
    return _folder("LIKEWISE_PARITY", "parity")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real pictures for development (``LIKEWISE_DATA``)."""
    return _folder("LIKEWISE_DATA", "data")


def _folder(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable) or REPOSITORY.parent / "shared" / name)
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: set {variable} to the folder with the {name} files")
    return folder
