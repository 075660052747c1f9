"""Finds hashes that come twice in a batch of any size: divides them by value, then sorts each part."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

# With 64 parts, 10 million rows take about 1.25 MB per part.
PARTS = 64
_BITS = np.uint64(58)
# Bytes that a part may hold in memory; a batch of two million rows needs no file.
_BYTES_IN_MEMORY = 256 << 10


class KeySpill:
    """Hashes of keys, divided over temporary files so that equal hashes are in one file."""

    def __init__(self, parts: list[tempfile.SpooledTemporaryFile[bytes]]) -> None:
        self._parts = parts

    def add(self, hashes: Hashes) -> None:
        """Adds the key hashes of some rows."""
        # For bytes numpy's stable sort is a radix sort: several times as fast as sorting the hashes themselves.
        numbers = (hashes >> _BITS).astype(np.uint8)
        ordered = hashes[np.argsort(numbers, kind="stable")]
        ends = np.cumsum(np.bincount(numbers, minlength=PARTS))
        for part, some in zip(self._parts, np.split(ordered, ends[:-1]), strict=True):
            part.write(some.tobytes())

    def repeated(self) -> Hashes:
        """The hashes that came more than once, ascending: those of equal keys, and a few others by chance."""
        found = [np.empty(0, np.uint64)]
        for part in self._parts:
            part.seek(0)
            hashes = np.sort(np.frombuffer(part.read(), np.uint64))
            found.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
        return np.concatenate(found)


@contextmanager
def key_spill(folder: Path) -> Iterator[KeySpill]:
    """Opens the parts; large ones are written to ``folder`` and removed at the end."""
    with ExitStack() as stack:
        yield KeySpill([stack.enter_context(_part(folder)) for _ in range(PARTS)])


def _part(folder: Path) -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=_BYTES_IN_MEMORY, dir=str(folder))
