"""Asset checks of truth: it meets the predictions, they beat the constant baseline, and metrics keep their limits."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from pipeline_assets.assets.checks import batch_of
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.ml.kinds.base import gain, kind_of
from pipeline_assets.monitoring.judging import missed_limits
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.quality import metric_columns, quality
from pipeline_assets.task.judged_metrics import judged_metrics
from pipeline_assets.task.spec import TaskSpec

_WARN, _FAIL = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
# Counts of a matching that say that truth and predictions are not of the same rows, and what each means.
_ODD = {
    "unusable": "rows of the truth cannot be read",
    "repeated": "rows repeat a key",
    "contradicting": "keys have different labels",
    "unpredicted": "keys match no prediction",
}


def truth_checks(graph: TaskGraph) -> list[dg.AssetChecksDefinition]:
    """Checks of ``<task>/truth``, in one step, so that the judgement is read once."""
    key, task = graph.key("truth"), graph.task
    watched = task.monitoring.truth
    described = {
        "keys_match": "Every row of the truth finds its prediction, and no key has two labels",
        "beats_baseline": f"The predictions' {task.training.metric} is better than that of the constant baseline",
        **({"quality": f"At least as good as {_said(watched.fail)}"} if watched.fail else {}),
        **({"quality_warning": f"At least as good as {_said(watched.warn)}"} if watched.warn else {}),
    }
    specs = [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in described.items()]

    @dg.multi_asset_check(name=f"{task.name}__truth_checks", specs=specs, can_subset=True)
    def truth_checks(
        context: dg.AssetCheckExecutionContext, marts: dg.ResourceParam[MartStore]
    ) -> Iterator[dg.AssetCheckResult]:
        batch = batch_of(context)
        with translate_errors(0):
            row = _judgement(task, marts, batch)
        for spec in specs:
            if spec.key in context.selected_asset_check_keys:
                yield _result(task, spec.name, row)._replace(asset_key=key, check_name=spec.name)

    return [truth_checks]


def _said(limits: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {limit:g}" for name, limit in limits.items())


def _judgement(task: TaskSpec, marts: MartStore, batch: str) -> dict[str, Any]:
    """The last judgement of all rows of a batch."""
    where = {"batch": batch, "segment": "", "segment_value": ""}
    name = quality(task).name
    rows: list[dict[str, Any]] = marts.read(name, where).read_all().to_pylist() if marts.count(name, where) else []
    if not rows:
        raise dg.Failure(f"{batch} was not judged yet; run the check together with its asset", allow_retries=False)
    return max(rows, key=lambda row: row["judged_at"])


def _result(task: TaskSpec, name: str, row: Mapping[str, Any]) -> dg.AssetCheckResult:
    if name == "keys_match":
        return _keys_match(row)
    if name == "beats_baseline":
        return _beats_baseline(task, row)
    watched = task.monitoring.truth
    limits, severity = (watched.fail, _FAIL) if name == "quality" else (watched.warn, _WARN)
    metrics = {each: row[own] for each, (own, _) in metric_columns(task).items() if row[own] is not None}
    shown = {each: metrics[each] for each in limits if each in metrics}
    if row["judged_rows"] < watched.minimum_rows:
        few = f"{row['judged_rows']} labels are known; {watched.minimum_rows} are needed to judge (minimum_rows)"
        return dg.AssetCheckResult(passed=False, severity=_WARN, metadata=shown, description=few)
    missed = missed_limits(judged_metrics(task.target.kind), metrics, limits)
    good = ", ".join(f"{each} {value:.4g}" for each, value in shown.items())
    said = "; ".join(missed) if missed else good
    return dg.AssetCheckResult(
        passed=not missed,
        severity=severity,
        metadata={**shown, "model_version": row["model_version"]},
        description=f"version {row['model_version']}, {row['judged_rows']} rows: {said}",
    )


def _keys_match(row: Mapping[str, Any]) -> dg.AssetCheckResult:
    counts = json.loads(row["matching"])
    odd = [f"{counts[name]} {text}" for name, text in _ODD.items() if counts[name]]
    known = f"{counts['judged']} of {counts['predictions']} predictions have a label"
    if counts["first_unusable"] is not None:
        odd[0] += f" (the first is row {counts['first_unusable']})"
    return dg.AssetCheckResult(
        passed=not odd,
        severity=_WARN,
        metadata={name: count for name, count in counts.items() if count is not None},
        description="; ".join([known, *odd]),
    )


def _beats_baseline(task: TaskSpec, row: Mapping[str, Any]) -> dg.AssetCheckResult:
    metric = task.training.metric
    own, baseline = (row[column] for column in metric_columns(task)[metric])
    if own is None or baseline is None:
        why = row["problem"] or f"there is no {metric}"
        return dg.AssetCheckResult(passed=False, severity=_WARN, description=f"cannot be said: {why}")
    return dg.AssetCheckResult(
        passed=gain(kind_of(task), metric, own, baseline) > 0,
        severity=_WARN,
        metadata={metric: own, f"{metric}_of_constant_baseline": baseline},
        description=f"{metric} {own:.4g}, of the constant baseline {baseline:.4g}",
    )
