"""Benchmarks: how much faster than others, by how much different from them, measured side by side.

``likewise bench`` runs them. Each is a function ``compare(threads, quick=...)`` that yields rows
(`likewise.lab.speed.timing.Comparison`); `likewise.lab.speed.registry` calls it in a process of its own for every
number of threads.
"""

from __future__ import annotations
