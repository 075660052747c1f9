"""Scores a batch: features, predictions, raw rows and output, each made in a thread while the next one is used."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline_assets.engine.duckdb.accepted import RawBatch, RowsByNumber
from pipeline_assets.ml.scoring import ScoredRows, Scorer, other_rows
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.prefetch import prefetch
from pipeline_assets.task.contract import Contract

# A call of a model costs the same whatever the rows, so a store's small pages are scored together.
_ROWS_TOGETHER = 65_536
# Where few rows are kept, those of so many scored ones are read together: a query costs as much as thousands of rows.
_ROWS_PER_QUERY = 4 * _ROWS_TOGETHER
_BYTES_TOGETHER = 64 << 20

# Rows of one of the batch's files.
Written = tuple[Area, pa.RecordBatch]


@dataclass(frozen=True)
class Scoring:
    """The scoring of one batch.

    Attributes:
        rows: of the scores, which hold every accepted row, and of the output file, both in file order.
        output_schema: of the output file.
    """

    rows: Iterator[Written] = field(repr=False)
    output_schema: pa.Schema


@contextmanager
def scoring(
    raw: RawBatch, features: Iterable[pa.RecordBatch], scorer_of: Callable[[Contract], Scorer]
) -> Iterator[Scoring]:
    """Opens the batch and scores it while its rows are taken.

    Of the rows as they came, only those are read that go out, and the columns that ``output.where`` uses.

    Args:
        raw: the batch.
        features: of all accepted rows, in file order, the row number first.
        scorer_of: by the contract as applied to the file.

    Raises:
        ContractError: the file is not the one that was checked.
        DataError: the features are not those of the accepted rows, or an expression of the output fails on a row;
            the rows raise it.
    """
    with raw.rows() as going_out, ExitStack() as opened:
        scorer = scorer_of(going_out.contract)
        deciding = opened.enter_context(raw.rows()) if scorer.deciding_columns else None
        scored = opened.enter_context(closing(prefetch(_scored(_numbered(features, raw), scorer, deciding))))
        made = opened.enter_context(closing(prefetch(_with_rows(scored, scorer, going_out))))
        yield Scoring(_written(made, scorer), scorer.output_schema(going_out.schema(scorer.output_columns)))


def _numbered(features: Iterable[pa.RecordBatch], raw: RawBatch) -> Iterator[pa.RecordBatch]:
    """The features, some thousands of rows together; they must be those of the accepted rows."""
    done = 0
    for batch in _together(features, _ROWS_TOGETHER):
        numbers = pa.array(raw.accepted(done, batch.num_rows))
        done += batch.num_rows
        if done > raw.manifest.accepted or not batch.column(0).equals(numbers):
            raise other_rows()
        yield batch
    if done != raw.manifest.accepted:
        raise other_rows()


def _together(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of at least so many rows or bytes, but for the last one."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows:
            waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= rows or sum(each.nbytes for each in waiting) >= _BYTES_TOGETHER:
            yield _one(waiting)
            waiting = []
    if waiting:
        yield _one(waiting)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _scored(features: Iterable[pa.RecordBatch], scorer: Scorer, deciding: RowsByNumber | None) -> Iterator[ScoredRows]:
    for batch in features:
        came = None
        if deciding is not None:
            came = _one(list(deciding.take(_numbers(batch), scorer.deciding_columns)))
        yield scorer.score(batch, came)


def _with_rows(
    scored: Iterable[ScoredRows], scorer: Scorer, raw: RowsByNumber
) -> Iterator[pa.RecordBatch | tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The scores, and between them the kept rows of the last ones: their own columns and they as they came."""
    waiting, rows = list[pa.RecordBatch](), 0

    def read() -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        kept, at = _one(waiting), 0
        for came in raw.take(_numbers(kept), scorer.output_columns):
            yield kept.slice(at, came.num_rows), came
            at += came.num_rows
        if at != kept.num_rows:
            raise other_rows()

    for some in scored:
        yield some.scores
        waiting.append(some.kept)
        rows += some.scores.num_rows
        # The output's writer works longest where many rows are kept, so it gets them soon.
        many = sum(each.num_rows for each in waiting) >= _ROWS_TOGETHER
        if many or rows >= _ROWS_PER_QUERY or sum(each.nbytes for each in waiting) >= _BYTES_TOGETHER:
            yield from read()
            waiting, rows = [], 0
    if waiting:
        yield from read()


def _written(
    made: Iterable[pa.RecordBatch | tuple[pa.RecordBatch, pa.RecordBatch]], scorer: Scorer
) -> Iterator[Written]:
    for one in made:
        if isinstance(one, tuple):
            yield Area.OUTPUT, scorer.output(*one)
        else:
            yield Area.SCORES, one


def _numbers(rows: pa.RecordBatch) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = rows.column(0).to_numpy()
    return numbers
