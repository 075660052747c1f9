"""Logs the progress of a long step: one line per 100,000 rows, or per tenth of more than a million rows."""

import time
from collections.abc import Callable

import dagster as dg


class Progress:
    """Counts rows and logs from time to time.

    Attributes:
        rows: done so far.
        started: when, by ``time.perf_counter()``.

    Args:
        log: called with ``<doing>: <rows> of <total> rows``.
        doing: what is being done.
        total: expected rows; ``None`` if not known.
    """

    def __init__(self, log: Callable[[str], None], doing: str, total: int | None = None) -> None:
        self._log, self._doing = log, doing
        self._of = "" if total is None else f" of {total:,}"
        self._step = max((total or 0) // 10, 100_000)
        self._next = self._step
        self.started = time.perf_counter()
        self.rows = 0

    def __call__(self, rows: int) -> None:
        """Takes the number of rows done so far."""
        self.rows = rows
        if rows >= self._next:
            self._log(f"{self._doing}: {rows:,}{self._of} rows")
            self._next = (rows // self._step + 1) * self._step

    def metadata(self) -> dict[str, dg.MetadataValue]:
        """Rows, seconds and rows per second since the start."""
        seconds = time.perf_counter() - self.started
        return {
            "dagster/row_count": dg.MetadataValue.int(self.rows),
            "seconds": dg.MetadataValue.float(round(seconds, 3)),
            "rows_per_second": dg.MetadataValue.int(round(self.rows / seconds) if seconds else 0),
        }
