"""A stream whose next item is made while its last one is being worked on."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T]) -> Generator[T, None, None]:
    """The items, each made one step ahead in a thread: parquet and DuckDB work without Python's lock (GIL).

    An error of ``items`` is raised in place of its item. A caller that stops early waits for the item in progress;
    then a generator is closed.

    >>> list(prefetch(iter([1, 2])))
    [1, 2]
    """
    rest = iter(items)
    nothing = object()
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
            coming = thread.submit(next, rest, nothing)
            while (item := coming.result()) is not nothing:
                coming = thread.submit(next, rest, nothing)
                yield item  # type: ignore[misc]  # it is none of ours, so it is theirs
    finally:
        if isinstance(rest, Generator):
            rest.close()
