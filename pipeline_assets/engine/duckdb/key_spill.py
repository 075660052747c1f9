"""Finds hashes that come twice in a batch of any size: spread by value, sorted a part at a time."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

# 64 parts keep a part of 10 million rows at about 1.25 MB.
PARTS = 64
_BITS = np.uint64(58)
# What a part may hold in memory; a batch of two million rows needs no file.
_BYTES_IN_MEMORY = 256 << 10


class KeySpill:
    """Hashes of keys, spread over temporary files so that equal hashes lie in one file."""

    def __init__(self, parts: list[tempfile.SpooledTemporaryFile[bytes]]) -> None:
        self._parts = parts

    def add(self, hashes: Hashes) -> None:
        """Takes the key hashes of some rows."""
        # Of bytes, numpy's stable sort is a radix sort: several times as fast as any of the hashes themselves.
        numbers = (hashes >> _BITS).astype(np.uint8)
        ordered = hashes[np.argsort(numbers, kind="stable")]
        ends = np.cumsum(np.bincount(numbers, minlength=PARTS))
        for part, some in zip(self._parts, np.split(ordered, ends[:-1]), strict=True):
            part.write(some.tobytes())

    def repeated(self) -> Hashes:
        """The hashes that came more than once, ascending: those of equal keys are among them, and few others."""
        found = [np.empty(0, np.uint64)]
        for part in self._parts:
            part.seek(0)
            hashes = np.sort(np.frombuffer(part.read(), np.uint64))
            found.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
        return np.concatenate(found)


@contextmanager
def key_spill(folder: Path) -> Iterator[KeySpill]:
    """Opens the parts; what outgrows memory goes to ``folder`` and leaves nothing there at the end."""
    with ExitStack() as stack:
        yield KeySpill([stack.enter_context(_part(folder)) for _ in range(PARTS)])


def _part(folder: Path) -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=_BYTES_IN_MEMORY, dir=str(folder))
