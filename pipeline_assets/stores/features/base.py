"""What every feature store promises: the table, the protocol and the rules that all feature stores follow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from pipeline_assets.errors import DataError
from pipeline_assets.stores.load import Load
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.fingerprints import feature_fingerprints
from pipeline_assets.task.preparation import features_schema
from pipeline_assets.task.spec import Stage, TaskSpec


@dataclass(frozen=True)
class FeatureTable:
    """The features of one stage of one task.

    Attributes:
        schema: the row number (int64) first, then the features (float64 or string); in train also ``label``
            (int8, nullable), ``split_by`` and ``weight``. These own columns step aside for features of the same names.
        engine: how Tarantool keeps it; other stores have no use for it.
        column_descriptions: by column; those without one are absent.
        fingerprints: of the slices of the task's description that the rows rest on, by slice. They are stored with
            a batch, and a reader refuses a batch that was stored under others. A table without any refuses none.
    """

    task: str
    stage: Stage
    schema: pa.Schema
    engine: Literal["memtx", "vinyl"] = "memtx"
    description: str = ""
    column_descriptions: Mapping[str, str] = field(default_factory=dict, hash=False)
    fingerprints: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """Name of the Tarantool space: upper case, so that unquoted SQL finds it."""
        return f"{self.task}_{self.stage}_features".upper()

    @property
    def row_number(self) -> str:
        """The column that rows are kept and found by."""
        return str(self.schema.names[0])

    @property
    def asset(self) -> str:
        """Key of the Dagster asset that fills it."""
        return f"{self.task}/{self.stage}_features"

    def ref(self, batch: str) -> BatchRef:
        """The batch that the rows were prepared from."""
        return BatchRef(self.task, self.stage, batch)


def feature_table(task: TaskSpec, stage: Stage) -> FeatureTable:
    """The feature table of one stage of a task."""
    return FeatureTable(
        task.name,
        stage,
        features_schema(task, stage),
        engine=task.feature_store.engine,
        fingerprints=feature_fingerprints(task, stage),
    )


class FeatureStore(Protocol):
    """Keeps the prepared rows of every batch; a batch is all there or not there."""

    def begin(self, table: FeatureTable, batch: str, pieces: int) -> Load:
        """A load of the batch, see :mod:`pipeline_assets.stores.load`.

        Its ``write`` and ``commit`` raise a DataError for rows that do not fit the table or are out of order, as
        :meth:`replace` does. The order is checked across pieces too.

        Raises:
            StoreError: there are no pieces, or the store refused.
        """
        ...

    def replace(
        self,
        table: FeatureTable,
        batch: str,
        rows: pa.RecordBatchReader,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Makes ``rows`` the content of the batch, atomically: a reader sees the former content or the new one.

        This is a load of one piece, written by this process.

        Args:
            table: what the rows must look like; see :func:`fitting`.
            batch: name of the batch.
            rows: in the order of ``row_number``, which may start at any number and may have gaps.
            progress: called from time to time with the rows written so far.

        Returns:
            Rows written.

        Raises:
            DataError: the rows do not fit the table or are out of order. An error of the stream is raised
                unchanged. After any error the former content stays.
        """
        ...

    def read(self, table: FeatureTable, batch: str, coded: Sequence[str] = ()) -> pa.RecordBatchReader:
        """The rows of a batch by ``row_number``, under exactly ``table.schema``.

        Stored columns that the table does not have are left out.

        Args:
            table: as in :meth:`replace`.
            batch: name of the batch.
            coded: columns of text that may also come as dictionaries of their values, if the store keeps them so.

        Raises:
            DataError: the batch is not there, or was stored without a column of the table, with another type, or
                under other fingerprints.
        """
        ...

    def row(self, table: FeatureTable, batch: str, row_number: int) -> pa.RecordBatch | None:
        """One row of a batch, under exactly ``table.schema``; ``None`` if the batch has no such row.

        Raises:
            DataError: as :meth:`read`.
        """
        ...

    def rows(self, table: FeatureTable, batch: str, first: int, count: int) -> pa.Table:
        """The rows whose numbers are among ``count`` numbers from ``first`` on, under exactly ``table.schema``.

        Only the part of the batch that has them is read.

        Raises:
            DataError: as :meth:`read`.
        """
        ...

    def count(self, table: FeatureTable, batch: str) -> int | None:
        """Rows of a batch; ``None`` if it is not there."""
        ...

    def forget(self, table: FeatureTable, batch: str) -> bool:
        """Removes a batch; whoever is reading it, reads it to its end.

        Returns:
            Whether it was there.
        """
        ...

    def uri(self, table: FeatureTable, batch: str) -> str:
        """The address under which a person finds the rows of the batch."""
        ...


def not_there(table: FeatureTable, batch: str) -> DataError:
    """The error of reading a batch that was never stored."""
    return DataError(
        "the features of this batch are not there",
        **table.ref(batch).facts(),
        do=f"materialise {table.asset} for this batch first",
    )


def check_stored(table: FeatureTable, batch: str, stored: pa.Schema) -> None:
    """Refuses a stored batch that lacks a column of the table, or has it with another type.

    Raises:
        DataError: names every such column.
    """
    misfits = _misfits(table.schema, stored)
    if misfits:
        raise DataError(
            "the stored features were prepared for another set of columns than the task has now",
            **table.ref(batch).facts(),
            column=", ".join(misfits),
            found="; ".join(f"{name}: {_type(stored, name)}" for name in misfits),
            expected="; ".join(f"{name}: {_type(table.schema, name)}" for name in misfits),
            do=f"materialise {table.asset} for this batch again",
        )


def check_fingerprints(table: FeatureTable, batch: str, stored: Mapping[str, str] | None) -> None:
    """Refuses a batch that was stored under another description of the task.

    Args:
        table: the expected table, with its fingerprints.
        batch: its name.
        stored: the fingerprints that are kept with the batch; ``None`` if none are.

    Raises:
        DataError: names the slice, both fingerprints and what to run.
    """
    do = f"materialise {table.asset} for this batch again"
    for which, expected in table.fingerprints.items():
        found = (stored or {}).get(which)
        if found is None:
            raise DataError(
                f"the stored features do not say which {which} of the task they were prepared under",
                **table.ref(batch).facts(),
                found="no fingerprint, as in what former versions of the pipeline stored",
                expected=f"fingerprint of {which}: {expected}",
                do=do,
            )
        if found != expected:
            raise DataError(
                f"the stored features were prepared under another {which} than the task has now",
                **table.ref(batch).facts(),
                found=f"fingerprint of {which}: {found}",
                expected=expected,
                do=do,
            )


def fitting(table: FeatureTable, batch: str, rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches of ``rows`` under ``table.schema``, each checked as it passes.

    Raises:
        DataError: another set or order of columns, a null where the schema has none, or a ``row_number`` that is
            null or not above the one before it.
    """
    if rows.schema.names != table.schema.names or _misfits(table.schema, rows.schema):
        raise DataError(
            "the prepared rows do not fit the feature table",
            **table.ref(batch).facts(),
            found=_columns(rows.schema),
            expected=_columns(table.schema),
        )
    required = {table.row_number, *(column.name for column in table.schema if not column.nullable)}
    last: int | None = None
    for records in rows:
        if records.num_rows == 0:
            continue
        for name in required:
            if records[name].null_count:
                raise DataError("a value is missing", **table.ref(batch).facts(), column=name, expected="no null")
        numbers = records[table.row_number]
        first = numbers[0].as_py()
        rising = pc.all(pc.less(numbers[:-1], numbers[1:]), min_count=0).as_py()
        if not rising or (last is not None and first <= last):
            raise DataError(
                "the prepared rows are out of order",
                **table.ref(batch).facts(),
                column=table.row_number,
                found=f"a row from {first} on whose number is not above the one before it",
                expected="strictly rising numbers",
            )
        last = numbers[-1].as_py()
        yield pa.RecordBatch.from_arrays(records.columns, schema=table.schema)


def _misfits(wanted: pa.Schema, given: pa.Schema) -> list[str]:
    return [column.name for column in wanted if _type(given, column.name) != column.type]


def _type(schema: pa.Schema, name: str) -> pa.DataType | str:
    place = schema.get_field_index(name)
    return "not there" if place < 0 else schema.field(place).type


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{column.name}: {column.type}" for column in schema)
