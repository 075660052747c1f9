"""The MLflow run of a training: dagster-mlflow opens it on first use; it gets the status of Dagster's run."""

import os
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import dagster as dg
from dagster import BetaWarning

from pipeline_assets.errors import TransientError
from pipeline_assets.stores.registry.client import answers
from pipeline_assets.stores.registry.registry import Registry

_TRACKING_URI = "MLFLOW_TRACKING_URI"
_PART = 500  # Dagster runs per look-up

Ending = Literal["FAILED", "KILLED", "FINISHED"]
_ENDINGS: dict[dg.DagsterRunStatus, Ending] = {
    dg.DagsterRunStatus.SUCCESS: "FINISHED",
    dg.DagsterRunStatus.FAILURE: "FAILED",
    dg.DagsterRunStatus.CANCELED: "KILLED",
}


def mlflow_run(task: str) -> dg.ResourceDefinition:
    """A resource that opens the task's MLflow run: an :class:`MlflowRun`."""

    @dg.resource(
        required_resource_keys={"registry"},
        description=f"The MLflow run of a training of {task}, in the experiment {task}",
    )
    def run(context: Any) -> Iterator[MlflowRun]:
        opened = MlflowRun(task, context.resources.registry, context)
        try:
            yield opened
        finally:
            opened.close()

    return run


class MlflowRun:
    """The MLflow run of one Dagster run, in the experiment named after the task.

    The first step that uses it opens it, not the start of Dagster: within a step, a server that does not answer
    leads to a retry of the step. A retried step continues in the same MLflow run.

    dagster-mlflow finds the status by an exception that is no longer there, or by a hook whose state ``dagster job
    execute`` resets; so with MLflow 3 neither marks a failed run. We use the stored step events instead.
    """

    def __init__(self, task: str, registry: Registry, context: Any) -> None:
        self._task, self._registry, self._context = task, registry, context
        self._opened: Any = None
        self._run_id = ""

    def active_run(self) -> Any:
        """MLflow's own record of the run.

        Raises:
            TransientError: MLflow does not answer.
            StoreError: it refuses.
        """
        if self._opened is None:
            # First, because the registry decides where an embedded experiment keeps its artifacts.
            self._registry.experiment(self._task)
            heal(self._task, self._registry, self._context.instance, self._context.run.run_id)
            with answers(self._registry.tracking_uri, f"open the run of {self._task}"):
                self._opened = self._open()
            self._run_id = self._opened.active_run().info.run_id
        return self._opened.active_run()

    def close(self) -> None:
        """Ends the run, if it was opened. A server that does not answer leaves it open: the next training ends it."""
        if self._opened is None:
            return
        try:
            with answers(self._registry.tracking_uri, f"end the run {self._run_id}"):
                self._opened.end_run(_ending(self._context.instance, self._context.run.run_id))
        except TransientError as fault:
            self._context.log.warning("an MLflow run stays open, and the next training ends it: %s", fault)

    def _open(self) -> Any:
        before = os.environ.get(_TRACKING_URI)
        with warnings.catch_warnings():
            # It warns on every use that it is beta; the lock file fixes its version.
            warnings.simplefilter("ignore", BetaWarning)
            # Imported here: MLflow takes seconds, and only trainings need it.
            from dagster_mlflow.resources import MlFlow

            try:
                return MlFlow(_Configured(self._task, self._registry.tracking_uri, self._context))  # type: ignore[no-untyped-call]  # it has no types
            finally:
                # MlFlow leaves its address in the environment, where later code would take it for the user's setting.
                os.environ.pop(_TRACKING_URI, None)
                if before is not None:
                    os.environ[_TRACKING_URI] = before


def heal(task: str, registry: Registry, instance: dg.DagsterInstance, this: str) -> list[str]:
    """Ends the MLflow runs that Dagster runs have left open, for example because they were killed.

    If this Dagster does not know the Dagster run, the MLflow run stays open: another Dagster may be running it.

    Args:
        task: its name.
        registry: where the runs are.
        instance: knows which Dagster runs have ended.
        this: the present Dagster run, whose MLflow run stays open.

    Returns:
        The MLflow run ids that were ended.
    """
    left = {made_by: run_id for run_id, made_by in registry.open_runs(task).items() if made_by != this}
    asked = list(left)
    ended = []
    for start in range(0, len(asked), _PART):
        known = instance.get_runs(dg.RunsFilter(run_ids=asked[start : start + _PART]))
        for run in known:
            if run.status in _ENDINGS:
                registry.end_run(left[run.run_id], _ENDINGS[run.status])
                ended.append(left[run.run_id])
    return ended


class _Configured:
    """A resource's context with the config that ``MlFlow`` needs; a resource without a schema has none."""

    def __init__(self, task: str, tracking_uri: str, context: Any) -> None:
        self.resource_config = {"experiment_name": task, "mlflow_tracking_uri": tracking_uri}
        self.log, self.run_id, self.dagster_run = context.log, context.run.run_id, context.run


def _ending(instance: dg.DagsterInstance, run_id: str) -> Ending:
    """FAILED if a step failed, KILLED if one never ended, FINISHED otherwise."""
    statuses = {stats.status.value for stats in instance.get_run_step_stats(run_id) if stats.status is not None}
    if "FAILURE" in statuses:
        return "FAILED"
    return "KILLED" if "IN_PROGRESS" in statuses else "FINISHED"
