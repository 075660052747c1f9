"""Drift: compares all rows of a predict batch, features and scores, with the rows that evaluated its version."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.errors import DataError, located
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.predictions import check_scored_under, check_still_those_of, read_scores
from pipeline_assets.monitoring.batch_drift import DRIFT_REFERENCE, ColumnDrift, DriftReference, compared
from pipeline_assets.monitoring.drift import Bin, count_rows
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.marts.drift_table import drift_mart
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import TaskSpec


def drift_asset(graph: TaskGraph) -> dg.AssetsDefinition:
    """``<task>/drift``."""
    task = graph.task

    @graph.asset(
        "predict",
        "drift",
        kinds=["greenplum"],
        description="How far each feature and score of the batch is from the rows that evaluated the version which"
        " predicted it: the Jensen-Shannon distance of all rows, less what chance does.",
        metadata={
            **describe.mart_schema(drift_mart(task)),
            **describe.drift_lineage(task, graph.key("predictions"), graph.key("predict_features")),
        },
        ins={"features": dg.AssetIn(key=graph.key("predict_features"))},
        deps=[graph.key("predictions")],
        io_manager_key=graph.resource("mart_io"),
    )
    def drift(
        context: dg.AssetExecutionContext,
        features: pa.RecordBatchReader,
        files: dg.ResourceParam[FileStore],
        registry: dg.ResourceParam[Registry],
    ) -> dg.Output[pa.RecordBatchReader]:
        ref = graph.ref("predict", context.partition_key)
        with translate_errors(context.retry_number):
            version = _version(files, task, ref)
            reference = _reference(registry, task, version)
            found = [] if reference is None else _compared(files, task, ref, features, reference)
        if reference is None:
            context.log.warning(no_reference(version))
        rows = [_row(each, ref, version, context.run.run_id) for each in found]
        schema = drift_mart(task).schema
        reader = pa.RecordBatchReader.from_batches(schema, [pa.RecordBatch.from_pylist(rows, schema)])
        said = {"reference": no_reference(version)} if reference is None else _metadata(found)
        return dg.Output(reader, metadata={"model_version": version, **said})

    return drift


def no_reference(version: int) -> str:
    """What is said of a version of former code."""
    return (
        f"version {version} has no reference for drift: it was trained by an earlier version of the pipeline; a version"
        " that is trained now has one"
    )


def _version(files: FileStore, task: TaskSpec, ref: BatchRef) -> int:
    """The version that predicted the batch.

    Raises:
        DataError: it predicted features that the task does not have any more.
    """
    provenance = read_scores(files, ref).provenance
    with located(ref.facts()):
        what = "the batch was scored with other features than the task has now"
        check_scored_under(task, ref, provenance, "features", what)
    return int(provenance["model_version"])


def _reference(registry: Registry, task: TaskSpec, version: int) -> DriftReference | None:
    made = registry.candidate(task.name, version)
    text = None if made is None or not made.run_id else registry.read_text(made.run_id, DRIFT_REFERENCE)
    return None if text is None else DriftReference.from_text(text)


def _compared(
    files: FileStore, task: TaskSpec, ref: BatchRef, features: pa.RecordBatchReader, reference: DriftReference
) -> list[ColumnDrift]:
    """All columns of the batch; none of a batch without rows.

    Raises:
        DataError: the scores are not those of the stored features.
        TransientError: another run wrote the scores meanwhile.
    """
    counts = count_rows(reference.feature_bins, features)
    stored = read_scores(files, ref, tuple(reference.scores))
    score_counts = count_rows(reference.score_bins, stored.rows)
    check_still_those_of(files, ref, stored.provenance)
    totals = {int(each.sum()) for each in (*counts.values(), *score_counts.values())}
    if totals == {0}:
        return []
    if len(totals) > 1:
        raise DataError(
            "the batch's scores are not those of its stored features",
            **ref.facts(),
            found=f"{' and '.join(map(str, sorted(totals)))} rows",
            do=f"materialise {ref.task}/predictions for this batch again",
        )
    types = {field.name: field.type for field in stored.rows.schema}
    return list(compared(task, reference, counts, score_counts, types))


def _row(found: ColumnDrift, ref: BatchRef, version: int, run_id: str) -> dict[str, Any]:
    return {
        "role": found.role,
        "column_name": found.name,
        "batch": ref.batch,
        "model_version": version,
        "distance": found.difference.distance,
        "chance": found.difference.chance,
        "verdict": found.verdict,
        "warn_from": found.limits.warn,
        "fail_from": found.limits.fail,
        "row_count": found.difference.rows,
        "reference_rows": found.difference.reference_rows,
        "bins": json.dumps([_bin(each) for each in found.difference.bins], ensure_ascii=False),
        "run_id": run_id,
        "compared_at": datetime.now(UTC),
    }


def _bin(each: Bin) -> dict[str, Any]:
    bounds = {"low": each.low, "high": each.high} if each.kind == "range" else {}
    value = {"value": each.value} if each.kind == "value" else {}
    return {"kind": each.kind, **bounds, **value, "reference": each.reference, "batch": each.others}


def _metadata(found: Sequence[ColumnDrift]) -> dict[str, Any]:
    """Numbers that Dagster plots over the batches."""
    if not found:
        return {}
    features = [each for each in found if each.role == "feature"]
    worst = max(features, key=lambda each: each.difference.distance)
    return {
        "compared_rows": worst.difference.rows,
        "reference_rows": worst.difference.reference_rows,
        "worst_feature": worst.name,
        "worst_feature_distance": worst.difference.distance,
        **{f"distance of {each.role} {each.name}": each.difference.distance for each in found},
    }
