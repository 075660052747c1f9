"""Compares a version with its training made again, step by step, and says a verdict with the first difference.

Floats are compared by their bits. Two numbers are equal within tolerance if they differ by at most ``TOLERANCE`` times
the larger of 1 and their absolute values.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline_assets.errors import DataError
from pipeline_assets.ml.judging import Evaluated, judged
from pipeline_assets.ml.training import validation_rows
from pipeline_assets.monitoring.column_hashes import ColumnHashes, first_unequal
from pipeline_assets.monitoring.environment import differences, here
from pipeline_assets.monitoring.rebuilding import Again, Past
from pipeline_assets.monitoring.version_record import VersionRecord, predictions_table, record_of
from pipeline_assets.stores.features.base import FeatureStore, feature_table
from pipeline_assets.stores.registry.registry import Registry

TOLERANCE = 1e-6

Step = Literal["contract", "features", "search", "predictions", "model", "metrics"]


class Verdict(StrEnum):
    """The answer to the question whether a version can be made again."""

    IDENTICAL = "identical"
    WITHIN_TOLERANCE = "equal within tolerance"
    DIFFERENT = "different"
    CANNOT_BE_ASKED = "cannot be asked here"

    @property
    def good(self) -> bool:
        """Whether the version was made again."""
        return self in (Verdict.IDENTICAL, Verdict.WITHIN_TOLERANCE)


@dataclass(frozen=True)
class Difference:
    """The first difference of one step.

    Attributes:
        step: of the training.
        column: a feature, a column of predictions, a metric, a parameter of the search, or a count.
        row: number of the raw row, or of the trial; ``None`` where there is none or only the block is known.
        found: the value here.
        expected: the value at training.
        within: the first and last place among the accepted rows, where only their block is known.
        tolerable: whether all values of the step are equal within tolerance.
    """

    step: Step
    column: str
    row: int | None
    found: str
    expected: str
    within: tuple[int, int] | None = None
    tolerable: bool = False

    def __str__(self) -> str:
        named = {"search": "trial", "contract": ""}.get(self.step, "row")
        place = f", {named} {self.row}" if self.row is not None else ""
        block = "" if self.within is None else f", among accepted rows {self.within[0]} to {self.within[1]}"
        values = f": {self.found} here, {self.expected} at training" if self.found or self.expected else ""
        return f"(step {self.step}, column {self.column}{place}{block}){values}"


@dataclass(frozen=True)
class Reproduction:
    """What came out.

    Attributes:
        verdict: the answer.
        because: why, in one sentence.
        differences: the first of each step that has any, in the order of the steps.
        environment: what is other here than at training, a sentence by part; ``None`` if the version does not say what
            it was trained on.
        notes: more that a reader should know.
        compared: what was compared, by name.
    """

    verdict: Verdict
    because: str
    differences: tuple[Difference, ...] = ()
    environment: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()
    compared: Mapping[str, int] = field(default_factory=dict)

    @property
    def first(self) -> Difference | None:
        """The first difference that counts: one beyond the tolerance, if there is any."""
        return next((each for each in self.differences if not each.tolerable), next(iter(self.differences), None))

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "verdict": self.verdict.value}


def cannot_be_asked(why: str, notes: Sequence[str] = ()) -> Reproduction:
    """The verdict on a version that cannot be made again here."""
    return Reproduction(Verdict.CANNOT_BE_ASKED, why, notes=tuple(notes))


def reproduction(past: Past, again: Again, registry: Registry, features: FeatureStore) -> Reproduction:
    """Compares every step of a training with the one made again.

    Args:
        past: the version.
        again: its training, repeated.
        registry: has the version's models, which predict the same rows here.
        features: may still have the prepared rows of the training, which show where a difference is.
    """
    then, now = past.record, record_of(again.task, again.manifest, again.hashes, again.trained)
    found = [
        *_contract(then, now),
        *_features(then, again, features),
        *_search(then, now),
        *_predictions(past, again),
        *_models(past, again, registry),
        *_metrics(past, now),
    ]
    environment = None if then is None else differences(then.environment, here())
    notes = []
    if then is None:
        notes.append(
            "the version was made by former code, which kept no hashes, predictions or environment: models and metrics"
            " are compared"
        )
    if past.training.input_uri not in (None, again.manifest.uri):
        notes.append(f"the input has moved from {past.training.input_uri} to {again.manifest.uri}")
    search = again.task.training.search
    if search is not None and search.timeout_minutes is not None:
        notes.append("the search has a time limit: on a slower machine it makes fewer trials, and may find others best")
    verdict, because = judgement(found, excuses_of(then, now, environment))
    compared = {"features": again.hashes.rows, "predictions": len(again.trained.validation)}
    return Reproduction(verdict, because, tuple(found), environment, tuple(notes), compared)


def judgement(found: Sequence[Difference], excuses: Sequence[str]) -> tuple[Verdict, str]:
    """The verdict and why.

    Args:
        found: the first difference of each step.
        excuses: what may explain a difference although the record can be repeated elsewhere.
    """
    beyond = [each for each in found if not each.tolerable]
    if not found:
        return Verdict.IDENTICAL, "features, predictions and metrics are equal bit by bit"
    if not beyond:
        return (
            Verdict.WITHIN_TOLERANCE,
            f"no number differs by more than {TOLERANCE:g} of its size; the first that differs is at {found[0]}",
        )
    if excuses:
        return Verdict.CANNOT_BE_ASKED, f"{'; '.join(excuses)}; the first difference is at {beyond[0]}"
    return Verdict.DIFFERENT, f"the first difference is at {beyond[0]}"


def excuses_of(then: VersionRecord | None, now: VersionRecord, environment: Mapping[str, str] | None) -> list[str]:
    """What may explain a difference: another environment, a GPU, a search that a time limit ended."""
    excuses = list((environment or {}).values())
    if then is None:
        excuses.append("the version does not say what it was trained on")
    if not (now.on_cpu and (then is None or then.on_cpu)):
        excuses.append("the fit ran on a GPU, which does not repeat its numbers")
    stopped = now.stopped_by_time or (then is not None and then.stopped_by_time)
    if then is not None and stopped and len(then.trials) != len(now.trials):
        excuses.append(
            f"a time limit ended the search, after {len(now.trials)} trials here and {len(then.trials)} at training"
        )
    return excuses


def _contract(then: VersionRecord | None, now: VersionRecord) -> Iterator[Difference]:
    if then is not None:
        for name in ("accepted", "rejected"):
            here_, there = getattr(now, name), getattr(then, name)
            if here_ != there:
                yield Difference("contract", f"{name} rows", None, str(here_), str(there))
                return


def _features(then: VersionRecord | None, again: Again, features: FeatureStore) -> Iterator[Difference]:
    """The first difference of the prepared rows; its row is known if the store still has those of the training."""
    if then is None or then.features == again.hashes:
        return
    column, block = first_other(then.features, again.hashes)
    if block is None:
        yield Difference("features", column, None, str(again.hashes.rows), str(then.features.rows))
        return
    size = again.hashes.rows_per_block
    within = block * size, min((block + 1) * size, again.hashes.rows) - 1
    stored = _stored(again, features)
    located = None if stored is None else first_other_value(stored, again.features())
    if located is None:
        yield Difference("features", column, None, "another hash", "of the values", within)
    else:
        yield located


def first_other(then: ColumnHashes, now: ColumnHashes) -> tuple[str, int | None]:
    """The first block whose hashes differ and its first column; no block where rows or columns themselves differ."""
    if (then.rows, then.rows_per_block) != (now.rows, now.rows_per_block):
        return "number of rows", None
    if list(then.columns) != list(now.columns):
        return ", ".join(sorted(set(then.columns) ^ set(now.columns))) or "order of columns", None
    for block, pairs in enumerate(
        zip(*(zip(then.columns[name], now.columns[name], strict=True) for name in now.columns), strict=True)
    ):
        for name, (one, other) in zip(now.columns, pairs, strict=True):
            if one != other:
                return name, block
    raise ValueError("the hashes are equal")


def _stored(again: Again, features: FeatureStore) -> pa.RecordBatchReader | None:
    try:
        return features.read(feature_table(again.task, "train"), again.manifest.ref.batch)
    except DataError:  # gone, or made under another description since
        return None


def first_other_value(stored: pa.RecordBatchReader, again: pa.RecordBatchReader) -> Difference | None:
    """The first row, and in it the first column, whose values differ; ``None`` if all are the same."""
    first: Difference | None = None
    worst = True
    for one, other in _side_by_side(stored, again):
        for place, name in enumerate(other.schema.names):
            at = first_unequal(one.column(place), other.column(place))
            if at is None:
                continue
            worst = worst and _close(one.column(place), other.column(place))
            number = other.column(0)[at].as_py()
            if first is None or (first.row is not None and number < first.row):
                found, expected = (repr(column[at].as_py()) for column in (other.column(place), one.column(place)))
                first = Difference("features", name, number, found, expected)
        if first is not None and not worst:
            break
    return None if first is None else Difference(**{**vars(first), "tolerable": worst})


def _side_by_side(
    one: pa.RecordBatchReader, other: pa.RecordBatchReader
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The rows of two streams of as many rows, cut at the same places."""
    left, right = (iter(stream) for stream in (one, other))
    a = b = pa.RecordBatch.from_pylist([], schema=one.schema)
    while True:
        while a is not None and not a.num_rows:
            a = next(left, None)
        while b is not None and not b.num_rows:
            b = next(right, None)
        if a is None or b is None:
            return
        count = min(a.num_rows, b.num_rows)
        yield a.slice(0, count), b.slice(0, count)
        a, b = a.slice(count), b.slice(count)


def _close(one: pa.Array, other: pa.Array) -> bool:
    if not (pa.types.is_floating(one.type) and one.is_valid().equals(other.is_valid())):
        return False
    return _within(one.fill_null(0).to_numpy(), other.fill_null(0).to_numpy())


def _within(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        close = np.abs(one - other) <= TOLERANCE * np.maximum(1.0, np.maximum(np.abs(one), np.abs(other)))
    return bool(np.all(same | close))


def _search(then: VersionRecord | None, now: VersionRecord) -> Iterator[Difference]:
    if then is None:
        return
    for number, (one, other) in enumerate(zip(then.trials, now.trials, strict=False), 1):
        for name in [*other, *(name for name in one if name not in other)]:
            if one.get(name) != other.get(name):
                pair = one.get(name), other.get(name)
                tolerable = all(isinstance(each, float) for each in pair) and _within(*map(np.array, pair))
                yield Difference("search", name, number, str(pair[1]), str(pair[0]), tolerable=tolerable)
                return
    if len(then.trials) != len(now.trials):
        yield Difference("search", "trials", None, str(len(now.trials)), str(len(then.trials)))


def _predictions(past: Past, again: Again) -> Iterator[Difference]:
    """Predictions of the validation rows: those kept with the version and those made again."""
    if past.predictions is None:
        return
    made = predictions_table(again.trained.prediction)
    yield from _first_other_prediction("predictions", past.predictions, made, again.validation)


def _models(past: Past, again: Again, registry: Registry) -> Iterator[Difference]:
    """Predictions of the validation rows by the kept models and by those made again, both computed here."""
    rows = validation_rows(again.task, again.frame, again.trained.split)
    kept: list[tuple[Evaluated, Evaluated]] = [(registry.load(past.name, past.version), again.trained.model)]
    if past.predictions is None:
        kept.append((registry.load_evaluated(past.name, past.version), again.trained.evaluated))
    for one, other in kept:
        then, now = (predictions_table(judged(again.task, model, rows)) for model in (one, other))
        for difference in _first_other_prediction("model", then, now, again.validation):
            yield difference
            return


def _first_other_prediction(
    step: Step, then: pa.Table, now: pa.Table, numbers: npt.NDArray[np.int64]
) -> Iterator[Difference]:
    if then.column_names != now.column_names:
        yield Difference(step, "classes", None, ", ".join(now.column_names), ", ".join(then.column_names))
        return
    if then.num_rows != now.num_rows:
        yield Difference(step, "number of rows", None, str(now.num_rows), str(then.num_rows))
        return
    pairs = [tuple(table.column(name).to_numpy() for table in (then, now)) for name in now.column_names]
    unequal = np.array([one.view(np.uint64) != other.view(np.uint64) for one, other in pairs])
    places = np.flatnonzero(unequal.any(axis=0))
    if len(places):
        at = int(places[0])
        column = int(np.flatnonzero(unequal[:, at])[0])
        one, other = pairs[column]
        tolerable = all(_within(*pair) for pair in pairs)
        yield Difference(
            step,
            now.column_names[column],
            int(numbers[at]),
            repr(float(other[at])),
            repr(float(one[at])),
            tolerable=tolerable,
        )


def _metrics(past: Past, now: VersionRecord) -> Iterator[Difference]:
    """Metrics of the version's record, or of its MLflow run, which has all of them too."""
    kept = past.training.metrics if past.record is None else past.record.metrics
    then = {name: kept[name] for name in now.metrics if name in kept}
    here_: dict[str, float] = dict(now.metrics)
    if past.record is not None:
        then.update(iterations=past.record.iterations, threshold=past.record.threshold)
        here_.update(iterations=now.iterations, threshold=now.threshold)
    other = [name for name, value in then.items() if not _same(value, here_[name])]
    tolerable = all(_within(np.array(then[name], float), np.array(here_[name], float)) for name in other)
    for name in other[:1]:
        yield Difference("metrics", name, None, repr(here_[name]), repr(then[name]), tolerable=tolerable)


def _same(one: float, other: float) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other))


def as_text(outcome: Reproduction) -> str:
    """The whole outcome as JSON."""
    return json.dumps(outcome.to_json(), ensure_ascii=False, indent=2)
