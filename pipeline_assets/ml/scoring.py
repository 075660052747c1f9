"""Scoring: turns features into scores and, with the rows as they came, into the rows of the output file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from pipeline_assets.errors import DataError
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.task import sql
from pipeline_assets.task.contract import Contract
from pipeline_assets.task.contract import raw as raw_name
from pipeline_assets.task.expressions import cursor, read_named
from pipeline_assets.task.names import own_name
from pipeline_assets.task.spec import DECISION, MODEL_VERSION, ROW_ADDRESS, THRESHOLD, TaskSpec
from pipeline_assets.task.types import arrow_type, contract_name
from pipeline_assets.task.validation import appended, output_types, rule_types, stage_types

Predict = Callable[[pa.RecordBatch], Prediction]


def scores_schema(task: TaskSpec) -> pa.Schema:
    """The columns of a batch's scores: ``row_number``, the kind's score columns, ``decision`` where there is a rule."""
    types = _score_types(task)
    if task.output.where is not None:
        types[DECISION] = pa.bool_()
    fields = [pa.field(name, kind, nullable=False) for name, kind in types.items()]
    return pa.schema([pa.field(ROW_ADDRESS[1], pa.int64(), nullable=False), *fields])


@dataclass(frozen=True)
class ScoredRows:
    """Scores of some rows.

    Attributes:
        scores: of all of them, see :func:`scores_schema`.
        kept: of those that go out: the row number, then all of the pipeline's own columns that an output may show.
    """

    scores: pa.RecordBatch
    kept: pa.RecordBatch


class Scorer:
    """Scores a batch with one model version. Two threads may use it: one :meth:`score`, the other :meth:`output`.

    Args:
        contract: applied to the raw file: it says how raw rows get the types that expressions use.
        batch: its name, for the row address.
        predict: the model: takes features of n rows and gives their prediction.
        model_version: for the column of that name.

    Attributes:
        deciding_columns: the raw columns that ``output.where`` uses.
        output_columns: the raw columns that the output file needs.
    """

    def __init__(self, contract: Contract, batch: str, predict: Predict, model_version: int) -> None:
        self._task = task = contract.task
        self._kind = kind_of(task)
        self._scores, self._own = scores_schema(task), _own_schema(task)
        self._batch, self._predict, self._model_version = batch, predict, model_version
        where, select = task.output.where, task.output.select
        self._where = _Expressions(contract, {} if where is None else {"output.where": where}, rule_types(task))
        shown = {f"output.select.{name}": expression for name, expression in (select or {}).items()}
        self._select = _Expressions(contract, shown, output_types(task))
        self.deciding_columns: tuple[str, ...] = self._where.columns
        self.output_columns: tuple[str, ...] = contract.raw if select is None else self._select.columns

    def score(self, features: pa.RecordBatch, raw: pa.RecordBatch | None = None) -> ScoredRows:
        """Scores some rows.

        Args:
            features: the row number first.
            raw: the same rows as they came, the row number first, then :attr:`deciding_columns`; not needed without.

        Raises:
            DataError: ``output.where`` fails on a row.
        """
        count, numbers = features.num_rows, features.column(0)
        prediction = self._predict(features)
        own = dict(zip(self._kind.score_types, self._kind.columns(prediction), strict=True))
        if THRESHOLD in self._own.names:
            own[THRESHOLD] = pa.array(np.full(count, prediction.threshold))
        if DECISION in self._own.names:
            came = pa.record_batch({ROW_ADDRESS[1]: numbers}) if raw is None else raw
            (decided,) = self._where.values(came, own)
            own[DECISION] = decided.fill_null(fill_value=False)
        own[MODEL_VERSION] = pa.array(np.full(count, self._model_version, dtype=np.int64))
        rows = pa.RecordBatch.from_arrays([numbers, *own.values()], schema=self._own)
        scores = pa.RecordBatch.from_arrays([rows.column(name) for name in self._scores.names], schema=self._scores)
        return ScoredRows(scores, rows.filter(own[DECISION]) if DECISION in own else rows)

    def output_schema(self, raw: pa.Schema) -> pa.Schema:
        """The output file's columns, by those of the raw rows (the row number, then :attr:`output_columns`)."""
        own, came = (pa.RecordBatch.from_pylist([], schema=schema) for schema in (self._own, raw))
        return self.output(own, came).schema

    def output(self, kept: pa.RecordBatch, raw: pa.RecordBatch) -> pa.RecordBatch:
        """Rows of the output file: their columns, then those that the task appends, then always the row address.

        Args:
            kept: some of the rows that :meth:`score` kept.
            raw: the same rows as they came, the row number first, then :attr:`output_columns`.

        Raises:
            DataError: the rows are not the same, or an expression of ``output.select`` fails on one.
        """
        if not raw.column(0).equals(kept.column(0)):
            raise other_rows()
        own = dict(zip(kept.schema.names[1:], kept.columns[1:], strict=True))
        of_contract = self._task.columns_of("predict")
        if self._task.output.select is None:
            names, columns = list(self.output_columns), raw.columns[1:]
            by_expression = {own_name(name, of_contract): name for name in own}
            for written in appended(self._task):
                columns.append(own[by_expression[written]])
                names.append(own_name(by_expression[written], names))
            taken = [*names, *of_contract]
        else:
            names = taken = list(self._task.output.select)
            columns = self._select.values(raw, own)
        address = [pa.repeat(pa.scalar(self._batch, pa.string()), kept.num_rows), kept.column(0)]
        named = [own_name(name, taken) for name in ROW_ADDRESS]
        return pa.RecordBatch.from_arrays([*columns, *address], names=[*names, *named])


class _Expressions:
    """Expressions over typed raw columns and the pipeline's own.

    Args:
        contract: says how raw columns get their types.
        written: SQL by its key in the task.
        own_types: DuckDB types of the pipeline's own columns by their names in expressions.

    Attributes:
        columns: the raw columns that they use.
    """

    def __init__(self, contract: Contract, written: Mapping[str, str], own_types: Mapping[str, str]) -> None:
        self._contract, self._written = contract, written
        self._connection = cursor()
        raw = stage_types(contract.task, "predict")
        used = {name for one in read_named(written, {**raw, **own_types}).values() for name in one.columns}
        self.columns: tuple[str, ...] = tuple(name for name in raw if name in used)

    def values(self, raw: pa.RecordBatch, own: Mapping[str, pa.Array]) -> list[pa.Array]:
        """The values of the expressions, in their order.

        Args:
            raw: the row number, then :attr:`columns`.
            own: the pipeline's own columns by their usual names.

        Raises:
            DataError: an expression fails on a row.
        """
        places = {name: f"__own_{place}" for place, name in enumerate(own)}
        came = [raw_name(self._contract.raw.index(name)) for name in self.columns]
        given = pa.RecordBatch.from_arrays([*raw.columns[1:], *own.values()], names=[*came, *places.values()])
        taken = self._contract.task.columns_of("predict")
        renamed = (f"{place} as {sql.name(own_name(name, taken))}" for name, place in places.items())
        typed = f"select {', '.join([*self._contract.typed(self.columns), *renamed])} from given"
        wanted = ", ".join(f'(\n{text}\n) as "{place}"' for place, text in enumerate(self._written.values()))
        try:
            return self._query(given, f"select {wanted} from ({typed})")
        except duckdb.Error as error:
            raise self._failure(raw.column(0), given, typed) from error

    def _query(self, given: pa.RecordBatch, query: str) -> list[pa.Array]:
        self._connection.register("given", pa.Table.from_batches([given]))
        try:
            table = self._connection.sql(query).to_arrow_table()
        finally:
            self._connection.unregister("given")
        return [column.combine_chunks() for column in table.columns]

    def _failure(self, numbers: pa.Array, given: pa.RecordBatch, typed: str) -> DataError:
        """Which expression fails, and its first failing row: found by bisection, because DuckDB does not say."""
        for key, expression in self._written.items():
            query = f"select (\n{expression}\n) as value from ({typed})"
            said = self._error_of(given, query)
            if said is None:
                continue
            first, count = 0, given.num_rows
            while count > 1:
                half = count // 2
                if self._error_of(given.slice(first, half), query) is None:
                    first, half = first + half, count - half
                count = half
            said = self._error_of(given.slice(first, 1), query) or said
            return DataError(
                f"the expression {key} fails on a row",
                column=key,
                found=f"row {numbers[first].as_py()}: {said}",
                expected=f"a value for every row from {expression}",
                do="guard the expression, for example with try(...) or a case when",
            )
        return DataError("an expression of the output failed", found=", ".join(self._written))

    def _error_of(self, given: pa.RecordBatch, query: str) -> str | None:
        try:
            self._query(given, query)
        except duckdb.Error as error:
            return str(error).splitlines()[0]
        return None


def _score_types(task: TaskSpec) -> dict[str, pa.DataType]:
    return {name: arrow_type(contract_name(duckdb_type)) for name, duckdb_type in kind_of(task).score_types.items()}


def _own_schema(task: TaskSpec) -> pa.Schema:
    """The row number and the pipeline's own columns that an output may show, by their usual names."""
    own = _score_types(task)
    if kind_of(task).objective == "binary":
        own[THRESHOLD] = pa.float64()
    if task.output.where is not None:
        own[DECISION] = pa.bool_()
    return pa.schema({ROW_ADDRESS[1]: pa.int64(), **own, MODEL_VERSION: pa.int64()})


def other_rows() -> DataError:
    """The error of features, or of rows read again, that are not those of the file's accepted rows."""
    return DataError(
        "the stored features are not those of the checked file",
        found="other row numbers than the file's accepted rows",
        do="materialise the features of the batch again",
    )
