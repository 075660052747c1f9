"""Replay: runs the job of a batch with rejected rows again, and says what became of each of them."""

from typing import cast

import dagster as dg
from pydantic import Field

from pipeline_assets.engine.record import record_of
from pipeline_assets.engine.replay import replay_of
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.raw import describe_replay
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import Stage


class ReplayConfig(dg.Config):
    """Which batch to run again."""

    task: str = Field(description="Name of the task")
    stage: str = Field(description="train or predict")
    batch: str = Field(description="Name of the batch")


@dg.op(name="replay", description="Runs <task>_<stage> for the batch; what became of its rejected rows is metadata.")
def replay_batch(
    context: dg.OpExecutionContext, config: ReplayConfig, files: dg.ResourceParam[FileStore]
) -> dg.Output[None]:
    """Executes the batch's own job in this process, as a run of its own that the UI shows beside this one.

    Every run of that job compares with the check before, so this job has only to start it and to tell the result: a
    batch that Airflow or a sensor runs again is compared just so.
    """
    ref = BatchRef(config.task, cast("Stage", config.stage), config.batch)
    name = f"{ref.task}_{ref.stage}"
    known = context.repository_def.job_names
    if name not in known:
        raise dg.Failure(f"there is no job {name}", metadata={"jobs": ", ".join(sorted(known))}, allow_retries=False)
    with translate_errors(None):
        files.find(ref)
        record_of(files, ref)
    context.instance.add_dynamic_partitions(f"{name}_batches", [ref.batch])
    result = context.repository_def.get_job(name).execute_in_process(
        instance=context.instance,
        partition_key=ref.batch,
        raise_on_error=False,
        tags={"replayed_by": context.run.run_id},
    )
    with translate_errors(None):
        found = replay_of(files, ref)
    metadata = {"run": result.run_id, **({} if found is None else describe_replay(found.replay))}
    if not result.success:
        raise dg.Failure(f"the run {result.run_id} of {name} failed", metadata=metadata, allow_retries=False)
    return dg.Output(None, metadata=metadata)


@dg.job(name="replay", description="Runs a batch with rejected rows again and says what became of each of them.")
def replay_job() -> None:
    """One op."""
    replay_batch()
