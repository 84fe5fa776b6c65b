"""torch's "fast path" for attention in inference, switched off while something is measured.

With it `torch.nn.MultiheadAttention` runs as one fused call, which on CPUs measured slower than the plain one: a peer
is to be compared at its best.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def without_fast_path() -> Iterator[None]:
    """Within it there is no fast path; afterwards things are as they were."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)
