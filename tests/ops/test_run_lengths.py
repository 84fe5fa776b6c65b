from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from likewise.ops.run_lengths import decode_rle, encode_rle


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_run_lengths_are_cocos(share):
    mask = np.random.default_rng(1).random((37, 53)) < share
    compressed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = encode_rle(mask)
    assert np.array_equal(coco.decode(coco.frPyObjects(ours, *mask.shape)).astype(bool), mask)
    for rle in (ours, {"size": compressed["size"], "counts": compressed["counts"].decode()}):
        assert np.array_equal(decode_rle(rle), mask)
