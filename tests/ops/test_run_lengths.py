from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from likewise.errors import LikewiseError
from likewise.ops import run_lengths
from likewise.ops.run_lengths import decode_rle, encode_rle


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_run_lengths_are_cocos(share):
    mask = np.random.default_rng(1).random((37, 53)) < share
    compressed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = encode_rle(mask)
    assert np.array_equal(coco.decode(coco.frPyObjects(ours, *mask.shape)).astype(bool), mask)
    theirs = {"size": compressed["size"], "counts": compressed["counts"].decode()}
    assert encode_rle(mask, compressed=True) == theirs
    for rle in (ours, theirs):
        assert np.array_equal(decode_rle(rle), mask)


@pytest.mark.parametrize("counts", [[5, 3], [1 << 50], [7, -1, 0], "0"])
def test_runs_that_do_not_fill_the_mask_are_refused(counts):
    with pytest.raises(LikewiseError, match="do not fit a mask of 3 x 2"):
        decode_rle({"size": [2, 3], "counts": counts})


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 99))
def test_there_and_back_through_cocos_own(height, width, share, seed):
    mask = np.random.default_rng(seed).random((height, width)) < share
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode_rle(mask, compressed=True)["counts"].encode() == theirs["counts"]
    assert np.array_equal(decode_rle(theirs), mask)
    assert np.array_equal(decode_rle(encode_rle(mask), mask.shape), mask)


@pytest.mark.parametrize("together", [1, 40, 100])
def test_how_many_pixels_are_looked_at_together_does_not_matter(monkeypatch, together):
    mask = np.random.default_rng(2).random((37, 53)) < 0.4
    whole = encode_rle(mask)
    monkeypatch.setattr(run_lengths, "TOGETHER", together)
    assert encode_rle(mask) == whole


@given(st.text(st.characters(min_codepoint=30, max_codepoint=130), max_size=12))
def test_any_text_is_a_mask_or_refused(text):
    with contextlib.suppress(LikewiseError):
        assert decode_rle({"size": [3, 4], "counts": text}).shape == (3, 4)


def test_a_number_without_end_is_refused_at_once():
    """Read to its end, a million digits would take the square of a million steps."""
    with pytest.raises(LikewiseError, match="is no number of a run"):
        decode_rle({"size": [2, 3], "counts": "o" * 1_000_000})


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [1 << 20, 1 << 20], "counts": [1 << 40]}, "a mask of 1048576 x 1048576 pixels: expected 3 x 2"),
        ({"size": [2], "counts": [6]}, r"size is \[2\]"),
        ({"counts": [6]}, "size is None"),
        ({"size": [2, 3]}, "run lengths are None"),
        ({"size": [2, 3], "counts": [1.5, 4.5]}, "expected a list of whole numbers"),
        ({"size": [2, 3], "counts": "o"}, "end within a number"),
        ({"size": [2, 3], "counts": "\u00e9"}, "no number of a run"),
    ],
)
def test_what_is_no_mask_of_the_picture_is_refused(segmentation, message):
    with pytest.raises(LikewiseError, match=message):
        decode_rle(segmentation, (2, 3))
