"""Which labelled rows judge the model: the latest ones, or a seeded random share."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.task.spec import SPLIT_BY, Validation


@dataclass(frozen=True)
class Split:
    """Positions of the rows of either side, ascending; together they are all rows, and neither side is empty.

    Attributes:
        boundary: the first value that judges, where the split is by time.
    """

    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    boundary: str | None = None


def split(rows: LabelledRows, validation: Validation, seed: int) -> Split:
    """Splits labelled rows as the task says.

    By time, rows of equal value stay together, so that a day is never on both sides; the cut is the one
    between two values that comes nearest to ``fraction``.

    Raises:
        DataError: one side would be empty, or a labelled row has no value to order by.
    """
    return _by_time(rows, validation) if validation.split == "time" else _by_share(len(rows), validation, seed)


def _by_share(count: int, validation: Validation, seed: int) -> Split:
    judging = round(count * validation.fraction)
    if not 0 < judging < count:
        raise DataError(
            "too few labelled rows to train and to validate",
            found=f"{count} rows, {judging} of them to validate",
            expected=f"rows on both sides of a share of {validation.fraction}",
        )
    shuffled = np.random.default_rng(seed).permutation(count)
    return Split(training=np.sort(shuffled[judging:]), validation=np.sort(shuffled[:judging]))


def _by_time(rows: LabelledRows, validation: Validation) -> Split:
    if rows.split_by is None:
        raise ValueError("a split by time needs rows that were read with split_by")
    ranks = _ranks(rows.split_by, str(validation.column))
    up_to = np.cumsum(np.bincount(ranks))
    if len(up_to) < 2:  # noqa: PLR2004 - a cut lies between two values
        raise DataError(
            "a split by time finds one value only, so either side would be empty",
            column=validation.column,
            found=f"{rows.split_by[0].as_py()} in all {len(rows)} labelled rows",
            expected="at least two values",
            do="split by another column, or by share",
        )
    # Rows before each possible cut against those asked for; of two equally near cuts the earlier is taken.
    cut = int(np.argmin(np.abs(up_to[:-1] - len(rows) * (1 - validation.fraction)))) + 1
    judging = ranks >= cut
    return Split(
        training=np.flatnonzero(~judging),
        validation=np.flatnonzero(judging),
        boundary=str(rows.split_by[int(np.argmax(ranks == cut))].as_py()),
    )


def _ranks(values: pa.ChunkedArray, column: str) -> NDArray[np.int64]:
    """The values' places among the distinct values, from 0."""
    missing = pc.is_null(values, nan_is_null=True)
    if pc.any(missing).as_py():
        raise DataError(
            "labelled rows have no value to split by",
            column=column,
            found=f"{pc.sum(missing).as_py()} of {len(values)} rows without {SPLIT_BY}",
            expected="a value in every row that has a label",
        )
    ranks = pc.rank(values, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64)
    return np.asarray(ranks - 1)
