"""The MLflow run of a training: opened by dagster-mlflow when it is asked for, closed as Dagster's run went."""

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
_PART = 500  # Dagster runs looked up at once

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

    It is opened by the first step that asks for it, not when Dagster starts: there, a server that does not answer
    is a reason to try the step again. A step that is tried again goes on in the same MLflow run.

    dagster-mlflow ends a run by an exception that is gone by then, or by a hook whose memory ``dagster job
    execute`` starts anew, so with MLflow 3 neither marks a failed run. The stored step events do.
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
            # First, because an embedded experiment keeps its artifacts where the registry says.
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
            # It says that it is beta on every use; the lock file is our answer to that.
            warnings.simplefilter("ignore", BetaWarning)
            # Imported here: MLflow takes seconds, and only trainings need it.
            from dagster_mlflow.resources import MlFlow

            try:
                return MlFlow(_Configured(self._task, self._registry.tracking_uri, self._context))  # type: ignore[no-untyped-call]  # it has no types
            finally:
                # MlFlow leaves its address in the environment, where the next reader would take it for the user's.
                os.environ.pop(_TRACKING_URI, None)
                if before is not None:
                    os.environ[_TRACKING_URI] = before


def heal(task: str, registry: Registry, instance: dg.DagsterInstance, this: str) -> list[str]:
    """Ends the MLflow runs that Dagster runs have left open, such as those that were killed.

    A run of a Dagster run that this Dagster does not know stays open: another Dagster may be in the middle of it.

    Args:
        task: its name.
        registry: where the runs are.
        instance: knows which Dagster runs are over.
        this: the Dagster run that asks, which goes on.

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
    """A resource's context with the config that ``MlFlow`` looks for, which a resource without a schema lacks."""

    def __init__(self, task: str, tracking_uri: str, context: Any) -> None:
        self.resource_config = {"experiment_name": task, "mlflow_tracking_uri": tracking_uri}
        self.log, self.run_id, self.dagster_run = context.log, context.run.run_id, context.run


def _ending(instance: dg.DagsterInstance, run_id: str) -> Ending:
    """FAILED if a step failed, KILLED if one never ended, FINISHED otherwise."""
    statuses = {stats.status.value for stats in instance.get_run_step_stats(run_id) if stats.status is not None}
    if "FAILURE" in statuses:
        return "FAILED"
    return "KILLED" if "IN_PROGRESS" in statuses else "FINISHED"
