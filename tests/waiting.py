"""Waits for another process's doing: asks until it is so, or fails at a deadline."""

import time
from collections.abc import Callable


def eventually(holds: Callable[[], bool], seconds: float = 300) -> None:
    """Returns as soon as the condition holds; asks four times a second."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.25)
