"""Asset checks of drift: no feature or score of a predict batch is farther from its reference than the task says."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from pipeline_assets.assets.checks import batch_of_run
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.stores.marts.drift_table import drift_mart
from pipeline_assets.stores.marts.greenplum import MartStore

_COLUMNS = (
    "role", "column_name", "distance", "chance", "verdict", "warn_from", "fail_from", "row_count", "reference_rows",
    "model_version",
)  # fmt: skip
_NAMED = 5  # columns, in a sentence


def drift_checks(graph: TaskGraph) -> list[dg.AssetChecksDefinition]:
    """One check of the features and one of the scores, by the verdicts that the mart has."""
    key, table = graph.key("drift"), drift_mart(graph.task)
    texts = {
        "feature": ("features", "No feature is farther from the rows that evaluated the version than the limits say"),
        "score": ("scores", "No score column is farther from the scores of those rows than the limits say"),
    }
    # A check without a limit that fails never stops a run.
    blocking = graph.task.monitoring.drift.can_fail
    specs = [dg.AssetCheckSpec(name, asset=key, description=text, blocking=blocking) for name, text in texts.values()]

    @dg.multi_asset_check(name=f"{graph.task.name}__drift_checks", specs=specs, can_subset=True)
    def checks(
        context: dg.AssetCheckExecutionContext, marts: dg.ResourceParam[MartStore]
    ) -> Iterator[dg.AssetCheckResult]:
        batch = batch_of_run(graph, "predict", context).batch
        with translate_errors(0):
            rows = marts.read(table.name, {table.batch_column: batch}, list(_COLUMNS)).read_all().to_pylist()
        asked = {each.name for each in context.selected_asset_check_keys}
        results = {name: judged([row for row in rows if row["role"] == role]) for role, (name, _) in texts.items()}
        for name in asked:
            yield results[name]._replace(asset_key=key, check_name=name)
        failed = [
            found
            for name, found in results.items()
            if name in asked and not found.passed and found.severity == dg.AssetCheckSeverity.ERROR
        ]
        if failed:
            # Instead of Dagster's own error, which says that a check failed but not what is wrong.
            raise dg.Failure(description=str(failed[0].description), allow_retries=False)

    return [checks]


def judged(rows: Sequence[dict[str, Any]]) -> dg.AssetCheckResult:
    """Passes if every verdict is ok; the worst verdict decides between a warning and a failure.

    Args:
        rows: of the mart, of one batch and role.
    """
    if not rows:
        said = "nothing was compared: the batch has no rows, or its version was trained before references were kept"
        return dg.AssetCheckResult(passed=True, description=said)
    ordered = sorted(rows, key=lambda row: -row["distance"])
    worst = ordered[0]
    drifted = [row for row in ordered if row["verdict"] != "ok"]
    failed = any(row["verdict"] == "fail" for row in drifted)
    of = f"of the rows that evaluated version {worst['model_version']}"
    if drifted:
        named = ", ".join(_named(row) for row in drifted[:_NAMED])
        more = f" and {len(drifted) - _NAMED} more" if len(drifted) > _NAMED else ""
        said = f"{len(drifted)} of {len(rows)} columns are far from those {of}: {named}{more}"
    else:
        said = f"all {len(rows)} columns are near those {of}; the farthest is {_named(worst)}"
    return dg.AssetCheckResult(
        passed=not drifted,
        severity=dg.AssetCheckSeverity.ERROR if failed else dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={
            "columns": len(rows),
            "drifted_columns": len(drifted),
            "worst_column": worst["column_name"],
            "worst_distance": worst["distance"],
        },
    )


def _named(row: dict[str, Any]) -> str:
    which = "fail" if row["verdict"] == "fail" else "warn"
    limit = row[f"{which}_from"]
    beyond = "" if limit is None else f", {which}s from {limit:g} on"
    limits = [each for each in (row["warn_from"], row["fail_from"]) if each is not None]
    if row["verdict"] == "ok" and any(row["distance"] >= each for each in limits):
        counts = f"{row['reference_rows']:,} and {row['row_count']:,} rows"
        beyond = f", within chance: samples of {counts} differ by up to {row['chance']:.3f}"
    return f"{row['column_name']} (distance {row['distance']:.3f}{beyond})"
