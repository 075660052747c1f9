"""Scoring: turns accepted rows and their features into scores and the rows of the output file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from pipeline_assets.errors import DataError
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.prediction import HALF, Prediction
from pipeline_assets.task import sql
from pipeline_assets.task.contract import Contract
from pipeline_assets.task.contract import raw as raw_name
from pipeline_assets.task.names import own_name
from pipeline_assets.task.spec import DECISION, MODEL_VERSION, ROW_ADDRESS, THRESHOLD, TaskSpec
from pipeline_assets.task.types import arrow_type, contract_name
from pipeline_assets.task.validation import appended

Predict = Callable[[pa.RecordBatch], Prediction]


def scores_schema(task: TaskSpec) -> pa.Schema:
    """The columns of a batch's scores: ``row_number``, the kind's score columns, ``decision`` where there is a rule."""
    types = {name: arrow_type(contract_name(duckdb_type)) for name, duckdb_type in kind_of(task).score_types.items()}
    if task.output.where is not None:
        types[DECISION] = pa.bool_()
    fields = [pa.field(name, kind, nullable=False) for name, kind in types.items()]
    return pa.schema([pa.field(ROW_ADDRESS[1], pa.int64(), nullable=False), *fields])


@dataclass(frozen=True)
class ScoredRows:
    """Scores of some rows (:func:`scores_schema`), and the rows for the output file."""

    scores: pa.RecordBatch
    output: pa.RecordBatch


class Scorer:
    """Scores a batch with one model version.

    Args:
        contract: applied to the raw file: it says how raw rows get the types that ``where`` uses.
        batch: its name, for the row address.
        predict: the model: takes features of n rows and gives their prediction.
        model_version: for the column of that name.
    """

    def __init__(self, contract: Contract, batch: str, predict: Predict, model_version: int) -> None:
        self._contract = contract
        self._task = contract.task
        self._kind = kind_of(contract.task)
        self._schema = scores_schema(contract.task)
        self._batch = batch
        self._predict = predict
        self._model_version = model_version
        self._connection: duckdb.DuckDBPyConnection = sql.connect()

    def output_schema(self, raw: pa.Schema) -> pa.Schema:
        """The output file's columns, by those of the raw rows (the row number first)."""
        nothing = pa.RecordBatch.from_pylist([], schema=raw)
        return self._rows(nothing, None).output.schema

    def score(self, raw: pa.RecordBatchReader, features: pa.RecordBatchReader) -> Iterator[ScoredRows]:
        """Scores the rows of both streams, which must hold the same rows in the same order.

        Raises:
            DataError: the rows differ, or an expression of the output fails on a row.
        """
        for raw_rows, feature_rows in aligned(raw, features):
            yield self._rows(raw_rows, self._predict(feature_rows))

    def _rows(self, raw: pa.RecordBatch, prediction: Prediction | None) -> ScoredRows:
        types = {name: arrow_type(contract_name(kind)) for name, kind in self._kind.score_types.items()}
        columns = (
            [pa.nulls(0, kind) for kind in types.values()] if prediction is None else self._kind.columns(prediction)
        )
        own = dict(zip(types, columns, strict=True))
        if self._kind.objective == "binary":
            own[THRESHOLD] = pa.array(np.full(raw.num_rows, HALF if prediction is None else prediction.threshold))
        where = self._task.output.where
        if where is not None:
            (own[DECISION],) = self._evaluate(raw, own, {"output.where": f"coalesce((\n{where}\n), false)"})
        scored = [own[name] for name in self._schema.names[1:]]
        scores = pa.RecordBatch.from_arrays([raw.column(0), *scored], schema=self._schema)
        kept = raw
        if where is not None:
            decision = own[DECISION]
            kept, own = raw.filter(decision), {name: values.filter(decision) for name, values in own.items()}
        own[MODEL_VERSION] = pa.array(np.full(kept.num_rows, self._model_version, dtype=np.int64))
        return ScoredRows(scores, self._output(kept, own))

    def _output(self, kept: pa.RecordBatch, own: Mapping[str, pa.Array]) -> pa.RecordBatch:
        """The file's columns, then the columns that the task appends, then always the row address."""
        output = self._task.output
        if output.select is None:
            names = list(self._contract.raw)
            columns = [kept.column(place) for place in range(1, kept.num_columns)]
            by_expression = {own_name(name, self._task.columns_of("predict")): name for name in own}
            for written in appended(self._task):
                columns.append(own[by_expression[written]])
                names.append(own_name(by_expression[written], names))
        else:
            names = list(output.select)
            shown = {f"output.select.{name}": expression for name, expression in output.select.items()}
            columns = self._evaluate(kept, own, shown)
        taken = [*names, *self._task.columns_of("predict")]
        address = [pa.array([self._batch] * kept.num_rows, pa.string()), kept.column(0)]
        named = [own_name(name, taken if output.select is None else names) for name in ROW_ADDRESS]
        return pa.RecordBatch.from_arrays([*columns, *address], names=[*names, *named])

    def _evaluate(
        self, raw: pa.RecordBatch, own: Mapping[str, pa.Array], expressions: Mapping[str, str]
    ) -> list[pa.Array]:
        """The values of expressions over the typed raw columns and the pipeline's own, in the order given.

        Args:
            raw: the raw rows, the row number first.
            own: the pipeline's own columns by their usual names.
            expressions: SQL by its key in the task.
        """
        places = {name: f"__own_{place}" for place, name in enumerate(own)}
        scored = pa.RecordBatch.from_arrays(
            [*raw.columns[1:], *own.values()],
            names=[*(raw_name(place) for place in range(len(self._contract.raw))), *places.values()],
        )
        taken = self._task.columns_of("predict")
        renamed = ", ".join(f"{place} as {sql.name(own_name(name, taken))}" for name, place in places.items())
        typed = f"select {self._contract.typed_raw}, {renamed} from scored"
        wanted = ", ".join(f'(\n{text}\n) as "{place}"' for place, text in enumerate(expressions.values()))
        try:
            return self._query(scored, f"select {wanted} from ({typed})")
        except duckdb.Error as error:
            raise self._failure(raw, scored, typed, expressions) from error

    def _query(self, scored: pa.RecordBatch, query: str) -> list[pa.Array]:
        self._connection.register("scored", pa.Table.from_batches([scored]))
        try:
            table = self._connection.sql(query).to_arrow_table()
        finally:
            self._connection.unregister("scored")
        return [column.combine_chunks() for column in table.columns]

    def _failure(
        self, raw: pa.RecordBatch, scored: pa.RecordBatch, typed: str, expressions: Mapping[str, str]
    ) -> DataError:
        """Which expression fails, and its first failing row: found by bisection, because DuckDB does not say."""
        for key, expression in expressions.items():
            query = f"select (\n{expression}\n) as value from ({typed})"
            said = self._error_of(scored, query)
            if said is None:
                continue
            first, count = 0, scored.num_rows
            while count > 1:
                half = count // 2
                if self._error_of(scored.slice(first, half), query) is None:
                    first, half = first + half, count - half
                count = half
            said = self._error_of(scored.slice(first, 1), query) or said
            return DataError(
                f"the expression {key} fails on a row",
                column=key,
                found=f"row {raw.column(0)[first].as_py()}: {said}",
                expected=f"a value for every row from {self._written(key)}",
                do="guard the expression, for example with try(...) or a case when",
            )
        return DataError("an expression of the output failed", found=", ".join(expressions))

    def _written(self, key: str) -> str:
        output = self._task.output
        return str(output.where) if key == "output.where" else (output.select or {})[key.removeprefix("output.select.")]

    def _error_of(self, scored: pa.RecordBatch, query: str) -> str | None:
        try:
            self._query(scored, query)
        except duckdb.Error as error:
            return str(error).splitlines()[0]
        return None


def aligned(left: pa.RecordBatchReader, right: pa.RecordBatchReader) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Cuts two streams of the same rows into pairs of equally long batches; the row number comes first in both.

    Raises:
        DataError: the streams do not hold the same row numbers in the same order.
    """
    ours, theirs = _filled(left), _filled(right)
    mine, other = next(ours, None), next(theirs, None)
    while mine is not None and other is not None:
        rows = min(mine.num_rows, other.num_rows)
        pair = mine.slice(0, rows), other.slice(0, rows)
        if not pair[0].column(0).equals(pair[1].column(0)):
            raise _other_rows()
        yield pair
        mine = mine.slice(rows) if rows < mine.num_rows else next(ours, None)
        other = other.slice(rows) if rows < other.num_rows else next(theirs, None)
    if mine is not None or other is not None:
        raise _other_rows()


def _filled(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    return (batch for batch in batches if batch.num_rows)


def _other_rows() -> DataError:
    return DataError(
        "the stored features are not those of the checked file",
        found="other row numbers than the file's accepted rows",
        do="materialise the features of the batch again",
    )
