"""A question that nobody waits for any more: it ends between two tiles, and the next one is answered."""

from __future__ import annotations

import numpy as np
import pytest

from likewise.predict import Counter
from likewise.predict.cancellation import CancelledQuestionError, cancellable, check_cancelled
from likewise.preprocess.rules import Preprocess

from .test_counter import ColourCounter


def test_nothing_is_cancelled_where_nobody_says_how_to_find_out() -> None:
    check_cancelled()
    with cancellable(lambda: False):
        check_cancelled()
    with pytest.raises(CancelledQuestionError), cancellable(lambda: True):
        check_cancelled()
    check_cancelled()


def test_a_picture_of_many_tiles_is_left_at_the_next_one() -> None:
    network = ColourCounter(Preprocess(tile=64))
    counter = Counter(network, "colours")
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[10:20, 10:20] = (255, 0, 0)
    whole = counter.count(picture, [(10, 10, 20, 20)])
    tiles = len(network.looks)
    assert tiles > 9
    network.looks.clear()
    with pytest.raises(CancelledQuestionError), cancellable(lambda: len(network.looks) >= 3):
        counter.count(picture, [(10, 10, 20, 20)])
    assert len(network.looks) == 3
    assert counter.count(picture, [(10, 10, 20, 20)]).count == whole.count
