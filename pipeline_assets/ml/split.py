"""Which labelled rows fit a model, stop its fit or evaluate it: by the latest values or by a hash of the key.

A version keeps the rule of its split. The rule gives the side of any row later, without the data of the training.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.task.spec import SPLIT_BY, TaskSpec
from pipeline_assets.task.training_spec import DEFAULT_FOLDS, Validation

TRAINING, STOPPING, VALIDATION = 0, 1, 2
SIDES = ("training", "stopping", "validation")

_SPAN = float(2**53)  # hashes are below it
# If a group has fewer rows than this on its smallest side, its rows are divided by count: chance might leave a side
# empty.
_FEW = 30
_SECOND = 0x5EED  # added to the seed where rows are divided a second time
_VALUES = 3  # a split by time needs one value per side

Side = NDArray[np.int8]


@dataclass(frozen=True)
class Strata:
    """The groups of some rows, such as their labels.

    Attributes:
        code: the position of each row's group in ``names``.
        names: of the groups, the same for a group in every batch.
        on_every_side: whether a split without rows of each group on each side is refused. If not, rows of a group that
            has fewer rows than there are sides are training rows.
    """

    code: NDArray[np.int64]
    names: tuple[str, ...]
    on_every_side: bool = True


@dataclass(frozen=True)
class SplitRule:
    """How the rows of one batch were divided into sides.

    Attributes:
        by: ``share``: by a hash of the key or row address; ``time``: by the values of a column; ``folds``: every row
            is a validation row, of the model that has not learned from the row's fold, which its hash gives.
        batch: that had the rows.
        sha256: of that batch's file.
        key: the task's key columns; empty if rows are identified by their address.
        seed: mixed into the hash.
        fraction: wanted share of validation rows.
        stopping_fraction: wanted share of stopping rows among the others.
        cuts: by the name of a group of labels: rows whose mixed hash, in [0, 1), is below the first number are
            validation rows, below the second stopping rows, the others training rows. Empty in a split by time. With
            folds, the mixed hash from which on each fold but the first begins.
        low: in a split by share, the mixed hashes of the rows that the model learned from although their hash is low
            enough for the validation side: those of groups with few rows. ``None`` if unknown.
        folds: how many there are; 0 without.
        column: by which a split by time orders rows.
        column_type: its Arrow type.
        first: the smallest value of that column in the batch, as text like the next two.
        stopping_from: the first value of the stopping rows.
        validation_from: the first value of the validation rows.
    """

    by: Literal["share", "time", "folds"]
    batch: str
    sha256: str
    key: tuple[str, ...]
    seed: int
    fraction: float
    stopping_fraction: float
    cuts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    low: tuple[float, ...] | None = None
    folds: int = 0
    column: str | None = None
    column_type: str | None = None
    first: str | None = None
    stopping_from: str | None = None
    validation_from: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values; :meth:`from_json` is its inverse."""
        return {**asdict(self), "key": list(self.key), "cuts": {name: list(cut) for name, cut in self.cuts.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SplitRule":
        """The inverse of :meth:`to_json`.

        Raises:
            TypeError, ValueError, KeyError: the data is not from :meth:`to_json`.
        """
        cuts = {str(name): tuple(float(each) for each in cut) for name, cut in data["cuts"].items()}
        low = data.get("low")
        return cls(**{**data, "key": tuple(data["key"]), "cuts": cuts, "low": None if low is None else tuple(low)})

    def side_of(self, rows: LabelledRows, strata: Strata) -> Side:
        """The side of each row, as if it were in this rule's batch: 0 training, 1 stopping, 2 validation.

        Args:
            rows: in a split by time, with ``split_by``.
            strata: their groups, from the kind; a group that the batch did not have is divided by the fractions.
        """
        if self.by == "folds":
            return np.full(len(rows), VALIDATION, dtype=np.int8)
        side = np.full(len(rows), TRAINING, dtype=np.int8)
        if self.by == "time":
            side[self._at_least(rows, self.stopping_from)] = STOPPING
            side[self._at_least(rows, self.validation_from)] = VALIDATION
            return side
        mixed = _mixed(rows.split_hash, self.seed)
        cuts = np.array([self.cuts.get(name, self.plain_cut) for name in strata.names]).reshape(-1, 2)
        side[mixed < cuts[strata.code, 1]] = STOPPING
        side[mixed < cuts[strata.code, 0]] = VALIDATION
        return side

    def fold_of(self, rows: LabelledRows, strata: Strata) -> NDArray[np.int64]:
        """The fold of each row, from 0, as if it were in this rule's batch; of a rule by folds.

        Args:
            strata: their groups; rows of a group that the batch did not have are divided evenly by their hash.
        """
        cuts = np.array([self.cuts.get(name, self.even) for name in strata.names]).reshape(-1, self.folds - 1)
        mixed = _mixed(rows.split_hash, self.seed)
        return np.asarray((mixed[:, np.newaxis] >= cuts[strata.code]).sum(axis=1))

    @property
    def even(self) -> tuple[float, ...]:
        """The cuts of a group that has enough rows to divide them into folds by hash."""
        return tuple(number / self.folds for number in range(1, self.folds))

    def may_have_learned(self, rows: LabelledRows, strata: Strata, of: "SplitRule") -> NDArray[np.bool_]:
        """Which rows of another version's batch this version learned from, or may have: true if unsure.

        A version that was judged by folds predicts a row by the model of the row's fold; only that model counts here.

        Args:
            rows: of the other version's batch.
            strata: their groups.
            of: the other version's rule: it says which batch has the rows, and how they are identified there.
        """
        everything = np.ones(len(rows), dtype=bool)
        if self.by == "time":
            if rows.split_by is None or (of.column, of.column_type) != (self.column, self.column_type):
                return everything
            return self._at_least(rows, self.first) & ~self._at_least(rows, self.validation_from)
        same_batch = self.batch == of.batch
        if self.key != of.key:
            return everything
        if self.sha256 == of.sha256 and (self.key or same_batch):
            return np.asarray(self.side_of(rows, strata) != VALIDATION)
        if not self.key:
            # Rows are identified by their address: rows of another batch count as other rows.
            return everything if same_batch or self.sha256 == of.sha256 else ~everything
        return self._may_have_learned_keys(rows)

    def _may_have_learned_keys(self, rows: LabelledRows) -> NDArray[np.bool_]:
        """The same for rows of another file, by their keys: a key may have had another label in this rule's batch."""
        mixed, cut = _mixed(rows.split_hash, self.seed), self.plain_cut[0]
        if self.by == "folds":
            # The key may have been in another fold if that depends on the label.
            folds = [np.searchsorted(np.array(cuts), mixed, side="right") for cuts in {self.even, *self.cuts.values()}]
            return np.asarray(np.any([fold != folds[0] for fold in folds], axis=0))
        if self.low is None:
            cut = min((cuts[0] for cuts in self.cuts.values()), default=cut)
        return np.asarray((mixed >= cut) | np.isin(mixed, self.low or ()))

    @property
    def plain_cut(self) -> tuple[float, float]:
        """The cuts of a label that has enough rows to divide them by hash."""
        return self.fraction, self.fraction + (1 - self.fraction) * self.stopping_fraction

    def _at_least(self, rows: LabelledRows, text: str | None) -> NDArray[np.bool_]:
        if rows.split_by is None or text is None:
            raise ValueError("a split by time needs rows that were read with split_by")
        later = pc.greater_equal(rows.split_by, _value(text, rows.split_by.type))
        return np.asarray(pc.fill_null(later, fill_value=False).to_numpy())


def split_rule(rows: LabelledRows, task: TaskSpec, strata: Strata, *, batch: str, sha256: str) -> SplitRule:
    """The rule that divides the labelled rows of a batch as the task says; no side is empty.

    By time, rows of equal value stay together, so that a day is never on two sides; each cut is between the two
    values where the share is nearest to the fraction. By share, a row's hash decides, so that a key is on the same
    side in every batch; if a group has few rows, each side gets its share of them by count.

    Args:
        strata: the groups of the rows, from the kind.
        batch: its name.
        sha256: of its file.

    Raises:
        DataError: there are too few rows or values for three sides, or a labelled row has no value in ``column``.
    """
    validation = task.training.validation
    rule = SplitRule(
        by=validation.split,
        batch=batch,
        sha256=sha256,
        key=task.key,
        seed=task.training.seed,
        fraction=validation.fraction,
        stopping_fraction=validation.stopping_fraction,
    )
    if validation.split == "folds":
        rule = replace(rule, folds=validation.folds or DEFAULT_FOLDS)
        return replace(rule, cuts=_fold_cuts(_mixed(rows.split_hash, rule.seed), strata, rule))
    if validation.split == "share":
        mixed = _mixed(rows.split_hash, rule.seed)
        rule = replace(rule, cuts=_cuts(mixed, strata, rule))
        learned = rule.side_of(rows, strata) != VALIDATION
        return replace(rule, low=tuple(np.unique(mixed[learned & (mixed < rule.plain_cut[0])]).tolist()))
    if rows.split_by is None:
        raise ValueError("a split by time needs rows that were read with split_by")
    first, stopping, validating = _bounds(rows.split_by, validation)
    return replace(
        rule,
        column=validation.column,
        column_type=str(rows.split_by.type),
        first=first,
        stopping_from=stopping,
        validation_from=validating,
    )


def _mixed(hashes: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Hashes as uniform numbers in [0, 1) that depend on the seed (SplitMix64's finaliser, Steele et al. 2014)."""
    value = hashes.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    value ^= value >> np.uint64(31)
    return np.asarray((value >> np.uint64(11)).astype(np.float64) / _SPAN)


def _cuts(mixed: NDArray[np.float64], strata: Strata, rule: SplitRule) -> dict[str, tuple[float, ...]]:
    plain = rule.plain_cut
    cuts: dict[str, tuple[float, ...]] = {}
    smallest = min(plain[0], plain[1] - plain[0], 1 - plain[1])
    counts = np.bincount(strata.code, minlength=len(strata.names))
    for code, (name, count) in enumerate(zip(strata.names, counts.tolist(), strict=True)):
        if count and smallest * count >= _FEW:
            cuts[name] = plain
        elif count >= len(SIDES):
            cuts[name] = _counted(np.sort(mixed[strata.code == code]), plain)
        elif count and strata.on_every_side:
            raise _too_few(count, name, strata)
        elif count:
            cuts[name] = (0.0, 0.0)
    return cuts


def _fold_cuts(mixed: NDArray[np.float64], strata: Strata, rule: SplitRule) -> dict[str, tuple[float, ...]]:
    """Where folds begin, by group: even cuts, or for groups with few rows those that share them out by count."""
    folds = rule.folds
    cuts: dict[str, tuple[float, ...]] = {}
    for code, name in enumerate(strata.names):
        own = np.sort(mixed[strata.code == code])
        if 0 < len(own) < len(SIDES) and strata.on_every_side:
            raise _too_few(len(own), name, strata)
        if len(own) and len(own) < _FEW * folds:
            places = [-(-number * len(own) // folds) for number in range(1, folds)]
            cuts[name] = tuple(float(own[place]) if place < len(own) else 1.0 for place in places)
        elif len(own):
            cuts[name] = rule.even
    return cuts


def stopping_rows(rows: LabelledRows, strata: Strata, fold: NDArray[np.int64], rule: SplitRule) -> NDArray[np.bool_]:
    """For each fold, which of the other rows stop the fit that the fold's rows judge; shape (folds, rows).

    A share of every group by a second hash of the key, and at least one row where the group has two.

    Args:
        rows: every labelled row of the batch.
        strata: their groups.
        fold: of each row.
        rule: of the split.
    """
    stops = np.zeros((rule.folds, len(rows)), dtype=bool)
    second = _mixed(rows.split_hash, rule.seed + _SECOND)
    for number in range(rule.folds):
        for code in np.unique(strata.code):
            own = np.flatnonzero((strata.code == code) & (fold != number))
            wanted = max(1, round(len(own) * rule.stopping_fraction)) if len(own) > 1 else 0
            stops[number, own[np.argsort(second[own], kind="stable")[:wanted]]] = True
    return stops


def _too_few(count: int, label: str, strata: Strata) -> DataError:
    return DataError(
        "too few labelled rows to fit, to stop the fit and to evaluate",
        found=f"{count} rows of label {label}" if len(strata.names) > 1 else f"{count} rows",
        expected="at least one row of every label to fit, one to stop the fit and one to evaluate",
        do="take a larger batch, or another target",
    )


def _counted(own: NDArray[np.float64], plain: tuple[float, float]) -> tuple[float, float]:
    """Cuts that give each side its share of these sorted values by count, and at least one."""
    validation = min(max(1, round(len(own) * plain[0])), len(own) - 2)
    stopping = min(max(1, round(len(own) * (plain[1] - plain[0]))), len(own) - validation - 1)
    return float(own[validation]), float(own[validation + stopping])


def _bounds(values: pa.ChunkedArray, validation: Validation) -> tuple[str, str, str]:
    """The first value of all, of the stopping rows and of the validation rows, as text."""
    ranks = _ranks(values, str(validation.column))
    counts = np.bincount(ranks)
    if len(counts) < _VALUES:
        raise DataError(
            "a split by time finds too few values",
            column=validation.column,
            found=f"{len(counts)} in all {len(values)} labelled rows, the first {values[0].as_py()}",
            expected="at least three: the latest evaluate, the latest of the others stop the fit, the rest fit",
            do="split by another column, or by share",
        )
    validating = _cut(counts, validation.fraction, keep=2)
    stopping = _cut(counts[:validating], validation.stopping_fraction, keep=1)

    def text(rank: int) -> str:
        value = values[int(np.argmax(ranks == rank))]
        # Python's times have microseconds at most.
        return str((value.cast(pa.string()) if pa.types.is_time(value.type) else value).as_py())

    return text(0), text(stopping), text(validating)


def _cut(counts: NDArray[np.int64], fraction: float, keep: int) -> int:
    """The first value of the later side: the cut with the row count nearest to the wanted one; of two, the earlier."""
    up_to = np.cumsum(counts)
    wanted = up_to[-1] * (1 - fraction)
    return int(np.argmin(np.abs(up_to[keep - 1 : -1] - wanted))) + keep


def _ranks(values: pa.ChunkedArray, column: str) -> NDArray[np.int64]:
    """The positions of the values among the sorted distinct values, from 0."""
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


def _value(text: str, kind: pa.DataType) -> pa.Scalar:
    """A value from the text that was made of it."""
    if pa.types.is_time(kind):
        return pa.scalar(f"1970-01-01 {text}").cast(pa.timestamp(kind.unit)).cast(kind)
    return pa.scalar(text).cast(kind)
