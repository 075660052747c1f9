"""Finds keys that come twice in a batch of any size: hashes go to files by value, one file is looked at at a time."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

# 64 files keep a file of 10 million rows at about 2.5 MB.
BUCKETS = 64


class KeySpill:
    """Hashes of keys, spread over temporary files so that equal hashes lie in one file."""

    def __init__(self, files: list[IO[bytes]]) -> None:
        self._files = files

    def add(self, hashes: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64]) -> None:
        """Takes the key hash of each row."""
        pairs = np.empty((len(rows), 2), dtype=np.uint64)
        pairs[:, 0], pairs[:, 1] = hashes, rows.astype(np.uint64)
        bucket = (hashes % np.uint64(BUCKETS)).astype(np.int64)
        order = np.argsort(bucket, kind="stable")
        ends = np.searchsorted(bucket[order], np.arange(BUCKETS + 1))
        ordered = pairs[order]
        for number, file in enumerate(self._files):
            file.write(ordered[ends[number] : ends[number + 1]].tobytes())

    def suspects(self) -> npt.NDArray[np.int64]:
        """Rows whose hash another row has too, ascending: equal keys are among them, and few others."""
        found = [np.empty(0, dtype=np.int64)]
        for file in self._files:
            file.flush()
            pairs = np.fromfile(file.name, dtype=np.uint64).reshape(-1, 2)
            pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
            same = pairs[1:, 0] == pairs[:-1, 0]
            twice = np.concatenate([same, [False]]) | np.concatenate([[False], same]) if len(pairs) else same
            found.append(pairs[twice, 1].astype(np.int64))
        return np.sort(np.concatenate(found))


@contextmanager
def key_spill(folder: Path) -> Iterator[KeySpill]:
    """Opens the temporary files in ``folder`` and removes them at the end."""
    with ExitStack() as stack:
        inside = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
        yield KeySpill([stack.enter_context((Path(inside) / str(number)).open("wb")) for number in range(BUCKETS)])
