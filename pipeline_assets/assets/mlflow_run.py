"""The MLflow run of a training: opened by dagster-mlflow, closed by what Dagster has stored of the run."""

import os
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import dagster as dg
from dagster import BetaWarning

from pipeline_assets.io_managers.errors import translate_errors

_TRACKING_URI = "MLFLOW_TRACKING_URI"
_OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def mlflow_run(task: str) -> dg.ResourceDefinition:
    """A resource that is dagster-mlflow's ``MlFlow``; the experiment is named after the task.

    dagster-mlflow ends a run by an exception that is gone by then, or by a hook whose memory ``dagster job
    execute`` starts anew, so with MLflow 3 neither marks a failed run. The stored step events do.
    """

    @dg.resource(
        required_resource_keys={"registry"},
        description=f"The MLflow run of a training of {task}, in the experiment {task}",
    )
    def run(context: Any) -> Iterator[Any]:
        registry = context.resources.registry
        with translate_errors(None):
            # First, because an embedded experiment keeps its artifacts where the registry says.
            registry.experiment(task)
            registry.heal(task, _over(context.instance, context.run.run_id))
        before = os.environ.get(_TRACKING_URI)
        with warnings.catch_warnings():
            # It says that it is beta on every use; the lock file is our answer to that.
            warnings.simplefilter("ignore", BetaWarning)
            # Imported here: MLflow takes seconds, and only trainings need it.
            from dagster_mlflow.resources import MlFlow

            config = {"experiment_name": task, "mlflow_tracking_uri": registry.tracking_uri}
            opened: Any = MlFlow(_Configured(context, config))  # type: ignore[no-untyped-call]  # it has no types
        try:
            yield opened
        finally:
            opened.end_run(_status(context.instance, context.run.run_id))
            # MlFlow leaves its address in the environment, where the next reader would take it for the user's.
            os.environ.pop(_TRACKING_URI, None)
            if before is not None:
                os.environ[_TRACKING_URI] = before

    return run


class _Configured:
    """A resource's context with the config that ``MlFlow`` looks for, which a resource without a schema lacks."""

    def __init__(self, context: Any, config: dict[str, Any]) -> None:
        self.resource_config = config
        self.log, self.run_id, self.dagster_run = context.log, context.run.run_id, context.run


def _status(instance: dg.DagsterInstance, run_id: str) -> Literal["FAILED", "KILLED", "FINISHED"]:
    """FAILED if a step failed, KILLED if one never ended, FINISHED otherwise."""
    statuses = {stats.status.value for stats in instance.get_run_step_stats(run_id) if stats.status is not None}
    if "FAILURE" in statuses:
        return "FAILED"
    return "KILLED" if "IN_PROGRESS" in statuses else "FINISHED"


def _over(instance: dg.DagsterInstance, this: str) -> set[str]:
    """Dagster runs that have ended: an MLflow run of theirs that is still open was left by a killed process."""
    return {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=_OVER), limit=1000)} - {this}
