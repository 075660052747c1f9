"""Replay: runs the job of a batch with rejected rows again, and says what became of each of them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from pipeline_assets.assets.definitions import task_definitions
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.record import record_of
from pipeline_assets.engine.replay import replay_of
from pipeline_assets.errors import PipelineError
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.raw import describe_replay
from pipeline_assets.settings import Settings
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.loading import find_folder, task_named
from pipeline_assets.task.spec import STAGES

_STORES = {"files", "features", "marts", "registry", "scratch"}


class ReplayConfig(dg.Config):
    """Which batch to run again."""

    task: str = Field(description="Name of the task")
    stage: str = Field(description="train or predict")
    batch: str = Field(description="Name of the batch")


@dg.op(  # under its own name, because Dagster wants other names for ops than for jobs
    description="Runs <task>_<stage> for the batch; what became of its rejected rows is metadata.",
    required_resource_keys=_STORES,
)
def replay_batch(context: dg.OpExecutionContext, config: ReplayConfig) -> dg.Output[None]:
    """Executes the batch's own job in this process, as a run of its own that the UI shows beside this one.

    Every run of that job compares with the check before, so this job has only to start it and to tell the result: a
    batch that Airflow or a sensor runs again is compared just so. The task is read as it is now: its rule may have been
    mended a moment ago.
    """
    stores = {name: getattr(context.resources, name) for name in _STORES}
    files: FileStore = stores["files"]
    with translate_errors(None):
        ref, job = _job_of(config, stores)
        files.find(ref)
        record_of(files, ref)
    context.instance.add_dynamic_partitions(f"{job.name}_batches", [ref.batch])
    tags = {"replayed_by": context.run.run_id}
    result = job.execute_in_process(instance=context.instance, partition_key=ref.batch, raise_on_error=False, tags=tags)
    with translate_errors(None):
        found = replay_of(files, ref)
    metadata = {"run": result.run_id, **({} if found is None else describe_replay(found.replay))}
    if not result.success:
        raise dg.Failure(f"the run {result.run_id} of {job.name} failed", metadata=metadata, allow_retries=False)
    return dg.Output(None, metadata=metadata)


def _job_of(config: ReplayConfig, stores: Mapping[str, Any]) -> tuple[BatchRef, dg.JobDefinition]:
    """The batch, and the job of its stage over the given stores.

    Raises:
        PipelineError: there is no such task or stage, or the task is broken.
    """
    if config.stage not in STAGES:
        raise PipelineError("there is no such stage", found=config.stage, available=STAGES)
    folder = find_folder(Settings.from_env().tasks, config.task)
    task = task_named(folder, config.task)
    shared = dg.Definitions(resources=dict(stores), executor=dg.in_process_executor)
    graph = TaskGraph(task, folder.yaml)
    job = dg.Definitions.merge(shared, task_definitions(graph)).resolve_job_def(graph.job_name(config.stage))
    return graph.ref(config.stage, config.batch), job


@dg.job(name="replay", description="Runs a batch with rejected rows again and says what became of each of them.")
def replay_job() -> None:
    """One op."""
    replay_batch.alias("replay")()
