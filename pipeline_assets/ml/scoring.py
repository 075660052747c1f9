"""Scoring: accepted rows and their features side by side, in; scores and the rows of the output file, out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline_assets.errors import DataError
from pipeline_assets.task import sql
from pipeline_assets.task.contract import Contract
from pipeline_assets.task.spec import ROW_ADDRESS

SCORES_SCHEMA = pa.schema(
    [
        pa.field("row_number", pa.int64(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("decision", pa.bool_(), nullable=False),
    ]
)

Probability = Callable[[pa.RecordBatch], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class ScoredRows:
    """Scores of some rows (:data:`SCORES_SCHEMA`), and those of the rows that the output file takes."""

    scores: pa.RecordBatch
    output: pa.RecordBatch


class Scorer:
    """Scores a batch with one model version.

    Args:
        contract: laid over the raw file: it says how the rows as they came get the types that ``where`` sees.
        batch: its name, for the row address.
        probability: the model: features of n rows to n probabilities.
        model_version: for the column of that name.
    """

    def __init__(self, contract: Contract, batch: str, probability: Probability, model_version: int) -> None:
        self._contract = contract
        self._batch = batch
        self._probability = probability
        self._model_version = model_version
        self._connection: duckdb.DuckDBPyConnection = sql.connect()

    def output_schema(self, raw: pa.Schema) -> pa.Schema:
        """The output file's columns, given those of the rows as they came (``row_number`` first)."""
        nothing = pa.RecordBatch.from_pylist([], schema=raw)
        return self._rows(nothing, np.empty(0)).output.schema

    def score(self, raw: pa.RecordBatchReader, features: pa.RecordBatchReader) -> Iterator[ScoredRows]:
        """Scores the rows of both streams, which must hold the same rows in the same order.

        Raises:
            DataError: they do not; or an expression of the output fails on a row.
        """
        for raw_rows, feature_rows in aligned(raw, features):
            yield self._rows(raw_rows, self._probability(feature_rows))

    def _rows(self, raw: pa.RecordBatch, probability: npt.NDArray[np.float64]) -> ScoredRows:
        scored = raw.append_column("probability", pa.array(probability, pa.float64()))
        decision = self._decision(scored)
        scores = pa.RecordBatch.from_arrays(
            [raw.column("row_number"), scored.column("probability"), decision], schema=SCORES_SCHEMA
        )
        kept = scored.append_column("decision", decision).filter(decision)
        version = pa.array(np.full(kept.num_rows, self._model_version, dtype=np.int64))
        return ScoredRows(scores, self._output(kept.append_column("model_version", version)))

    def _decision(self, scored: pa.RecordBatch) -> pa.BooleanArray:
        where = self._contract.task.output.where
        if where is None:
            return pa.array(np.ones(scored.num_rows, dtype=bool))
        typed = f"select {self._contract.typed}, probability from scored"
        return self._query(scored, f"select coalesce((\n{where}\n), false) as decision from ({typed})")[0]

    def _output(self, kept: pa.RecordBatch) -> pa.RecordBatch:
        """The file's own columns, then what the task appends, then the row address: the link is never lost."""
        output = self._contract.task.output
        address = [pa.array([self._batch] * kept.num_rows, pa.string()), kept.column("row_number")]
        if output.select is None:
            names = [*self._contract.raw, *output.append]
            columns = [kept.column(name) for name in names]
        else:
            names = list(output.select)
            wanted = ", ".join(f"(\n{expression}\n) as {sql.name(name)}" for name, expression in output.select.items())
            typed = f"select {self._contract.typed}, probability, decision, model_version from scored"
            columns = self._query(kept, f"select {wanted} from ({typed})")
        return pa.RecordBatch.from_arrays([*columns, *address], names=[*names, *ROW_ADDRESS])

    def _query(self, scored: pa.RecordBatch, query: str) -> list[pa.Array]:
        self._connection.register("scored", pa.Table.from_batches([scored]))
        try:
            table = self._connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise DataError("an expression of the output failed on a row", found=str(error).splitlines()[0]) from error
        finally:
            self._connection.unregister("scored")
        return [column.combine_chunks() for column in table.columns]


def aligned(left: pa.RecordBatchReader, right: pa.RecordBatchReader) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Cuts two streams of the same rows into pairs of equally long batches.

    Raises:
        DataError: the streams do not hold the same ``row_number`` in the same order.
    """
    ours, theirs = _filled(left), _filled(right)
    mine, other = next(ours, None), next(theirs, None)
    while mine is not None and other is not None:
        rows = min(mine.num_rows, other.num_rows)
        pair = mine.slice(0, rows), other.slice(0, rows)
        if not pair[0].column("row_number").equals(pair[1].column("row_number")):
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
