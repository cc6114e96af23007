"""Work shared out among threads: all of it is done, as often as once, and what fails is told."""

from __future__ import annotations

import threading
from collections.abc import Generator

import numpy as np
import pytest

from deepupscale import load_model, open_session, threads
from deepupscale.upscaler import Upscaler


@pytest.fixture(autouse=True)
def allowed() -> Generator[None]:
    yield
    threads.set_threads(0)


@pytest.mark.parametrize("count", [1, 4])
def test_everything_is_done_once_by_no_more_threads_than_allowed(count: int) -> None:
    threads.set_threads(count)
    done: list[int] = []
    seen: set[int] = set()
    gate = threading.Barrier(count, timeout=20)

    def work(item: int) -> None:
        if item < count:
            gate.wait()  # passes only if as many threads are at work
        seen.add(threading.get_ident())
        done.append(item)

    threads.for_each(work, range(40))
    assert sorted(done) == list(range(40))
    assert len(seen) == count
    assert (threading.get_ident() in seen) == (count == 1)


def test_an_error_is_raised_when_all_have_ended() -> None:
    threads.set_threads(3)
    running = []

    def work(item: int) -> None:
        running.append(item)
        if item == 5:
            raise ValueError("of item 5")
        running.remove(item)

    with pytest.raises(ValueError, match="of item 5"):
        threads.for_each(work, range(9))
    assert running == [5]
    threads.for_each(work, [])


def test_results_do_not_depend_on_the_number() -> None:
    model = load_model()
    upscaler = Upscaler(model, open_session(model, "cpu", "f32", threads=1))
    plane = np.random.default_rng(0).random((330, 340, 3), np.float32) * 4.0
    results = []
    for count in (1, 3):
        threads.set_threads(count)
        results.append(upscaler.double_colour(plane).tobytes())
    assert results[0] == results[1]
