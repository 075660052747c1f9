"""The files that a training keeps with its version, beside those of its model."""

from pipeline_assets.ml.kinds.base import predict
from pipeline_assets.ml.training import Trained
from pipeline_assets.monitoring.batch_drift import DRIFT_REFERENCE, DriftReference
from pipeline_assets.monitoring.judging import BASELINE_FILE, baseline_text
from pipeline_assets.monitoring.version_record import PREDICTIONS, RECORD, VersionRecord, predictions_table, to_bytes
from pipeline_assets.task.spec import TaskSpec


def kept_files(task: TaskSpec, record: VersionRecord, trained: Trained) -> dict[str, str | bytes]:
    """By name: what the version is reproduced from, and what its predictions and their batches are compared with."""
    return {
        RECORD: record.to_text(),
        PREDICTIONS: to_bytes(predictions_table(trained.prediction)),
        DRIFT_REFERENCE: _drift_reference(task, trained).to_text(),
        BASELINE_FILE: baseline_text(trained.constant),
    }


def _drift_reference(task: TaskSpec, trained: Trained) -> DriftReference:
    """What predict batches are compared with."""
    features, predictions = trained.validation.features, [trained.prediction]
    if trained.refitted:
        predictions.append(predict(task, trained.model, features, trained.threshold.value))
    return DriftReference.of(task, features, *predictions)
