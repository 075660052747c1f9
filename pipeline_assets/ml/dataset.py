"""Arrow record batches as pandas frames for models: strings as category codes, numbers without copies."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.task.preparation import own_in_features
from pipeline_assets.task.spec import LABEL, ROW_ADDRESS, SPLIT_BY, SPLIT_HASH, WEIGHT, Features, TaskSpec

if TYPE_CHECKING:
    import pandas as pd

_ROW_NUMBER = ROW_ADDRESS[1]
_CODED = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class LabelledRows:
    """Rows that a model learns from or is evaluated on, in one order.

    Attributes:
        features: one column per feature, as :func:`scoring_frame` makes them.
        label: one value per row: int8, 0 or 1, for the kind ``binary``; int32 codes into ``classes`` for
            ``multiclass``; float64 for ``regression``.
        split_hash: int64 in [0, 2**53), one value per row: a hash of the row's key, or of its address without a key.
        split_by: the values by which a split by time orders rows, one per row; ``None`` where the task has none.
        classes: for ``multiclass``, the labels of the whole batch in order, also those that none of these rows has.
        weight: of each row in a fit: float64, finite and at least 0, one value per row; ``None`` where all weigh the
            same. Metrics are not weighted.
    """

    features: "pd.DataFrame"
    label: NDArray[Any]
    split_hash: NDArray[np.int64]
    split_by: pa.ChunkedArray | None = None
    classes: tuple[str, ...] = ()
    weight: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: NDArray[np.int64]) -> "LabelledRows":
        """The rows at these positions; of neighbours in their order the features are no copy, but share memory."""
        # In a file that is ordered by time, each side of a split by time is such rows.
        run = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1 and bool(np.all(np.diff(rows) == 1))
        return replace(
            self,
            features=self.features.iloc[rows[0] : rows[-1] + 1] if run else self.features.iloc[rows],
            label=self.label[rows],
            split_hash=self.split_hash[rows],
            split_by=None if self.split_by is None else self.split_by.take(pa.array(rows)),
            weight=None if self.weight is None else self.weight[rows],
        )

    @property
    def counting(self) -> "LabelledRows":
        """The rows that a fit counts: those with a weight above 0."""
        return self if self.weight is None or self.weight.all() else self.take(np.flatnonzero(self.weight))


@dataclass(frozen=True)
class TrainingFrame:
    """A batch ready to train on, ordered by row number, whatever the order of the store.

    Attributes:
        rows: the labelled rows.
        unlabelled: number of rows left out because they have no label.
    """

    rows: LabelledRows
    unlabelled: int


def scoring_frame(batch: pa.RecordBatch | pa.Table, features: Features) -> "pd.DataFrame":
    """The features of one batch, in the order of ``features.names``.

    Numeric columns are float64 with NaN for null; categorical ones are pandas categories: CatBoost then hashes each
    distinct string once instead of each cell, and predictions are bit-identical to those for plain strings.
    50 to 100 thousand rows per batch keep the fixed cost of a call and the memory use small.

    Raises:
        DataError: a feature is missing, has another type, or is categorical and null somewhere.
    """
    import pandas as pd

    _check_columns(batch.schema, features)
    columns: dict[str, NDArray[np.float64] | pd.Categorical] = {}
    for name in features.numeric:
        columns[name] = _numbers(batch.column(name))
    for name in features.categorical:
        columns[name] = _categories(name, batch.column(name))
    return pd.DataFrame(columns, columns=pd.Index(features.names), copy=False)


def training_frame(stream: pa.RecordBatchReader, task: TaskSpec) -> TrainingFrame:
    """Reads a whole feature stream of the stage train; strings become codes batch by batch, to save memory.

    Args:
        stream: ``row_number``, the features, ``label``, the split's hash, ``split_by`` where the task splits by time,
            and ``weight`` where it has weights, under the names that :func:`own_in_features` gives them.
        task: whose features they are.

    Raises:
        DataError: the stream's columns are not those of the task.
    """
    features = task.features
    by_time, weighted = task.training.validation.split == "time", task.training.weight is not None
    names = own_in_features(task)
    number, label, split_by = names[_ROW_NUMBER], names[LABEL], names[SPLIT_BY]
    own = (label, SPLIT_HASH, *((split_by,) if by_time else ()), *((names[WEIGHT],) if weighted else ()))
    wanted = (number, *features.names, *own)
    _check_columns(stream.schema, features, also=(number, *own))
    batches, unlabelled = [], 0
    for batch in stream:
        labelled = batch.select(wanted).filter(batch.column(label).is_valid())
        unlabelled += batch.num_rows - labelled.num_rows
        batches.append(_coded(labelled, features))
    empty = _coded(pa.RecordBatch.from_pylist([], stream.schema).select(wanted), features)
    table = pa.Table.from_batches(batches, empty.schema).unify_dictionaries()
    table = _by_row_number(table, number)
    labels, classes = _labels(table.column(label))
    rows = LabelledRows(
        features=scoring_frame(table, features),
        label=labels,
        split_hash=table.column(SPLIT_HASH).to_numpy(),
        split_by=table.column(split_by) if by_time else None,
        classes=classes,
        weight=_numbers(table.column(names[WEIGHT])) if weighted else None,
    )
    # Arrow keeps for itself what it has freed, and the fit needs memory.
    del table, batches
    pa.default_memory_pool().release_unused()
    return TrainingFrame(rows=rows, unlabelled=unlabelled)


def _labels(column: pa.ChunkedArray) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The labels as numbers; of labels that are text, codes into their sorted distinct values, which come second."""
    if not _is_text(column.type):
        return column.to_numpy(), ()
    classes = pc.unique(column).cast(pa.string()).sort()
    codes = pc.index_in(column.cast(pa.string()), value_set=classes)
    return codes.to_numpy().astype(np.int32), tuple(classes.to_pylist())


def _by_row_number(table: pa.Table, number: str) -> pa.Table:
    """Orders rows by number: a model depends on the order of its rows, and must not depend on a store's order."""
    numbers = table.column(number).to_numpy()
    return table if bool(np.all(numbers[1:] > numbers[:-1])) else table.take(np.argsort(numbers, kind="stable"))


def _check_columns(schema: pa.Schema, features: Features, also: tuple[str, ...] = ()) -> None:
    again = "materialise the stage's features again: the task has changed since they were made"
    for name in (*features.names, *also):
        if schema.get_field_index(name) < 0:
            raise DataError("the features lack a column", column=name, available=schema.names, do=again)
    for name in features.numeric:
        if not pa.types.is_floating(schema.field(name).type):
            found = schema.field(name).type
            raise DataError("a numeric feature is no number", column=name, found=found, expected="double", do=again)
    for name in features.categorical:
        if not _is_text(schema.field(name).type):
            found = schema.field(name).type
            raise DataError("a categorical feature is no text", column=name, found=found, expected="string", do=again)


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def _coded(batch: pa.RecordBatch, features: Features) -> pa.RecordBatch:
    """The batch with its categorical columns as codes into their distinct strings."""
    for name in features.categorical:
        batch = batch.set_column(batch.schema.get_field_index(name), name, _codes(batch.column(name)))
    return batch


def _codes(column: pa.Array) -> pa.DictionaryArray:
    if column.type == _CODED:
        return column
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return plain.cast(pa.string()).dictionary_encode()


def _numbers(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    values = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return np.asarray(values, dtype=np.float64)


def _categories(name: str, column: pa.Array | pa.ChunkedArray) -> "pd.Categorical":
    import pandas as pd

    if column.null_count:
        first = pc.index(column.is_null(), value=True).as_py()
        raise DataError(
            "a categorical feature is null",
            column=name,
            found=f"{column.null_count} nulls, the first in row {first} of {len(column)} read together",
            expected="no null: preparation names what is missing",
        )
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    coded = _codes(whole)
    return pd.Categorical.from_codes(coded.indices.to_numpy(), pd.Index(coded.dictionary.to_pylist(), dtype=object))
