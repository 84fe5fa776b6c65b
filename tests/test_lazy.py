"""Every table of strings names something that is there."""

from __future__ import annotations

import doctest

import pytest

import likewise.lazy
from likewise.cli import DATA_VERBS, VERBS
from likewise.cli.eval import MEASURES, SUITES, TESTS
from likewise.engine.contract import CONTRACTS
from likewise.lab.speed.registry import BENCHMARKS
from likewise.lazy import resolve
from likewise.registry import METHODS, MODELS

NAMED = [
    *MODELS.values(),
    *METHODS.values(),
    *CONTRACTS.values(),
    *(where for where, _ in (*VERBS.values(), *DATA_VERBS.values())),
    *(where for where, _ in (*MEASURES.values(), *SUITES.values(), *TESTS.values())),
    *(row[0] for row in BENCHMARKS.values()),
]


def test_the_example_runs():
    assert doctest.testmod(likewise.lazy).failed == 0


@pytest.mark.parametrize("where", sorted(set(NAMED)))
def test_what_a_table_names_is_there(where):
    found = resolve(where)
    assert getattr(found, "__name__", where.partition(":")[2]) == where.partition(":")[2]


@pytest.mark.parametrize(
    ("where", "error"), [("likewise.lazy:gone", AttributeError), ("likewise.gone:x", ModuleNotFoundError)]
)
def test_what_is_not_there_is_an_error(where, error):
    with pytest.raises(error):
        resolve(where)
