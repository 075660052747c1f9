"""Asset checks: no row is lost from file to mart, keys are unique, limits hold. They read the stores, not the run."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from pipeline_assets.assets import describe
from pipeline_assets.assets.champion import made_by
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.record import CheckRecord, current_record, examples_of, key_rule
from pipeline_assets.errors import in_line
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
REJECTED_SHARE = "rejected_share"  # a check of a raw batch

# How many of the broken rules an error names.
_TOP_RULES = 3


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


def batch_of(context: dg.AssetCheckExecutionContext) -> str:
    """The batch of the run: a check has no partitions of its own yet (Dagster previews them)."""
    batch = context.run.tags.get(PARTITION_NAME_TAG)
    if batch is None:
        raise dg.Failure("no batch is named; run the check together with its asset", allow_retries=False)
    return batch


def batch_of_run(graph: TaskGraph, stage: Stage, context: dg.AssetCheckExecutionContext) -> BatchRef:
    """The same, as a batch of a stage."""
    return graph.ref(stage, batch_of(context))


def _check(
    graph: TaskGraph, asset: str, name: str, description: str, *, blocking: bool = True
) -> Callable[[Callable[..., Any]], Check]:
    return dg.asset_check(asset=graph.key(asset), name=name, description=description, blocking=blocking)


def _raw_checks(graph: TaskGraph, stage: Stage) -> list[Check]:
    """All checks of a raw batch in one step, so that the record of its check is read once."""
    key, task = graph.key(f"{stage}_raw"), graph.task
    specs = [
        dg.AssetCheckSpec(
            "rows_add_up",
            asset=key,
            description="Raw rows are the accepted and the rejected ones, and the rejected are on file",
            blocking=True,
        ),
        dg.AssetCheckSpec(
            REJECTED_SHARE,
            asset=key,
            description=f"At most {task.limits.rejected_share:.1%} of the rows break the contract",
            blocking=True,
        ),
        dg.AssetCheckSpec(
            "columns_expected", asset=key, description="The file has the contract's columns and no others"
        ),
    ]
    if task.key:
        columns = ", ".join(task.key)
        description = f"No two rows have the same {columns}; later ones are rejected"
        specs.append(dg.AssetCheckSpec("key_unique", asset=key, description=description))

    @dg.multi_asset_check(name=f"{task.name}__{stage}_raw_checks", specs=specs, can_subset=True)
    def raw_checks(
        context: dg.AssetCheckExecutionContext, files: dg.ResourceParam[FileStore]
    ) -> Iterator[dg.AssetCheckResult]:
        with translate_errors(0):
            record = current_record(files, task, batch_of_run(graph, stage, context))
            share = rejected_share(record, task)
        found = {
            "rows_add_up": _rows_of(record),
            REJECTED_SHARE: share,
            "columns_expected": _columns_expected(record.manifest),
            "key_unique": _key_unique(record.manifest, task),
        }
        asked = [spec.name for spec in specs if spec.key in context.selected_asset_check_keys]
        for name in asked:
            yield found[name]._replace(asset_key=key, check_name=name)
        if REJECTED_SHARE in asked and not share.passed:
            # Instead of Dagster's own error, which says that a check failed but not what is wrong.
            raise dg.Failure(description=share.description, allow_retries=False)

    return [raw_checks]


def _rows_of(record: CheckRecord) -> dg.AssetCheckResult:
    found = record.manifest
    return equal({"raw": sum(found.rows_of_parts), "accepted + rejected on file": found.accepted + record.stored.rows})


def rejected_share(record: CheckRecord, task: TaskSpec) -> dg.AssetCheckResult:
    """Passes up to the task's limit; above it says which rules are broken most, by which rows, and where they are."""
    found, uri = record.manifest, record.stored.uri
    share, limit = found.rejected / found.rows, task.limits.rejected_share
    said = f"{found.rejected} of {found.rows} rows rejected ({share:.2%}); the limit is {limit:.2%}"
    passed = share <= limit
    metadata: dict[str, Any] = {
        "rejected_rows": found.rejected,
        "share": round(share, 6),
        "limit": limit,
        "rejected_rows_uri": uri,
    }
    if not passed:
        examples = examples_of(record, _TOP_RULES)
        lines = [
            f"  {rows} rows: {rule}{f'; row {examples[rule][0]}: {examples[rule][1]}' if rule in examples else ''}"
            for rule, rows in list(found.reasons.items())[:_TOP_RULES]
        ]
        do = f"see the rejected rows with their reasons in {uri}; mend the file, or set limits.rejected_share"
        said = "\n".join([said, *lines, f"  do:        {do}"])
        metadata["reasons"] = describe.reasons(found.reasons)
    return dg.AssetCheckResult(passed=passed, metadata=metadata, description=said)


def _columns_expected(found: Manifest) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not found.unexpected,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"unexpected: {in_line(found.unexpected) or 'none'}",
    )


def _key_unique(found: Manifest, task: TaskSpec) -> dg.AssetCheckResult:
    repeated = found.reasons.get(key_rule(task), 0)
    return dg.AssetCheckResult(
        passed=repeated == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"repeated": repeated},
        description=f"{repeated} rows repeat the key of an earlier row and were rejected",
    )


def _manifest(graph: TaskGraph, files: FileStore, ref: BatchRef) -> Manifest:
    with translate_errors(0):
        return current_record(files, graph.task, ref).manifest


def _features_check(graph: TaskGraph, stage: Stage) -> Check:
    @_check(graph, f"{stage}_features", "rows_add_up", "Every accepted row has its features")
    def rows_add_up(
        context: dg.AssetCheckExecutionContext,
        files: dg.ResourceParam[FileStore],
        features: dg.ResourceParam[FeatureStore],
    ) -> dg.AssetCheckResult:
        ref = batch_of_run(graph, stage, context)
        with translate_errors(0):
            stored = features.count(feature_table(graph.task, stage), ref.batch)
        return equal({"accepted": _manifest(graph, files, ref).accepted, "features": stored})

    return rows_add_up


def _input_mart_check(graph: TaskGraph, stage: Stage) -> Check:
    @_check(graph, f"{stage}_input_mart", "rows_add_up", "Every accepted row is in the mart")
    def rows_add_up(
        context: dg.AssetCheckExecutionContext, files: dg.ResourceParam[FileStore], marts: dg.ResourceParam[MartStore]
    ) -> dg.AssetCheckResult:
        ref = batch_of_run(graph, stage, context)
        with translate_errors(0):
            mart = input_mart(graph.task, stage)
            stored = marts.count(mart.name, {mart.batch_column: ref.batch})
        return equal({"accepted": _manifest(graph, files, ref).accepted, "mart": stored})

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
        ref = batch_of_run(graph, "predict", context)
        with translate_errors(0):
            scores, output = files.read(Area.SCORES, ref), files.read(Area.OUTPUT, ref)
            kept_rows = None if scores is None else _kept(graph.task, scores)
        scored = equal({"accepted": _manifest(graph, files, ref).accepted, "scored": scores.rows if scores else None})
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
        ref = batch_of_run(graph, "predict", context)
        with translate_errors(0):
            scores = files.read(Area.SCORES, ref)
            stored = marts.count(output_mart(graph.task).name, {"batch": ref.batch})
            here = {input_mart(graph.task, "predict").batch_column: ref.batch}
            linked = marts.count(lineage(graph.task).name, here)
        return equal({"scored": scores.rows if scores else None, "mart": stored, "lineage": linked})

    return rows_add_up
