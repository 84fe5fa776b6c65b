"""JSON of finite numbers only, as the standard library writes it otherwise."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import LikewiseError
from likewise.json_text import json_text

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_what_is_finite_comes_back(value):
    for text in (json_text(value), json_text(value, compact=True), json_text(value, indent=1, ascii_only=False)):
        assert json.loads(text) == value


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [1, {"a": v}], lambda v: {"a": (v,)}])
def test_what_is_not_is_refused_by_what_it_is_in(bad, wrap):
    with pytest.raises(LikewiseError, match="the score holds numbers that are not finite"):
        json_text(wrap(bad), what="the score")
