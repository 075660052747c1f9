from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline_assets.errors import PipelineError
from pipeline_assets.io_managers.spool import twice

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.string())])


def stream(batches: int, made: list[int] | None = None) -> pa.RecordBatchReader:
    def rows() -> Iterator[pa.RecordBatch]:
        for number in range(batches):
            if made is not None:
                made.append(number)
            yield pa.RecordBatch.from_arrays([pa.array([number, None]), pa.array(["я", None])], schema=SCHEMA)

    return pa.RecordBatchReader.from_batches(SCHEMA, rows())


@pytest.mark.parametrize("count", [0, 1, 50])
def test_both_readers_get_all_rows_of_a_stream_that_is_made_once(tmp_path: Path, count: int) -> None:
    made: list[int] = []
    with twice(stream(count, made), tmp_path) as (first, second):
        assert first.read_all() == stream(count).read_all()
        assert second.read_all() == stream(count).read_all()
    assert made == list(range(count))
    assert list(tmp_path.iterdir()) == []


def test_the_first_reader_gets_rows_as_they_are_made(tmp_path: Path) -> None:
    made: list[int] = []
    with twice(stream(5, made), tmp_path) as (first, _):
        first.read_next_batch()
        assert made == [0]


def test_the_second_reader_never_gets_a_part_for_the_whole(tmp_path: Path) -> None:
    with twice(stream(5), tmp_path) as (first, second):
        first.read_next_batch()
        with pytest.raises(PipelineError, match="before the store ahead had taken all"):
            second.read_all()


def test_an_error_of_the_stream_is_the_first_readers(tmp_path: Path) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield from stream(2)
        raise PipelineError("no more")

    rows = pa.RecordBatchReader.from_batches(SCHEMA, failing())
    with twice(rows, tmp_path) as (first, second):
        with pytest.raises(PipelineError, match="no more"):
            first.read_all()
        with pytest.raises(PipelineError, match="before the store ahead"):
            second.read_all()
