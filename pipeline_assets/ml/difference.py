"""What would change in the predictions of a batch if another version made them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.ml.kinds.base import Differences

_WAYS, _ROWS, _FEATURES, _VALUES, _BINS = 10, 20, 3, 10, 30  # that are shown
BY_RULE = "another decision by output.where"


@dataclass(frozen=True)
class Way:
    """Rows that flip one way.

    Attributes:
        way: ``1 → 0`` of labels, ``false → true`` of decisions, ``up`` or ``down`` of numbers.
    """

    way: str
    rows: int


@dataclass(frozen=True)
class ChangedRow:
    """One of the rows whose score moves most; its batch is that of the difference.

    Attributes:
        flipped: whether its decision is another.
        champion: the scores of the champion by column, and the decision where the task has a rule.
        challenger: the same of the challenger.
    """

    row_number: int
    flipped: bool
    champion: Mapping[str, Any]
    challenger: Mapping[str, Any]


@dataclass(frozen=True)
class Segment:
    """The rows with one value of a categorical feature."""

    feature: str
    value: str
    rows: int
    flipped: int


@dataclass(frozen=True)
class Moves:
    """How far scores move: ``counts`` rows between each two of ``edges``, which are one more."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Difference:
    """Two versions on the same rows of a predict batch.

    Attributes:
        batch: its name.
        rows: that both scored.
        of: rows of the batch; where it has more than ``rows``, every n-th row was scored.
        champion: the version that predicts.
        challenger: the version that would.
        flipped: rows with another decision.
        rule: what counts as another decision.
        ways: which way they flip, most rows first; at most 10.
        changed: the rows whose scores move most, flips first; at most 20.
        segments: by value of the main categorical features, for each the most frequent values first; at most 10 each.
        moves: of all rows.
    """

    batch: str
    rows: int
    of: int
    champion: int
    challenger: int
    flipped: int
    rule: str
    ways: tuple[Way, ...]
    changed: tuple[ChangedRow, ...]
    segments: tuple[Segment, ...]
    moves: Moves

    @property
    def share(self) -> float:
        """Of the rows that flip."""
        return self.flipped / self.rows if self.rows else 0.0

    @property
    def sentence(self) -> str:
        """The numbers as one English sentence."""
        whole = f"all {self.of} rows" if self.rows == self.of else f"one row in {-(-self.of // self.rows)} of {self.of}"
        ways = "".join(f"; {each.way}: {each.rows}" for each in self.ways)
        return (
            f"version {self.challenger} would change {self.flipped} of {self.rows} decisions of version {self.champion}"
            f" on batch {self.batch}: {100 * self.share:.2f} %{ways}. A decision changes by {self.rule}; both versions"
            f" scored {whole}"
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "share": self.share, "sentence": self.sentence}


@dataclass(frozen=True)
class Scored:
    """Rows scored by two versions.

    Attributes:
        batch: their batch.
        of: how many rows the batch has.
        champion: its version and its score columns, with ``decision`` where the task has a rule.
        challenger: the same.
        numbers: of the rows.
        differences: as the kind finds them, or by the task's rule.
        categories: the values of the main categorical features.
    """

    batch: str
    of: int
    champion: tuple[int, pa.RecordBatch]
    challenger: tuple[int, pa.RecordBatch]
    numbers: NDArray[np.int64]
    differences: Differences
    categories: Mapping[str, pa.Array]


def difference(scored: Scored) -> Difference:
    """The difference between two versions on the same rows."""
    found = scored.differences
    return Difference(
        batch=scored.batch,
        rows=len(scored.numbers),
        of=scored.of,
        champion=scored.champion[0],
        challenger=scored.challenger[0],
        flipped=int(np.count_nonzero(found.flipped)),
        rule=found.rule,
        ways=_ways(found),
        changed=_changed(scored),
        segments=tuple(
            each for name, values in scored.categories.items() for each in _segments(name, values, found.flipped)
        ),
        moves=_moves(found.moved),
    )


def by_decision(before: pa.Array, after: pa.Array, moved: NDArray[np.float64]) -> Differences:
    """Flips of the decision of ``output.where``, which stands for what the kind says of the scores alone."""
    was, becomes = (each.to_numpy(zero_copy_only=False).astype(bool) for each in (before, after))
    way = np.where(becomes, "false → true", "true → false").astype(object)
    return Differences(was != becomes, way, moved, BY_RULE)


def main_features(categorical: Sequence[str], importance: Mapping[str, float]) -> list[str]:
    """The three categorical features that the challenger goes by most; in the task's order where it does not say."""
    return sorted(categorical, key=lambda name: -importance.get(name, 0.0))[:_FEATURES]


def _ways(found: Differences) -> tuple[Way, ...]:
    names, counts = np.unique(found.way[found.flipped].astype(str), return_counts=True)
    most = sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda each: (-each[1], each[0]))
    return tuple(Way(way, rows) for way, rows in most[:_WAYS])


def _changed(scored: Scored) -> tuple[ChangedRow, ...]:
    found = scored.differences
    # A row that neither flips nor moves has not changed.
    rows = np.flatnonzero(found.flipped | (found.moved != 0))
    order = np.lexsort((scored.numbers[rows], -np.abs(found.moved[rows]), ~found.flipped[rows]))
    kept = rows[order][:_ROWS]
    old, new = (_shown(each, kept) for each in (scored.champion[1], scored.challenger[1]))
    return tuple(
        ChangedRow(int(scored.numbers[place]), bool(found.flipped[place]), before, after)
        for place, before, after in zip(kept, old, new, strict=True)
    )


def _shown(scores: pa.RecordBatch, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The scores of some rows; nested ones, such as the probability of every class, are left out."""
    plain = [field.name for field in scores.schema if not pa.types.is_nested(field.type)]
    shown: list[dict[str, Any]] = scores.select(plain).take(pa.array(rows)).to_pylist()
    return shown


def _segments(feature: str, values: pa.Array, flipped: NDArray[np.bool_]) -> list[Segment]:
    plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    table = pa.table({"value": plain.cast(pa.string()), "flipped": pa.array(flipped).cast(pa.int64())})
    by_value = table.group_by("value").aggregate([("flipped", "count"), ("flipped", "sum")])
    most = by_value.sort_by([("flipped_count", "descending"), ("value", "ascending")]).slice(0, _VALUES)
    return [
        Segment(feature, str(each["value"]), each["flipped_count"], each["flipped_sum"]) for each in most.to_pylist()
    ]


def _moves(moved: NDArray[np.float64]) -> Moves:
    if not len(moved):
        return Moves((), ())
    counts, edges = np.histogram(moved, bins=_BINS)
    return Moves(tuple(float(each) for each in edges), tuple(int(each) for each in counts))


def sampled(rows: pa.RecordBatchReader, step: int) -> pa.RecordBatch:
    """Every ``step``-th row of a stream, the first one included."""
    kept, done = [], 0
    for batch in rows:
        places = np.arange(-done % step, batch.num_rows, step)
        kept.append(batch.take(pa.array(places)))
        done += batch.num_rows
    table = pa.Table.from_batches(kept, kept[0].schema if kept else rows.schema).unify_dictionaries()
    return pa.RecordBatch.from_arrays([_whole(column) for column in table.columns], names=table.column_names)


def _whole(values: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return values.combine_chunks() if values.num_chunks else pa.array([], values.type)
