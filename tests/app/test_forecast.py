"""How long a question will take, said beforehand; a coarser look; and who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from likewise.app.forecast import Pace, network_pixels
from likewise.app.requests import CountRequest
from likewise.app.worker import LONG_SECONDS, Worker
from likewise.predict import Counter
from likewise.predict.cancellation import CancelledQuestionError, check_cancelled

from .conftest import BOXES

SMALL_THING = CountRequest(exemplars=((100, 100, 120, 120),))


@pytest.fixture(scope="module")
def counter() -> Counter:
    return Counter.load("spdcn-lite")


def test_the_pixels_that_the_network_is_shown_are_those_of_its_view(counter: Counter) -> None:
    whole = network_pixels(counter, (6000, 4000), SMALL_THING)
    assert whole == pytest.approx(6000 * 4000 * (32 / 20) ** 2)
    corner = CountRequest(exemplars=SMALL_THING.exemplars, region=((0, 0), (600, 0), (600, 400), (0, 400)))
    assert network_pixels(counter, (6000, 4000), corner) == pytest.approx(whole / 100)
    half = SMALL_THING.model_copy(update={"coarse": 0.5})
    assert network_pixels(counter, (6000, 4000), half) == pytest.approx(whole / 4)


def test_a_coarser_look_is_offered_that_takes_as_long_as_it_says(counter: Counter) -> None:
    pace = Pace()
    told = pace.forecast(counter, (6000, 4000), SMALL_THING)
    assert told.seconds > 100
    assert told.coarse < 0.7
    again = pace.forecast(counter, (6000, 4000), SMALL_THING.model_copy(update={"coarse": told.coarse}))
    assert again.seconds == pytest.approx(told.coarse_seconds, rel=0.05)
    small = pace.forecast(counter, (300, 200), SMALL_THING)
    assert (small.coarse, small.tiles) == (1.0, 1)


def test_the_pace_is_learnt_from_what_answers_took(counter: Counter) -> None:
    pace = Pace()
    for _ in range(12):
        pace.learn(counter, (1000, 1000), SMALL_THING, took=5.0)
    assert pace.forecast(counter, (1000, 1000), SMALL_THING).seconds == pytest.approx(5.0, rel=0.01)
    pace.learn(counter, (10, 10), SMALL_THING, took=0.01)  # says nothing
    assert pace.forecast(counter, (1000, 1000), SMALL_THING).seconds == pytest.approx(5.0, rel=0.01)


def test_no_picture_is_rescaled_by_more_than_is_said(counter: Counter) -> None:
    assert counter.at_most(0.5).preprocess.scale_range == (counter.preprocess.scale_range[0], 0.5)
    assert counter.at_most(0.5).model is counter.model


def test_it_is_told_before_it_is_asked_and_a_coarser_look_is_taken(client: TestClient, ids: dict[str, str]) -> None:
    question: dict[str, Any] = {"picture": ids["a2.png"], "exemplars": BOXES}
    fine = client.post("/api/v1/count", json=question).json()
    assert client.post("/api/v1/forecast", json=question).json() == {"seconds": None}  # it is prepared by now
    other = {**question, "picture": ids["a10.jpg"]}
    assert client.post("/api/v1/forecast", json=other).json()["seconds"] > 0
    coarse = client.post("/api/v1/count", json={**question, "coarse": 0.5}).json()
    assert abs(coarse["count"] - fine["count"]) <= 3
    assert client.post("/api/v1/count", json={**question, "coarse": 0}).status_code == 422


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(questions=8)
    yield worker
    worker.stop()


class Tiles:
    """Something that takes long, in tiles that are waited for."""

    def __init__(self, number: int) -> None:
        self.number, self.done = number, 0
        self.began, self.go = threading.Event(), threading.Event()

    def __call__(self) -> str:
        for _ in range(self.number):
            check_cancelled()
            self.done += 1
            self.began.set()
            self.go.wait(10)
        return "long"


def test_a_small_question_overtakes_a_long_one_that_has_begun(worker: Worker) -> None:
    tiles = Tiles(3)
    long = worker.ask(tiles, seconds=LONG_SECONDS + 1)
    assert tiles.began.wait(10)
    other = worker.ask(lambda: "also long", seconds=LONG_SECONDS + 1)
    small = worker.ask(lambda: (tiles.done, other.done()))
    tiles.go.set()
    assert small.result(10) == (1, False)  # between its first tile and its second
    assert (long.result(10), other.result(10)) == ("long", "also long")


def test_a_step_of_a_job_lets_every_question_pass_and_ends_when_it_is_unwanted(worker: Worker) -> None:
    tiles, over, ended = Tiles(5), threading.Event(), threading.Event()

    def step() -> None:
        try:
            with worker.between_tiles(over.is_set):
                tiles()
        except CancelledQuestionError:
            ended.set()

    worker.step(step)
    assert tiles.began.wait(10)
    asked = worker.ask(lambda: tiles.done, seconds=LONG_SECONDS + 1)
    after = worker.ask(over.set)
    tiles.go.set()
    assert asked.result(10) == 1
    after.result(10)
    assert ended.wait(10)
    assert tiles.done == 1


def test_somebody_is_told_how_many_tiles_are_done(worker: Worker) -> None:
    told: list[int] = []
    tiles = Tiles(3)
    tiles.go.set()
    worker.ask(tiles, ticking=told.append).result(10)
    assert told == [0, 1, 2]
