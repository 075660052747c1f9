"""The jobs of the code location that are of no single task: their run config names the task."""

import dagster as dg

from pipeline_assets.operations.champion import champion_jobs
from pipeline_assets.operations.replay import replay_job
from pipeline_assets.operations.reproduce import reproduce_job


def operation_jobs() -> list[dg.JobDefinition]:
    """All of them. One job each for all tasks, because four more jobs per task would double the time of a start."""
    return [*champion_jobs(), replay_job, reproduce_job()]
