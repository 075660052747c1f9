"""Times one piece of work in this process; imports no package: a peer in another environment is timed the same."""

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path


def timed(work: Callable[[], int]) -> dict[str, float]:
    """Does the work: its ``seconds``, the ``rows`` that it says, and the process's ``peak`` memory in bytes."""
    start = time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "rows": rows, "peak": _peak()}


def forget_peak() -> None:
    """Gives freed memory back, and has Linux count the peak from here on: for preparations that need more than work."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """This program's own peak, in bytes: Linux lets ``ru_maxrss`` start at what the parent had before the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
