"""Python's collector of cyclic garbage, set for work that makes very many objects that stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_CONTAINERS = 50_000  # made and not freed since the last collection of the youngest; Python's own is 700


def collect_rarely() -> None:
    """Has the collector look rarely while a command runs.

    Imports and definitions make 400,000 objects that stay: looking through them again and again takes a tenth of a
    small run.
    """
    gc.set_threshold(_CONTAINERS, *gc.get_threshold()[1:])


@contextmanager
def collecting_later() -> Iterator[None]:
    """Has the collector wait until the block has ended; if it does not run anyway, nothing changes."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
