"""How much two samples of a column differ: the population stability index (PSI) over bins of the first sample.

``PSI = Σ (q - p) · ln(q / p)`` over the bins, where ``p`` is the share of the reference (train) in a bin and ``q`` that
of the others (predict). The bins are made from the reference only:

- numbers, dates and moments: ten bins of equal count, between the deciles of the reference; if it has at most ten
  distinct values, one bin per value, and one for values that it does not have;
- text and truth values: one bin for each of the reference's twenty most frequent values, and one for all others;
- always: one bin for missing values.

A share below 0.0001 counts as 0.0001, because an empty bin would make the index infinite. By the usual rule of thumb an
index below 0.1 is a small change, and one from 0.25 on is a large one. By chance alone, samples of n and m rows have an
index of about ``(bins - 1) · (1/n + 1/m)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import log

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_BINS = 10
_CATEGORIES = 20
_FLOOR = 1e-4
SOME, MUCH = 0.1, 0.25


class Shift(Enum):
    """An index in words."""

    LITTLE = "little"
    SOME = "some"
    MUCH = "much"

    @classmethod
    def of(cls, index: float) -> "Shift":
        """By the rule of thumb."""
        if index < SOME:
            return cls.LITTLE
        return cls.SOME if index < MUCH else cls.MUCH


@dataclass(frozen=True)
class Bin:
    """A bin and its share of both samples.

    Attributes:
        low: lower bound of a ``range``, not included; ``None`` if there is none, and for other kinds of bins.
        high: upper bound of a ``range``, included.
        value: of a bin of one value; ``None`` for missing values and for all others.
        kind: ``range``, ``value``, ``others`` or ``missing``.
    """

    kind: str
    reference: float
    others: float
    low: object = None
    high: object = None
    value: object = None


@dataclass(frozen=True)
class Stability:
    """Two samples of a column, compared.

    Attributes:
        index: the population stability index; 0 is the same.
        bins: in the order of values or, for text, of frequency; the missing ones last.
    """

    index: float
    bins: tuple[Bin, ...]

    @property
    def shift(self) -> Shift:
        """The index in words."""
        return Shift.of(self.index)


def comparable(kind: pa.DataType) -> bool:
    """Whether a column of this type can be compared: numbers, text, truth values, dates and times."""
    return not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_nested(kind))


def compare(reference: pa.Array, others: pa.Array) -> Stability:
    """Compares two samples of one column, of one type.

    Raises:
        ValueError: a sample is empty.
    """
    if not len(reference) or not len(others):
        raise ValueError("a sample without rows cannot be compared")
    kind = reference.type
    bins = _of_numbers if _is_ordered(kind) else _of_values
    return _index(bins(reference, others))


def _is_ordered(kind: pa.DataType) -> bool:
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(number or pa.types.is_temporal(kind))


def _index(bins: Sequence[Bin]) -> Stability:
    index = 0.0
    for each in bins:
        p, q = max(each.reference, _FLOOR), max(each.others, _FLOOR)
        index += (q - p) * log(q / p)
    return Stability(index, tuple(bins))


def _of_numbers(reference: pa.Array, others: pa.Array) -> list[Bin]:
    numbers, other_numbers = _numbers(reference), _numbers(others)
    distinct = np.unique(numbers)
    missing = Bin("missing", 1 - len(numbers) / len(reference), 1 - len(other_numbers) / len(others))
    if len(distinct) <= _BINS:
        return [*_of_distinct(distinct, numbers, other_numbers, reference, others), missing]
    # Deciles by integer arithmetic: numpy's quantiles round 0.3 of 100 rows up to row 31.
    ends = -(-np.arange(1, _BINS) * len(numbers) // _BINS)
    edges = np.unique(np.sort(numbers)[ends - 1])
    shares = [
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) / total
        for values, total in ((numbers, len(reference)), (other_numbers, len(others)))
    ]
    bounds = [None, *(_back(edge, reference.type) for edge in edges), None]
    ranges = [
        Bin("range", float(p), float(q), low=low, high=high)
        for p, q, low, high in zip(*shares, bounds[:-1], bounds[1:], strict=True)
    ]
    return [*ranges, missing]


def _of_distinct(
    distinct: npt.NDArray[np.float64],
    numbers: npt.NDArray[np.float64],
    other_numbers: npt.NDArray[np.float64],
    reference: pa.Array,
    others: pa.Array,
) -> list[Bin]:
    bins = [
        Bin(
            "value",
            float(np.count_nonzero(numbers == value) / len(reference)),
            float(np.count_nonzero(other_numbers == value) / len(others)),
            value=_back(value, reference.type),
        )
        for value in distinct
    ]
    unseen = float(np.count_nonzero(~np.isin(other_numbers, distinct)) / len(others))
    return [*bins, Bin("others", 0.0, unseen)]


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    """Values as float64 in the same order as the column's values; nulls and NaN are left out."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_temporal(column.type):
        column = column.cast(pa.int64())
    values = column.drop_null().cast(pa.float64(), safe=False).to_numpy()
    return np.asarray(values[~np.isnan(values)])


def _back(number: float, kind: pa.DataType) -> object:
    """A number of :func:`_numbers` as a value of the column."""
    if pa.types.is_date(kind):
        return pa.scalar(int(number), pa.int32()).cast(pa.date32()).as_py()
    if pa.types.is_time32(kind):
        return pa.scalar(int(number), pa.int32()).cast(kind).as_py()
    if pa.types.is_temporal(kind):
        return pa.scalar(int(number), pa.int64()).cast(kind).as_py()
    return int(number) if pa.types.is_integer(kind) else float(number)


def _of_values(reference: pa.Array, others: pa.Array) -> list[Bin]:
    counts, other_counts = _counts(reference), _counts(others)
    present = {value: count for value, count in counts.items() if value is not None}
    frequent = sorted(present, key=lambda value: (-present[value], value))[:_CATEGORIES]
    total, other_total = len(reference), len(others)
    bins = [
        Bin("value", counts[value] / total, other_counts.get(value, 0) / other_total, value=value) for value in frequent
    ]
    nulls = Bin("missing", counts.get(None, 0) / total, other_counts.get(None, 0) / other_total)
    rest = 1 - sum(each.reference for each in bins) - nulls.reference
    other_rest = 1 - sum(each.others for each in bins) - nulls.others
    return [*bins, Bin("others", max(rest, 0.0), max(other_rest, 0.0)), nulls]


def _counts(column: pa.Array) -> dict[str | bool | None, int]:
    counted = pc.value_counts(column)
    return {
        None if value is None else value: count
        for value, count in zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    }
