"""How far two samples of a column are apart: the Jensen-Shannon distance over bins of the first sample, less chance.

With the shares ``p`` of the reference and ``q`` of the others in each bin, and ``m = (p + q) / 2``, the divergence is
``Σ p · log2(p / m) / 2 + Σ q · log2(q / m) / 2``; the distance is its root, from 0 (the same shares) to 1 (no bin in
common). A shift of normally distributed numbers by a quarter of their standard deviation has a distance of 0.1, one by
half of it 0.2. Empty bins need no correction, as they do in the population stability index.

The bins are made from the reference only:

- numbers, truth values, dates and moments: ten bins of equal count, between the deciles of the reference; if it has at
  most ten distinct values, one bin per value, and one for values that it does not have;
- scores: see :meth:`Bins.of_scores`;
- text: one bin for each of the reference's twenty most frequent values, and one for all others;
- always: one bin for missing values.

Two samples of the same distribution differ by chance, small ones more than large ones: the divergence of samples of n
and r rows is then ``(1/n + 1/r) / (8 ln 2)`` times a number that is chi-squared distributed with one degree of freedom
less than there are bins. The mean of that is subtracted before the root is taken, so that the distance does not depend
on how many rows there are; its spread says from which distance on chance is no explanation (:attr:`Difference.chance`).
The divergence of counts is half of G of the G-test: Wilks (1938), https://doi.org/10.1214/aoms/1177732360.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import log, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Counts = npt.NDArray[np.int64]

_BINS = 10
_CATEGORIES = 20
_MIDDLE = (0.01, 0.99)  # quantiles between which scores are binned
# Of the chi-squared distribution: beyond so many standard deviations from the mean chance seldom goes, even if twenty
# columns are looked at.
_DEVIATIONS = 5
_ROWS_TOGETHER = 1 << 15  # their values stay in a processor's cache
SOME, MUCH = 0.1, 0.2


class Shift(Enum):
    """A distance in words."""

    LITTLE = "little"
    SOME = "some"
    MUCH = "much"

    @classmethod
    def of(cls, distance: float) -> "Shift":
        """Some from 0.1 on, much from 0.2 on."""
        if distance < SOME:
            return cls.LITTLE
        return cls.SOME if distance < MUCH else cls.MUCH


@dataclass(frozen=True)
class Bins:
    """How the values of a column are counted.

    Attributes:
        form: ``ranges``: numbers between bounds; ``numbers``: a bin per number; ``texts``: a bin per text.
        at: of ``ranges``, the upper bounds, included, of all bins but the last one, ascending; otherwise the values.
    """

    form: Literal["ranges", "numbers", "texts"]
    at: tuple[float, ...] | tuple[str, ...]

    @classmethod
    def of(cls, reference: pa.Array) -> "Bins":
        """The bins of a reference."""
        if not _is_ordered(reference.type):
            return cls("texts", _frequent(reference))
        numbers = _numbers(reference)
        numbers = numbers[np.isfinite(numbers)]  # the infinite ones are beyond every bound
        distinct = np.unique(numbers)
        if len(distinct) <= _BINS:
            return cls("numbers", tuple(distinct.tolist()))
        # Deciles by integer arithmetic: numpy's quantiles round 0.3 of 100 rows up to row 31.
        ends = -(-np.arange(1, _BINS) * len(numbers) // _BINS)
        return cls("ranges", tuple(np.unique(np.sort(numbers)[ends - 1]).tolist()))

    @classmethod
    def of_scores(cls, reference: pa.Array) -> "Bins":
        """The bins of a model's scores: of numbers, ten steps of equal width over the middle 98 % of the reference.

        Models that were fitted to slightly other rows give slightly other scores. Where many scores lie close together,
        so do deciles, which would take that for drift.
        """
        if not pa.types.is_floating(reference.type):
            return cls.of(reference)
        numbers = _numbers(reference)
        numbers = numbers[np.isfinite(numbers)]
        low, high = np.quantile(numbers, _MIDDLE) if len(numbers) else (0.0, 0.0)
        return cls("ranges", tuple(np.linspace(low, high, _BINS + 1)[1:-1].tolist()) if low < high else ())

    def count(self, column: pa.Array) -> Counts:
        """Rows by bin: the bins of :attr:`at`, then that of all other values (or above the last bound), then missing.

        Args:
            column: of the reference's type; text may be dictionary-encoded.
        """
        if self.form == "texts":
            return self._count_texts(column)
        numbers = _numbers(column)
        counts = np.zeros(len(self.at) + 2, np.int64)
        for start in range(0, len(numbers), _ROWS_TOGETHER):
            counts[:-1] += self._count_numbers(numbers[start : start + _ROWS_TOGETHER])
        counts[-1] = len(column) - counts.sum()
        return counts

    def _count_numbers(self, numbers: npt.NDArray[np.float64]) -> Counts:
        """By comparing all numbers with each bound: ten times as fast as searching the bounds for each number."""
        present = np.count_nonzero(numbers == numbers)  # noqa: PLR0124 - NaN is not
        if self.form == "ranges":
            above = [np.count_nonzero(numbers > float(bound)) for bound in self.at]
            return -np.diff([present, *above, 0])
        equal = [np.count_nonzero(numbers == value) for value in self.at]
        return np.array([*equal, present - sum(equal)], np.int64)

    def _count_texts(self, column: pa.Array) -> Counts:
        known, others = pa.array(self.at, pa.string()), len(self.at)
        if pa.types.is_dictionary(column.type) and not column.dictionary.null_count:
            places = pc.index_in(_text(column.dictionary), value_set=known).fill_null(others).to_numpy()
            present = places[column.indices.drop_null().to_numpy()]
        else:
            present = pc.index_in(_text(column).drop_null(), value_set=known).fill_null(others).to_numpy()
        counts = np.bincount(present, minlength=others + 2).astype(np.int64)
        counts[-1] = len(column) - len(present)
        return counts


@dataclass(frozen=True)
class Reference:
    """A column as it was at first.

    Attributes:
        counts: rows by bin, as :meth:`Bins.count` gives them.
    """

    bins: Bins
    counts: tuple[int, ...]

    @classmethod
    def of(cls, column: pa.Array, bins: Bins | None = None) -> "Reference":
        """Of a column's values, by its own bins or by others."""
        bins = Bins.of(column) if bins is None else bins
        return cls(bins, tuple(bins.count(column).tolist()))


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
class Difference:
    """Two samples of a column, compared.

    Attributes:
        distance: Jensen-Shannon distance, less what is expected by chance; 0 is the same.
        chance: by chance alone the distance seldom reaches this; it is large where there are few rows.
        reference_rows: of the first sample.
        rows: of the other one.
        bins: in the order of values or, for text, of frequency; the missing ones last.
    """

    distance: float
    chance: float
    reference_rows: int
    rows: int
    bins: tuple[Bin, ...]

    @property
    def shift(self) -> Shift:
        """The distance in words."""
        return Shift.of(self.distance)

    def reached_from(self, limit: float | None) -> float | None:
        """The distance from which on a limit is reached: never below what chance alone may do."""
        return None if limit is None else max(limit, self.chance)

    def reaches(self, limit: float | None) -> bool:
        """Whether the distance is a limit or more, and not by chance; never without a limit."""
        return (least := self.reached_from(limit)) is not None and self.distance >= least


def comparable(kind: pa.DataType) -> bool:
    """Whether a column of this type can be compared: numbers, text, truth values, dates and times."""
    return not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_nested(kind))


def count_rows(bins: Mapping[str, Bins], batches: Iterable[pa.RecordBatch]) -> dict[str, Counts]:
    """All rows of a stream by the bins of some columns, in one pass."""
    counts = {name: np.zeros(len(each.at) + 2, np.int64) for name, each in bins.items()}
    for batch in batches:
        for name, each in bins.items():
            counts[name] += each.count(batch.column(name))
    return counts


def difference(reference: Reference, counts: Sequence[int] | Counts, kind: pa.DataType) -> Difference:
    """Compares counted rows with the reference by whose bins they were counted.

    Args:
        reference: of the column.
        counts: rows by bin.
        kind: the column's type, which bounds and values get.

    Raises:
        ValueError: a sample is empty.
    """
    before, after = np.array(reference.counts, np.int64), np.array(counts, np.int64)
    rows_before, rows_after = int(before.sum()), int(after.sum())
    if not rows_before or not rows_after:
        raise ValueError("a sample without rows cannot be compared")
    p, q = before / rows_before, after / rows_after
    degrees = np.count_nonzero(before + after) - 1
    unit = (1 / rows_before + 1 / rows_after) / (8 * log(2))
    return Difference(
        distance=sqrt(max(_divergence(p, q) - degrees * unit, 0.0)),
        chance=sqrt(_DEVIATIONS * sqrt(2 * degrees) * unit),
        reference_rows=rows_before,
        rows=rows_after,
        bins=tuple(_named(reference.bins, p, q, kind)),
    )


def compare(reference: pa.Array, others: pa.Array) -> Difference:
    """Compares two samples of one column, of one type.

    Raises:
        ValueError: a sample is empty.
    """
    known = Reference.of(reference)
    return difference(known, known.bins.count(others), reference.type)


def _divergence(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    """The Jensen-Shannon divergence in bits."""
    total = 0.0
    for share, other in ((p, q), (q, p)):
        some = share > 0
        total += float(np.sum(share[some] * np.log2(2 * share[some] / (share[some] + other[some])))) / 2
    return total


def _named(bins: Bins, p: npt.NDArray[np.float64], q: npt.NDArray[np.float64], kind: pa.DataType) -> Iterable[Bin]:
    shares = [(float(before), float(after)) for before, after in zip(p, q, strict=True)]
    at = [value if isinstance(value, str) else _back(value, kind) for value in bins.at]
    if bins.form == "ranges":
        for both, low, high in zip(shares, [None, *at], [*at, None], strict=False):
            yield Bin("range", *both, low=low, high=high)
    else:
        for both, value in zip(shares, at, strict=False):
            yield Bin("value", *both, value=value)
        yield Bin("others", *shares[-2])
    yield Bin("missing", *shares[-1])


def _is_ordered(kind: pa.DataType) -> bool:
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(number or pa.types.is_boolean(kind) or pa.types.is_temporal(kind))


def _frequent(reference: pa.Array) -> tuple[str, ...]:
    counted = pc.value_counts(reference)
    values, counts = counted.field("values"), counted.field("counts")
    plain = _text(values.dictionary_decode() if pa.types.is_dictionary(values.type) else values)
    pairs = [
        (-count, text) for text, count in zip(plain.to_pylist(), counts.to_pylist(), strict=True) if text is not None
    ]
    return tuple(text for _, text in sorted(pairs)[:_CATEGORIES])


def _text(column: pa.Array) -> pa.Array:
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return plain if plain.type == pa.string() else plain.cast(pa.string())


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    """Values as float64 in the same order as the column's values; nulls are left out."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_time32(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_temporal(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values = column.drop_null() if column.null_count else column
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy())


def _back(number: float, kind: pa.DataType) -> object:
    """A number of :func:`_numbers` as a value of the column."""
    if pa.types.is_date(kind):
        return pa.scalar(int(number), pa.int32()).cast(pa.date32()).as_py()
    if pa.types.is_time32(kind):
        return pa.scalar(int(number), pa.int32()).cast(kind).as_py()
    if pa.types.is_temporal(kind):
        return pa.scalar(int(number), pa.int64()).cast(kind).as_py()
    if pa.types.is_boolean(kind):
        return bool(number)
    return int(number) if pa.types.is_integer(kind) else float(number)
