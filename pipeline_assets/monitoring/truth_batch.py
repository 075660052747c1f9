"""The stored predictions of a batch judged by the labels that came later, as rows of the mart ``<task>_quality``.

Held in memory are one score, one label and one code per segment of each row (for classes, one score per class): about
30 bytes a row. Keys are in DuckDB, whose memory is limited, and marts and files are read as streams.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline_assets.engine.duckdb.truth import Matching, Met, Predictions, key_of, met_by_file, met_by_train
from pipeline_assets.errors import ContractError, DataError, TransientError, located
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.monitoring.judging import BASELINE_FILE, Judged, baseline_of, judge, segments
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.quality import metric_columns, quality
from pipeline_assets.stores.marts.tables import input_mart, lineage, lineage_names, output_mart
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.batch import TruthRef
from pipeline_assets.task.preparation import input_mart_names, packed_columns
from pipeline_assets.task.spec import DECISION, FEATURE_PREFIX, LABEL, MODEL_VERSION, ROW_ADDRESS, TaskSpec

_ROW_NUMBER = ROW_ADDRESS[1]
_SEGMENT = "__segment_"
# Of the most important categorical features so many are looked at; those with many values are not judged apart.
_LOOKED_AT = 6


@dataclass(frozen=True)
class Stores:
    """Where everything of a batch is.

    Attributes:
        spill: folder for keys that do not fit in memory.
    """

    files: FileStore
    marts: MartStore
    registry: Registry
    spill: Path


@dataclass(frozen=True)
class JudgedBatch:
    """A batch with its truth.

    Attributes:
        version: that predicted it.
        predicted_at: when.
        truth_from: the file, or the train batches, that the labels are from.
        judged: all rows first, then the segments.
    """

    ref: TruthRef
    version: int
    predicted_at: datetime
    truth_from: str
    matching: Matching
    judged: tuple[Judged, ...]


@dataclass(frozen=True)
class _Version:
    """The version that predicted a batch, and what the judgement needs of its training.

    Attributes:
        learned: the train batch that it learned from: its labels judge nothing.
    """

    number: int
    predicted_at: datetime
    importance: Mapping[str, float]
    constant: Prediction | None
    learned: str | None


def judge_batch(task: TaskSpec, ref: TruthRef, stores: Stores) -> JudgedBatch:
    """Judges the predictions of a batch by its file of truth; without one, by train batches that have its keys.

    The train batch that the version learned from is left out: what is judged was not seen.

    Raises:
        DataError: the batch was not predicted, or no prediction gets a label.
        ContractError: there is no truth, or the file lacks a column or has one of a wrong type.
        TransientError: another run predicted the batch meanwhile.
    """
    version = _version(task, ref, stores)
    features = _features(task, version.importance)
    predictions = _predictions(task, ref, stores.marts, version.number, features)
    met, truth_from = _met(task, ref, stores, predictions, version.learned)
    if not met.matching.judged:
        raise _nothing_judged(task, ref, met, truth_from)
    columns = {name: met.rows[f"{_SEGMENT}{at}"] for at, name in enumerate(features)}
    values = {name: len(column.combine_chunks().dictionary) for name, column in columns.items()}
    chosen = segments(task, version.importance, values)
    judged = judge(
        task,
        met.labels,
        {name: met.rows[name] for name in _scores(task)},
        {name: columns[name] for name in chosen},
        constant=version.constant,
        minimum_rows=task.monitoring.truth.minimum_rows,
    )
    return JudgedBatch(ref, version.number, version.predicted_at, truth_from, met.matching, tuple(judged))


def _nothing_judged(task: TaskSpec, ref: TruthRef, met: Met, truth_from: str) -> DataError:
    counts = ", ".join(f"{name} {count}" for name, count in asdict(met.matching).items() if count)
    expected = f"labels by {', '.join(key_of(task))} of predicted rows"
    do = "see whether the file is of this batch, and its key is written as in the predict file"
    if (unreadable := met.unreadable) is not None:
        example = ", ".join(f"{value!r} in {name}" for name, value in unreadable.example.items())
        counts = f"{unreadable.rows:,} labels of predicted rows cannot be read, the first is {example}; {counts}"
        if list(unreadable.expected) == [LABEL]:
            binary = kind_of(task).objective == "binary"
            expected = f"{LABEL}: {'0 or 1' if binary else unreadable.expected[LABEL]}"
            do = f"write such labels, or the values of the target {task.target.shown} in its own columns"
        else:
            expected = ", ".join(f"{name}: {kind}" for name, kind in unreadable.expected.items())
            do = "write these columns as the train file has them"
    return DataError(
        "no prediction of the batch gets a label",
        **ref.facts(),
        file=truth_from,
        found=counts,
        expected=expected,
        do=do,
    )


def quality_rows(task: TaskSpec, found: JudgedBatch, run_id: str) -> pa.RecordBatchReader:
    """The judgement as rows of the mart ``<task>_quality``."""
    now = datetime.now(UTC)
    rows = []
    for each in found.judged:
        whole = not each.segment
        row: dict[str, Any] = {
            "model_version": found.version,
            "batch": found.ref.batch,
            "segment": each.segment,
            "segment_value": each.value,
            "predictions": each.predictions,
            "judged_rows": each.rows,
            "problem": each.problem,
            "label_mean": each.label_mean,
            "decided_share": each.decided,
            "calibration": json.dumps([one._asdict() for one in each.calibration]) if whole else None,
            "matching": json.dumps(asdict(found.matching)) if whole else None,
            "truth_from": found.truth_from,
            "predicted_at": found.predicted_at,
            "run_id": run_id,
            "judged_at": now,
        }
        for name, (own, baseline) in metric_columns(task).items():
            row |= {own: each.metrics.get(name), baseline: each.baseline.get(name)}
        rows.append(row)
    schema = quality(task).schema
    return pa.RecordBatchReader.from_batches(schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])


def _version(task: TaskSpec, ref: TruthRef, stores: Stores) -> _Version:
    table = output_mart(task)
    there = stores.marts.count(table.name, {"batch": ref.batch}) > 0
    if not there:
        raise DataError(
            "the batch has not been predicted, or its predictions are no longer in the mart",
            **ref.facts(),
            available=sorted(stores.marts.batches(table.name)),
            do=f"run {task.name}_predict for this batch",
        )
    first = next(iter(stores.marts.read(table.name, {"batch": ref.batch}, [MODEL_VERSION, "predicted_at"], [])))
    number, predicted_at = (column[0].as_py() for column in first.columns)
    known = next((each for each in stores.registry.candidates(task.name) if each.version == number), None)
    if known is None:  # someone deleted the version; what it predicted can still be judged
        return _Version(number, predicted_at, {}, None, None)
    training = stores.registry.training(known.run_id)
    constant = baseline_of(stores.registry.read_text(known.run_id, BASELINE_FILE))
    return _Version(number, predicted_at, training.importance, constant, training.batch)


def _features(task: TaskSpec, importance: Mapping[str, float]) -> list[str]:
    """The categorical features that are looked at, the most important ones first."""
    packed = packed_columns(task, "predict")
    there = [name for name in task.features.categorical if f"{FEATURE_PREFIX}{name}" not in packed]
    return sorted(there, key=lambda name: -importance.get(name, 0.0))[:_LOOKED_AT]


def _scores(task: TaskSpec) -> list[str]:
    return [*kind_of(task).score_types, *([DECISION] if task.output.where is not None else [])]


def _predictions(task: TaskSpec, ref: TruthRef, marts: MartStore, version: int, features: Sequence[str]) -> Predictions:
    """The rows of the lineage view, by the names that the matching takes."""
    own, stored = lineage_names(task), input_mart(task, "predict").stored_names
    keys = [stored[name] for name in task.key] or [own[_ROW_NUMBER]]
    scores = _scores(task)
    columns = [
        *keys,
        own[_ROW_NUMBER],
        *(own[name] for name in scores),
        *(stored[f"{FEATURE_PREFIX}{name}"] for name in features),
        own[MODEL_VERSION],
    ]
    names = [*keys, _ROW_NUMBER, *scores, *(f"{_SEGMENT}{at}" for at in range(len(features)))]
    order = [own[name] for name in ROW_ADDRESS]

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in marts.read(lineage(task).name, {own["batch"]: ref.batch}, columns, order):
            *wanted, versions = batch.columns
            if any(each != version for each in versions.unique().to_pylist()):
                raise TransientError("another run predicted the batch meanwhile", **ref.facts(), do="run again")
            yield pa.RecordBatch.from_arrays(wanted, names=names)

    return Predictions(rows(), dict(kind_of(task).score_types))


def _met(
    task: TaskSpec, ref: TruthRef, stores: Stores, predictions: Predictions, learned: str | None
) -> tuple[Met, str]:
    if stores.files.has(ref):
        found = stores.files.find(ref)
        with stores.files.open(found) as paths, located({**ref.facts(), "file": found.uri}):
            return met_by_file(task, paths, predictions, stores.spill), found.uri
    train = input_mart(task, "train")
    if task.key and stores.marts.count(train.name, {}):
        names = train.stored_names
        label = names[input_mart_names(task, "train")[LABEL]]
        columns = [*(names[name] for name in task.key), label, names[train.batch_column]]
        rows = stores.marts.read(train.name, {}, columns, [])
        labelled = (each.filter(pc.not_equal(each.column(len(task.key) + 1), learned or "")) for each in rows)
        met, batches = met_by_train(task, labelled, predictions, stores.spill)
        if batches:
            return met, f"train {', '.join(batches)}"
    raise ContractError(
        "there is no truth of the batch",
        **ref.facts(),
        expected=f"{stores.files.uri}/{task.name}/truth/{ref.batch}.parquet, a folder {ref.batch} of part files there,"
        " or a train batch with the same keys that the version has not learned from",
        available=list(stores.files.batches(task.name, "truth")),
    )
