"""What is kept with a version so that its training can be repeated and compared: hashes, environment, predictions."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_assets.errors import DataError
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.training import Trained
from pipeline_assets.monitoring.column_hashes import ColumnHashes, Hashing
from pipeline_assets.monitoring.environment import Environment, here
from pipeline_assets.task.batch import Manifest
from pipeline_assets.task.fingerprints import feature_fingerprints
from pipeline_assets.task.preparation import own_in_features
from pipeline_assets.task.spec import LABEL, ROW_ADDRESS, TaskSpec

# Files of a training's MLflow run.
TASK = "task.yaml"
RECORD = "record.json"
PREDICTIONS = "validation_predictions.parquet"

_PREDICTION = "prediction"
_FORMAT = 1


@dataclass(frozen=True)
class VersionRecord:
    """What a training was, beside its input and its models.

    Attributes:
        environment: that it ran in.
        fingerprints: of the slices of the task's description, by slice.
        accepted: rows of the batch that fulfilled the contract.
        rejected: those that did not.
        features: hashes of the prepared rows.
        metrics: on the validation rows, with the other numbers of the kind.
        iterations: of the evaluated model.
        threshold: of the version.
        trials: of the search: the parameters of each and the value of the metric, ``None`` where it failed.
        stopped_by_time: whether the time limit ended the search before all trials were made.
        on_cpu: whether the fit ran on the CPU: on a GPU it is not repeatable.
        predictions_sha256: of the predictions that the metrics are of.
        own_function: name and source of the task's own function; empty without one.
    """

    environment: Environment
    fingerprints: Mapping[str, str]
    accepted: int
    rejected: int
    features: ColumnHashes
    metrics: Mapping[str, float]
    iterations: int
    threshold: float
    trials: tuple[Mapping[str, Any], ...]
    stopped_by_time: bool
    on_cpu: bool
    predictions_sha256: str
    own_function: Mapping[str, str] = field(default_factory=dict)

    def to_text(self) -> str:
        """As JSON; :meth:`from_text` is its inverse."""
        content = {**vars(self), "environment": self.environment.to_json(), "features": self.features.to_json()}
        content["trials"] = [dict(trial) for trial in self.trials]
        return json.dumps({"format": _FORMAT, **content}, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> "VersionRecord":
        """The inverse of :meth:`to_text`.

        Raises:
            DataError: the text is no such record.
        """
        try:
            content = json.loads(text)
            found = content.pop("format")
            if found != _FORMAT:
                raise DataError("the record of the training has another format", found=found, expected=_FORMAT)
            content["environment"] = Environment.from_json(content["environment"])
            content["features"] = ColumnHashes.from_json(content["features"])
            return cls(**{**content, "trials": tuple(content["trials"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError("the record of the training cannot be read", file=RECORD, found=error) from error


@dataclass
class Watched:
    """Takes from a stream of train features what a record needs, while the stream passes."""

    task: TaskSpec
    hashing: Hashing = field(default_factory=Hashing)
    _labelled: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def passing(self, stream: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """The same stream."""
        names = own_in_features(self.task)
        number, label = names[ROW_ADDRESS[1]], names[LABEL]

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in self.hashing.passing(stream):
                self._labelled.append(batch.column(number).filter(batch.column(label).is_valid()).to_numpy())
                yield batch

        return pa.RecordBatchReader.from_batches(stream.schema, batches())

    @property
    def labelled(self) -> npt.NDArray[np.int64]:
        """The numbers of the labelled rows, ascending."""
        return np.sort(np.concatenate(self._labelled)) if self._labelled else np.empty(0, dtype=np.int64)


def record_of(task: TaskSpec, manifest: Manifest, features: ColumnHashes, trained: Trained) -> VersionRecord:
    """The record of a training that has just been made in this process."""
    own = task.own_function()
    found = trained.found
    return VersionRecord(
        environment=here(),
        fingerprints={**feature_fingerprints(task, "train"), "training": task.fingerprint("training")},
        accepted=manifest.accepted,
        rejected=manifest.rejected,
        features=features,
        metrics={**trained.metrics, **trained.details},
        iterations=trained.fit.best_iteration + 1,
        threshold=trained.threshold.value,
        trials=()
        if found is None
        else tuple({**trial.parameters, trial.metric: trial.value} for trial in found.trials),
        stopped_by_time=found is not None and len(found.trials) < found.trials[0].of,
        on_cpu=_on_cpu(trained.fit.parameters),
        predictions_sha256=predictions_sha256(predictions_table(trained.prediction)),
        own_function={}
        if own is None or task.preparation is None
        else {"function": task.preparation.function, "source": own.source},
    )


def predictions_table(prediction: Prediction) -> pa.Table:
    """The output of a model as float64 columns: ``prediction``, or one per class; one row per validation row."""
    if not prediction.classes:
        return pa.table({_PREDICTION: prediction.output})
    return pa.table([pa.array(column) for column in prediction.output.T], names=list(prediction.classes))


def predictions_sha256(predictions: pa.Table) -> str:
    """Of the names of the columns and the bits of their values."""
    digest = hashlib.sha256()
    for name, column in zip(predictions.column_names, predictions.columns, strict=True):
        digest.update(f"{name}\0".encode())
        digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()


def to_bytes(predictions: pa.Table) -> bytes:
    """The table as a parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(predictions, sink, compression="zstd", use_dictionary=False)
    return bytes(sink.getvalue().to_pybytes())


def from_bytes(content: bytes) -> pa.Table:
    """The inverse of :func:`to_bytes`.

    Raises:
        DataError: the file is damaged.
    """
    try:
        return pq.read_table(pa.BufferReader(content))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError("the kept predictions cannot be read", file=PREDICTIONS, found=error) from error


def _on_cpu(parameters: Mapping[str, Any]) -> bool:
    return str(parameters.get("device", "cpu")) == "cpu" and parameters.get("task_type", "CPU") == "CPU"
