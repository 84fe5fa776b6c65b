from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from likewise.errors import LikewiseError
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
