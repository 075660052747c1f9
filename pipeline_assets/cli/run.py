"""Runs one batch: registers its partition, executes the job of its stage, and says how it ended.

``python -m pipeline_assets.cli.run flight_delays predict 2013-10``
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import dagster as dg

from pipeline_assets.errors import PipelineError
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import STAGES, Stage

# Dagster tells of its own doings at DEBUG, screens of them; what the assets say is INFO.
_LOUD_ENOUGH: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}


def home() -> Path:
    """``DAGSTER_HOME``, by default ``.pipeline/dagster``; made, with the laptop's settings, if it is not there."""
    place = Path(os.environ.get("DAGSTER_HOME") or Path.cwd() / ".pipeline" / "dagster")
    os.environ["DAGSTER_HOME"] = str(place)
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "dagster.yaml").exists():
        shutil.copy(Path(__file__).parents[1] / "instance.yaml", place / "dagster.yaml")
    return place


def run_batch(
    defs: dg.Definitions, instance: dg.DagsterInstance, ref: BatchRef, run_config: dict[str, Any] | None = None
) -> dg.ExecuteInProcessResult:
    """Executes ``<task>_<stage>`` for one batch in this process; the UI shows the run as any other.

    Args:
        defs: the code location.
        instance: where the run is recorded.
        ref: the batch; its file must exist.
        run_config: of the job.

    Raises:
        PipelineError: there is no such task or batch; nothing was started.
    """
    name = f"{ref.task}_{ref.stage}"
    if not any(job.name == name for job in defs.jobs or ()):
        tasks = sorted(job.name.removesuffix("_train") for job in defs.jobs or () if job.name.endswith("_train"))
        raise PipelineError("there is no such task", found=ref.task, available=tasks)
    files: FileStore = (defs.resources or {})["files"]
    files.find(ref)  # an unknown batch would otherwise become a partition that nobody can run
    instance.add_dynamic_partitions(f"{ref.task}_{ref.stage}_batches", [ref.batch])
    job = defs.resolve_job_def(name)
    return job.execute_in_process(
        run_config=run_config, instance=instance, partition_key=ref.batch, raise_on_error=False
    )


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """What went wrong, a text a failed step or check."""
    steps: list[str] = []
    for event in result.all_events:
        if event.is_run_failure and event.job_failure_data.error and not steps:
            steps.append(event.job_failure_data.error.to_string())  # before any step, as by a resource
        if event.is_step_failure:
            data = event.step_failure_data
            said = data.user_failure_data.description if data.user_failure_data else None
            steps.append(f"{event.step_key}: {said or (data.error.to_string() if data.error else 'failed')}")
    checks = [
        f"check {found.check_name} of {found.asset_key.to_user_string()}: {found.description}"
        for found in result.get_asset_check_evaluations()
        if not found.passed and found.severity == dg.AssetCheckSeverity.ERROR
    ]
    return [*steps, *checks]


def outcome(result: dg.ExecuteInProcessResult) -> list[str]:
    """What was made, a line an asset: its rows and where they are."""
    lines = []
    for event in result.all_events:
        if event.is_step_materialization:
            made = event.step_materialization_data.materialization
            rows, uri = made.metadata.get("dagster/row_count"), made.metadata.get("uri")
            count = "" if rows is None else f"{rows.value:,} rows"
            lines.append(f"{made.asset_key.to_user_string():<40}{count:>16}  {'' if uri is None else uri.value}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline_assets.cli.run", description=__doc__)
    parser.add_argument("task")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("batch", help="the file's name without .parquet, or the folder's name")
    given = parser.parse_args(arguments)
    stage: Stage = given.stage
    home()
    # Imported here: reading the tasks takes seconds, and --help should not.
    from pipeline_assets.definitions import defs

    with dg.DagsterInstance.get() as instance:
        try:
            result = run_batch(defs(), instance, BatchRef(given.task, stage, given.batch), _LOUD_ENOUGH)
        except PipelineError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        for text in failures(result):
            sys.stderr.write(f"{text}\n")
        for text in outcome(result):
            sys.stdout.write(f"{text}\n")
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main())
