"""What runs beside the model: in order, only so far ahead, and no error is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from llm_mia.signals import BackgroundWriter, prefetch


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("llm-mia")]


def test_ahead_is_the_same_in_order() -> None:
    for n in (0, 1, 2, 3, 100):
        assert list(prefetch(iter(range(n)))) == list(range(n))
    assert list(prefetch(iter([None, None]))) == [None, None]
    assert ours() == []


def test_ahead_stays_in_bounds_and_stops_when_closed() -> None:
    computed = []

    def items() -> Iterator[int]:
        for i in range(100):
            assert threading.current_thread() is not threading.main_thread()
            computed.append(i)
            yield i

    with closing(prefetch(items(), depth=2)) as ready:
        for item in ready:
            time.sleep(0.01)
            assert item < len(computed) <= item + 3
            if item == 9:
                break
    assert len(computed) <= 12
    assert ours() == []


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("the fourth")

    with closing(prefetch(items(), depth=5)) as ready:
        assert [next(ready) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="the fourth"):
            next(ready)
    assert ours() == []


def test_behind_keeps_the_order_and_waits() -> None:
    seen = []

    def write(item: int) -> None:
        assert threading.current_thread() is not threading.main_thread()
        time.sleep(0.002)
        seen.append(item)

    with BackgroundWriter(write) as behind:
        for item in range(20):
            behind(item)
            assert item - 1 <= len(seen) <= item + 1, "one call at a time, and one that may have begun"
    assert seen == list(range(20))
    assert ours() == []


@pytest.mark.parametrize("last", [1, 2, 5])
def test_an_error_of_writing_is_raised(last: int) -> None:
    seen = []

    def write(item: int) -> None:
        if item == 1:
            raise OSError("disk full")
        seen.append(item)

    def run() -> None:
        with BackgroundWriter(write) as behind:
            for item in range(last + 1):
                behind(item)

    with pytest.raises(OSError, match="disk full"):
        run()
    assert seen == [0], "nothing is written after what could not be"
    assert ours() == []


def test_an_interrupt_lets_the_last_write_end() -> None:
    seen = []

    def write(item: int) -> None:
        time.sleep(0.05)
        seen.append(item)

    def run() -> None:
        with BackgroundWriter(write) as behind:
            behind(7)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert seen == [7]
    assert ours() == []
