"""Asset checks: no row vanishes from file to mart, keys are unique, limits hold. They ask the stores, not the run."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from pipeline_assets.assets.champion import made_by
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.duckdb.raw_batch import key_rule, manifest_of
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.ml.kinds.base import kind_of, reaches
from pipeline_assets.stores.features.base import FeatureStore, feature_table
from pipeline_assets.stores.files.base import Area, FileStore, StoredFile
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.tables import input_mart, lineage, output_mart
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.spec import DECISION, Stage, TaskSpec

Check = dg.AssetChecksDefinition


def train_checks(graph: TaskGraph) -> list[Check]:
    """Checks of the train chain."""
    return [
        *_raw_checks(graph, "train"),
        _features_check(graph, "train"),
        _input_mart_check(graph, "train"),
        _metric_floor(graph),
    ]


def predict_checks(graph: TaskGraph) -> list[Check]:
    """Checks of the predict chain."""
    return [
        *_raw_checks(graph, "predict"),
        _features_check(graph, "predict"),
        _input_mart_check(graph, "predict"),
        _predictions_check(graph),
        _output_mart_check(graph),
    ]


def equal(counts: Mapping[str, int | None]) -> dg.AssetCheckResult:
    """Passes if all counts are one number."""
    values = set(counts.values())
    return dg.AssetCheckResult(
        passed=len(values) == 1 and None not in values,
        metadata={name: "not there" if count is None else count for name, count in counts.items()},
        description=", ".join(f"{name}: {count}" for name, count in counts.items()),
    )


def _ref(graph: TaskGraph, stage: Stage, context: dg.AssetCheckExecutionContext) -> BatchRef:
    """The batch of the run: a check has no partitions of its own yet (Dagster previews them)."""
    batch = context.run.tags.get(PARTITION_NAME_TAG)
    if batch is None:
        raise dg.Failure("no batch is named; run the check together with its asset", allow_retries=False)
    return graph.ref(stage, batch)


def _check(
    graph: TaskGraph, asset: str, name: str, description: str, *, blocking: bool = True
) -> Callable[[Callable[..., Any]], Check]:
    return dg.asset_check(asset=graph.key(asset), name=name, description=description, blocking=blocking)


def _raw_checks(graph: TaskGraph, stage: Stage) -> list[Check]:
    asset = f"{stage}_raw"

    @_check(
        graph,
        asset,
        "rows_add_up",
        "Raw rows are the accepted and the rejected ones, and the rejected are on file",
    )
    def rows_add_up(context: dg.AssetCheckExecutionContext, files: dg.ResourceParam[FileStore]) -> dg.AssetCheckResult:
        ref = _ref(graph, stage, context)
        with translate_errors(0):
            found = manifest_of(files, ref)
            stored = files.read(Area.REJECTED, ref)
        in_parts = sum(found.rows_of_parts)
        return equal({"raw": in_parts, "accepted + rejected on file": found.accepted + (stored.rows if stored else 0)})

    @_check(
        graph,
        asset,
        "rejected_share",
        f"At most {graph.task.limits.rejected_share:.1%} of the rows break the contract",
    )
    def rejected_share(
        context: dg.AssetCheckExecutionContext, files: dg.ResourceParam[FileStore]
    ) -> dg.AssetCheckResult:
        found = _manifest(files, _ref(graph, stage, context))
        share, limit = found.rejected / found.rows, graph.task.limits.rejected_share
        return dg.AssetCheckResult(
            passed=share <= limit,
            metadata={"rejected_rows": found.rejected, "share": round(share, 6), "limit": limit},
            description=f"{found.rejected} of {found.rows} rows rejected ({share:.2%}); the limit is {limit:.2%}",
        )

    @_check(graph, asset, "columns_expected", "The file has the contract's columns and no others", blocking=False)
    def columns_expected(
        context: dg.AssetCheckExecutionContext, files: dg.ResourceParam[FileStore]
    ) -> dg.AssetCheckResult:
        found = _manifest(files, _ref(graph, stage, context))
        return dg.AssetCheckResult(
            passed=not found.unexpected,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"unexpected: {', '.join(found.unexpected) or 'none'}",
        )

    checks = [rows_add_up, rejected_share, columns_expected]
    if graph.task.key:
        checks.append(_key_unique(graph, stage))
    return checks


def _key_unique(graph: TaskGraph, stage: Stage) -> Check:
    key = ", ".join(graph.task.key)

    @_check(
        graph,
        f"{stage}_raw",
        "key_unique",
        f"No two rows have the same {key}; later ones are rejected",
        blocking=False,
    )
    def key_unique(context: dg.AssetCheckExecutionContext, files: dg.ResourceParam[FileStore]) -> dg.AssetCheckResult:
        found = _manifest(files, _ref(graph, stage, context))
        repeated = found.reasons.get(key_rule(graph.task), 0)
        return dg.AssetCheckResult(
            passed=repeated == 0,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"repeated": repeated},
            description=f"{repeated} rows repeat the key of an earlier row and were rejected",
        )

    return key_unique


def _manifest(files: FileStore, ref: BatchRef) -> Manifest:
    with translate_errors(0):
        return manifest_of(files, ref)


def _features_check(graph: TaskGraph, stage: Stage) -> Check:
    @_check(graph, f"{stage}_features", "rows_add_up", "Every accepted row has its features")
    def rows_add_up(
        context: dg.AssetCheckExecutionContext,
        files: dg.ResourceParam[FileStore],
        features: dg.ResourceParam[FeatureStore],
    ) -> dg.AssetCheckResult:
        ref = _ref(graph, stage, context)
        with translate_errors(0):
            stored = features.count(feature_table(graph.task, stage), ref.batch)
        return equal({"accepted": _manifest(files, ref).accepted, "features": stored})

    return rows_add_up


def _input_mart_check(graph: TaskGraph, stage: Stage) -> Check:
    @_check(graph, f"{stage}_input_mart", "rows_add_up", "Every accepted row is in the mart")
    def rows_add_up(
        context: dg.AssetCheckExecutionContext, files: dg.ResourceParam[FileStore], marts: dg.ResourceParam[MartStore]
    ) -> dg.AssetCheckResult:
        ref = _ref(graph, stage, context)
        with translate_errors(0):
            stored = marts.count(input_mart(graph.task, stage).name, {"batch": ref.batch})
        return equal({"accepted": _manifest(files, ref).accepted, "mart": stored})

    return rows_add_up


def _metric_floor(graph: TaskGraph) -> Check:
    metric, limit = graph.task.training.metric, graph.task.limits.metric

    @_check(
        graph,
        "model",
        "metric_floor",
        f"The new version's {metric} reaches {limit if limit is not None else 'any value'}",
        blocking=False,
    )
    def metric_floor(
        context: dg.AssetCheckExecutionContext, registry: dg.ResourceParam[Registry]
    ) -> dg.AssetCheckResult:
        with translate_errors(0):
            made = made_by(registry.candidates(graph.task.name), context.run)
        if made is None:
            raise dg.Failure(
                f"no version of {graph.task.name} was made by this run; run the check together with its asset",
                allow_retries=False,
            )
        value = made.metrics[metric]
        return dg.AssetCheckResult(
            passed=limit is None or reaches(kind_of(graph.task), metric, value, limit),
            metadata={metric: value, "model_version": made.version},
            description=f"version {made.version} has {metric} {value:.4f}",
        )

    return metric_floor


def _predictions_check(graph: TaskGraph) -> Check:
    @_check(
        graph,
        "predictions",
        "rows_add_up",
        "Every accepted row is scored; the output holds those that the rule keeps, or all",
    )
    def rows_add_up(context: dg.AssetCheckExecutionContext, files: dg.ResourceParam[FileStore]) -> dg.AssetCheckResult:
        ref = _ref(graph, "predict", context)
        with translate_errors(0):
            scores, output = files.read(Area.SCORES, ref), files.read(Area.OUTPUT, ref)
            kept_rows = None if scores is None else _kept(graph.task, scores)
        scored = equal({"accepted": _manifest(files, ref).accepted, "scored": scores.rows if scores else None})
        kept = equal({"kept": kept_rows, "output": output.rows if output else None})
        return dg.AssetCheckResult(
            passed=scored.passed and kept.passed,
            metadata={**scored.metadata, **kept.metadata},
            description=f"{scored.description}; {kept.description}",
        )

    return rows_add_up


def _kept(task: TaskSpec, scores: StoredFile) -> int:
    """How many rows the output file should hold."""
    if task.output.where is None:
        return scores.rows
    return sum(batch.column(0).true_count for batch in scores.batches([DECISION]))


def _output_mart_check(graph: TaskGraph) -> Check:
    @_check(
        graph,
        "predict_output_mart",
        "rows_add_up",
        "Every scored row is in the mart and finds its input row in the lineage view",
    )
    def rows_add_up(
        context: dg.AssetCheckExecutionContext, files: dg.ResourceParam[FileStore], marts: dg.ResourceParam[MartStore]
    ) -> dg.AssetCheckResult:
        ref = _ref(graph, "predict", context)
        with translate_errors(0):
            scores = files.read(Area.SCORES, ref)
            stored = marts.count(output_mart(graph.task).name, {"batch": ref.batch})
            linked = marts.count(lineage(graph.task).name, {"batch": ref.batch})
        return equal({"scored": scores.rows if scores else None, "mart": stored, "lineage": linked})

    return rows_add_up
