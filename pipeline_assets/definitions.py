"""What Dagster loads: every task of the folders that the environment names, with the stores that it names."""

import os
import warnings

import dagster as dg

from pipeline_assets.alerts.sensors import alert_sensors
from pipeline_assets.collector import collecting_later
from pipeline_assets.components.tasks import load_task_definitions, load_tasks
from pipeline_assets.lineage_events.reporting import reporting
from pipeline_assets.operations.jobs import operation_jobs
from pipeline_assets.resources import resources
from pipeline_assets.settings import Settings

# Dagster warns about its own code whenever it combines checks and assets; no user can act on it.
warnings.filterwarnings("ignore", "Parameter `execution_type` of function `AssetsDefinition", dg.BetaWarning)


@dg.definitions
def defs() -> dg.Definitions:
    """The code location.

    A broken task is marked and the others work. In a strict check it is an error instead: ``dg check defs`` sets
    ``DAGSTER_IS_DEFS_VALIDATION_CLI``, and a CI may set ``PIPELINE_STRICT``.
    """
    settings = Settings.from_env()
    strict = any(os.environ.get(name) == "1" for name in ("PIPELINE_STRICT", "DAGSTER_IS_DEFS_VALIDATION_CLI"))
    with collecting_later():  # 200 tasks are half a million objects, and all of them stay
        return reporting(load_tasks(settings.tasks, _shared(settings), strict=strict), settings)


def defs_of(task: str) -> dg.Definitions:
    """The code location with one task only, to run that task: the others are not built.

    Raises:
        TaskError: there is no such task, or it is broken (the error says why).
    """
    settings = Settings.from_env()
    return reporting(load_task_definitions(settings.tasks, task, _shared(settings)), settings)


def shared_definitions() -> dg.Definitions:
    """The code location without a task: for the operations, which read a task's folder themselves."""
    return _shared(Settings.from_env())


def _shared(settings: Settings) -> dg.Definitions:
    """The definitions that all tasks share: resources, executor, operations and the sensors that tell of failures."""
    return dg.Definitions(
        resources=dict(resources(settings)),
        executor=dg.in_process_executor,
        jobs=operation_jobs(),
        sensors=alert_sensors(settings.webhook, settings.dagster_ui),
    )
