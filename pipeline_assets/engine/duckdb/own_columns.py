"""Columns that a task's own function adds to the accepted rows, and queries over such rows, batch by batch."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline_assets.engine.base import Query
from pipeline_assets.engine.duckdb.failures import feature_failure, message
from pipeline_assets.engine.duckdb.scan import Scan
from pipeline_assets.errors import DataError, PipelineError
from pipeline_assets.task import sql
from pipeline_assets.task.preparation import GIVEN, AcceptedRows
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.types import arrow_type

_ROW_NUMBER = "row_number"


class _Rows:
    """The rows that the function has got and not given back yet.

    Args:
        rows: accepted rows in their contract types, the row number first.
        task: whose function gets the columns that both stages have.
    """

    def __init__(self, rows: pa.RecordBatchReader, task: TaskSpec) -> None:
        self.waiting: deque[pa.RecordBatch] = deque()
        self.first = 0
        self.error: Exception | None = None
        self._rows = rows
        self._names = [name for name, column in task.columns.items() if column.stage is None]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._read():
            if batch.num_rows:
                self.waiting.append(batch)
                self.first = batch.column(0)[0].as_py()
                columns = [batch.column(0), *(batch.column(name) for name in self._names)]
                yield pa.RecordBatch.from_arrays(columns, names=[_ROW_NUMBER, *self._names])

    def _read(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._rows
        except Exception as error:
            self.error = error  # of the file, and not of the function
            raise

    @property
    def left(self) -> int:
        """How many wait."""
        return sum(batch.num_rows for batch in self.waiting)


def with_own_columns(rows: pa.RecordBatchReader, task: TaskSpec) -> pa.RecordBatchReader:
    """The rows with the columns that the task's own function adds, after their own.

    Args:
        rows: accepted rows in their contract types, the row number first.
        task: names the function and its columns.

    Raises:
        DataError: the function raises, or gives other rows, columns or types than it must. The stream raises it.
    """
    schema = rows.schema
    for name, kind in _declared(task).items():
        schema = schema.append(pa.field(name, kind))
    return pa.RecordBatchReader.from_batches(schema, _added(_Rows(rows, task), schema, task))


def _declared(task: TaskSpec) -> dict[str, pa.DataType]:
    columns = {} if task.preparation is None else task.preparation.columns
    return {name: arrow_type(kind) for name, kind in columns.items()}


def _added(rows: _Rows, schema: pa.Schema, task: TaskSpec) -> Iterator[pa.RecordBatch]:
    function = task.own_function()
    if function is None:
        raise ValueError("the task has no function of its own")
    try:
        for made in function.call(iter(rows)):
            yield from _beside(rows, _checked(made, task), schema, task)
    except PipelineError:
        raise
    except Exception as error:
        if rows.error is not None:
            raise rows.error from None
        raise _wrong(
            task, "failed", f"{type(error).__name__}: {error}, when it had got the rows from row {rows.first} on"
        ) from error
    if rows.left:
        first = rows.waiting[0].column(0)[0].as_py()
        raise _wrong(task, "left rows out", f"the last {rows.left} rows, from row {first} on, did not come back")


def _checked(made: object, task: TaskSpec) -> pa.RecordBatch:
    """The row number and the declared columns of what the function gave, in their declared types."""
    if not isinstance(made, pa.RecordBatch):
        raise _wrong(task, "gives no Arrow record batches", type(made).__name__)
    wanted = {_ROW_NUMBER: pa.int64(), **_declared(task)}
    for name, kind in wanted.items():
        place = made.schema.get_field_index(name)
        found = made.schema.field(place).type if place >= 0 else "not there"
        if found != kind:
            raise _wrong(task, "gives other columns than the task declares", f"{name}: {found}, and not {kind}")
    return made.select(list(wanted))


def _beside(rows: _Rows, made: pa.RecordBatch, schema: pa.Schema, task: TaskSpec) -> Iterator[pa.RecordBatch]:
    """The rows that wait, with the columns made for them; the function may cut its batches otherwise."""
    while made.num_rows:
        count = min(made.num_rows, rows.waiting[0].num_rows) if rows.waiting else 0
        part = made.slice(0, count)
        if not count or not part.column(0).equals(rows.waiting[0].column(0).slice(0, count)):
            raise _wrong(task, "gives other rows than it gets", f"a batch from row {made.column(0)[0].as_py()} on")
        own = rows.waiting.popleft()
        yield pa.RecordBatch.from_arrays([*own.slice(0, count).columns, *part.columns[1:]], schema=schema)
        if count < own.num_rows:
            rows.waiting.appendleft(own.slice(count))
        made = made.slice(count)


def _wrong(task: TaskSpec, what: str, found: str) -> DataError:
    name = task.preparation.function if task.preparation else ""
    return DataError(
        f"the preparation function {name} {what}",
        column=", ".join(_declared(task)),
        found=found,
        expected="every row that it gets, once and in the same order, with its row_number and the declared columns",
    )


def answers(
    view: Scan, rows: pa.RecordBatchReader, query: Query, accepted: AcceptedRows, spill: Path
) -> pa.RecordBatchReader:
    """The rows of a query over a stream, computed batch by batch: expressions see one row at a time.

    Args:
        view: of the batch's files.
        rows: of :func:`with_own_columns`.
        query: a function of :mod:`pipeline_assets.task.preparation`.
        accepted: says that the typed rows are given.
        spill: folder for data that does not fit in memory.
    """
    connection, text = sql.connect(spill=str(spill)), query(accepted)

    def answer(batch: pa.RecordBatch) -> pa.Table:
        connection.register(GIVEN, pa.Table.from_batches([batch]))
        return connection.sql(text).to_arrow_table()

    schema = answer(pa.RecordBatch.from_pylist([], schema=rows.schema)).schema

    def batches() -> Iterator[pa.RecordBatch]:
        with connection:
            for batch in rows:
                try:
                    found = answer(batch)
                except duckdb.Error as error:
                    failed = feature_failure(replace(view, connection=connection), accepted)
                    raise failed or DataError("an expression failed on a row", found=message(error)) from error
                yield from found.combine_chunks().to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())
