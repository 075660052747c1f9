"""One stream for two readers, one after the other: a file keeps what the first has read for the second."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa

from pipeline_assets.errors import PipelineError, StoreError
from pipeline_assets.stores.files.prefetch import prefetch


@contextmanager
def twice(rows: pa.RecordBatchReader, folder: Path) -> Iterator[tuple[pa.RecordBatchReader, pa.RecordBatchReader]]:
    """Gives two readers of a stream that can be read only once; memory use is constant.

    The first passes the rows on; the second must start after the first has ended. To a store each is an ordinary
    stream, so each store replaces the batch whole or not at all.

    Args:
        rows: the stream.
        folder: for the file, which has no name and disappears with the process.

    Raises:
        StoreError: there is no space left in the folder. The first reader raises it.
        PipelineError: the second reader was asked for rows before the first had given all.
    """
    with ExitStack() as opened:
        folder.mkdir(parents=True, exist_ok=True)
        file = opened.enter_context(tempfile.TemporaryFile(dir=folder))
        complete = False

        def first() -> Iterator[pa.RecordBatch]:
            nonlocal complete
            writer = pa.ipc.new_stream(file, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
            for batch in rows:
                with _space(folder):
                    writer.write_batch(batch)
                yield batch
            with _space(folder):
                writer.close()
                file.flush()
            complete = True

        def second() -> Iterator[pa.RecordBatch]:
            if not complete:
                raise PipelineError("the rows of a batch were asked for before the store ahead had taken all of them")
            file.seek(0)
            yield from prefetch(pa.ipc.open_stream(file))

        yield (
            pa.RecordBatchReader.from_batches(rows.schema, first()),
            pa.RecordBatchReader.from_batches(rows.schema, second()),
        )


@contextmanager
def _space(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            "the scratch folder cannot hold the prepared rows",
            file=folder,
            found=error.strerror or str(error),
            do="free space there, or set PIPELINE_STATE to a folder on a larger disk",
        ) from error
