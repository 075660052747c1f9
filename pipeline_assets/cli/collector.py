"""Python's collector of cyclic garbage, set for a command that imports much, does one thing and ends."""

import atexit
import gc

_CONTAINERS = 50_000  # made and not freed since the last collection of the youngest; Python's own is 700


def collect_rarely() -> None:
    """Has the collector look rarely while the command runs, and not at all at what is left as Python ends.

    Imports and definitions make 400,000 objects that stay: looking through them again and again takes a tenth of a
    small run, and looking through them once more at the end another sixth.
    """
    gc.set_threshold(_CONTAINERS, *gc.get_threshold()[1:])
    atexit.unregister(gc.freeze)  # a second call is the same as one
    atexit.register(gc.freeze)
