"""One pass for two stores at the same time: a thread loads the second store while the first takes its rows."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pyarrow as pa

from pipeline_assets.errors import PipelineError
from pipeline_assets.stores.load import Load, Piece

# Batches that wait for the thread: one is enough for each store to go on while the other one pauses.
_WAITING = 1


class Alongside:
    """Rows for two stores. Each store replaces its batch whole or not at all, and fails on its own.

    The first store reads :meth:`first`, and a thread writes the second store's rows to a load, no faster and no
    slower; memory use is constant. The thread lives only while :meth:`first` is open. Nothing becomes visible in the
    second store before :meth:`commit`.

    Args:
        rows: pairs of a batch for the first store and one for the second.
        schemas: of the first store's batches and of the second's.
        begin: begins a load of one piece in the second store; called in the thread.

    Attributes:
        started: when, by ``time.perf_counter()``.
    """

    def __init__(
        self,
        rows: Iterator[tuple[pa.RecordBatch, pa.RecordBatch]],
        schemas: tuple[pa.Schema, pa.Schema],
        begin: Callable[[], Load],
    ) -> None:
        self.started = time.perf_counter()
        self._rows, self._schemas, self._begin = rows, schemas, begin
        self._channel = _Channel()
        self._written: Future[Load] | None = None

    @contextmanager
    def first(self) -> Iterator[pa.RecordBatchReader]:
        """The stream for the first store, which has to read all of it within the block.

        An error of the second store does not show here. An error in the block abandons the load.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="alongside") as thread:
            self._written = thread.submit(self._load)
            try:
                yield pa.RecordBatchReader.from_batches(self._schemas[0], self._passed_on())
            except BaseException:
                self.abandon()
                raise
            finally:
                self._channel.stop()

    def commit(self) -> int:
        """Makes the load the content of the batch.

        Returns:
            Rows of the batch.

        Raises:
            PipelineError: the first store did not take all rows.
            Exception: any error of the second store, unchanged.
        """
        if self._written is None or not self._channel.complete:
            self.abandon()
            raise PipelineError("the store ahead did not take all rows of the batch")
        rows = self._written.result().commit()
        self._written = None
        return rows

    def abandon(self) -> None:
        """Stops the thread, and removes what it has written, unless that is committed.

        What cannot be removed now, a later load collects.
        """
        self._channel.stop()
        written, self._written = self._written, None
        if written is not None and written.exception() is None:
            with suppress(PipelineError):
                written.result().abandon()

    def _passed_on(self) -> Iterator[pa.RecordBatch]:
        for batch, beside in self._rows:
            self._channel.send(beside)
            yield batch
        self._channel.end()

    def _load(self) -> Load:
        try:
            load = self._begin()
            try:
                load.write(Piece(0, 1), pa.RecordBatchReader.from_batches(self._schemas[1], self._channel.received()))
            except BaseException:
                with suppress(PipelineError):
                    load.abandon()
                raise
        finally:
            self._channel.close()
        return load


class _StoppedError(Exception):
    """Ends the stream of the second store, which then keeps nothing of it."""


class _Channel:
    """Batches on their way from the first store's thread to the second's.

    Attributes:
        complete: whether all batches have been sent.
    """

    def __init__(self) -> None:
        self.complete = False
        self._changed = threading.Condition()
        self._waiting: deque[pa.RecordBatch] = deque()
        self._stopped = self._closed = False

    def send(self, batch: pa.RecordBatch) -> None:
        """Waits until there is room; does nothing once nobody receives any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _WAITING or self._closed)
            if not self._closed:
                self._waiting.append(batch)
                self._changed.notify_all()

    def end(self) -> None:
        """Ends the stream after the batches that wait."""
        with self._changed:
            self.complete = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Makes the stream fail, unless it is complete."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Frees the sender: nobody receives any more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def received(self) -> Iterator[pa.RecordBatch]:
        """The batches as they come.

        Raises:
            _StoppedError: the channel was stopped before it was complete.
        """
        while (batch := self._next()) is not None:
            yield batch

    def _next(self) -> pa.RecordBatch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.complete or self._stopped)
            if self._stopped and not self.complete:
                raise _StoppedError
            batch = self._waiting.popleft() if self._waiting else None
            self._changed.notify_all()
            return batch
