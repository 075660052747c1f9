import threading
from collections.abc import Iterator

import pytest

from pipeline_assets.stores.files.prefetch import prefetch


def test_items_come_in_order_and_end() -> None:
    assert list(prefetch(range(1000))) == list(range(1000))
    assert list(prefetch(iter(()))) == []


def test_the_next_item_is_made_while_the_last_is_worked_on() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    rest = prefetch(items())
    assert next(rest) == 1
    assert made.wait(timeout=10)
    assert list(rest) == [2]


def test_what_the_items_raise_comes_in_their_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    rest = prefetch(items())
    assert next(rest) == 1
    with pytest.raises(KeyError, match="gone"):
        next(rest)


def test_whoever_stops_early_leaves_no_thread_behind() -> None:
    ended = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    held = items()
    rest = prefetch(held)
    next(rest)
    rest.close()
    assert ended.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
