"""The job ``reproduce``: makes a version again from its record and keeps the verdict in MLflow and in a mart."""

import json
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import dagster as dg

from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.ml.search import Trial
from pipeline_assets.ml.trainers.base import Progress
from pipeline_assets.monitoring.rebuilding import CannotBeAskedError, input_of, made_again, past_of, task_of
from pipeline_assets.monitoring.reproduction import Reproduction, as_text, cannot_be_asked, reproduction
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.reproductions import reproduction_row, reproductions
from pipeline_assets.stores.registry.registry import Registry

REPRODUCE = "reproduce"
OUTCOME = "outcome"  # metadata of the observation of the model


def reproduce_job() -> dg.JobDefinition:
    """``reproduce``, with ``task`` and ``version`` in the run's config; it fails if the version was not made again."""

    @dg.op(
        name=f"{REPRODUCE}_version",  # Dagster wants other names for ops than for jobs
        config_schema={"task": str, "version": int},
        required_resource_keys={"files", "features", "marts", "registry", "scratch"},
    )
    def reproduce(context: dg.OpExecutionContext) -> None:
        task, version = context.op_config["task"], context.op_config["version"]
        stores, begun = context.resources, perf_counter()
        with translate_errors(context.retry_number):
            outcome = _outcome(context, task, version)
            keep(
                stores.marts,
                stores.registry,
                task,
                version,
                outcome,
                run_id=context.run_id,
                seconds=perf_counter() - begun,
            )
        said = f"{task} version {version}: {outcome.verdict}: {outcome.because}"
        context.log_event(
            dg.AssetObservation(
                asset_key=[task, "model"],
                description=said,
                metadata={
                    "model_version": version,
                    "verdict": outcome.verdict.value,
                    OUTCOME: dg.MetadataValue.json(outcome.to_json()),
                },
            )
        )
        if not outcome.verdict.good:
            raise dg.Failure(description=said, allow_retries=False)

    @dg.job(
        name=REPRODUCE,
        description="Makes a version again from its record: the input by its sha256, the task as it was. Compares"
        " features, predictions and metrics, and says: identical, equal within tolerance, different, or cannot be"
        " asked here.",
        executor_def=dg.in_process_executor,
    )
    def job() -> None:
        reproduce.alias(REPRODUCE)()

    return job


def refuse(files: FileStore, registry: Registry, task: str, version: int) -> None:
    """Refuses what :func:`reproduce_job` would not start on.

    Raises:
        PipelineError: there is no such version, or its input has another content; names both sha256.
    """
    try:
        input_of(files, past_of(registry, task, version))
    except CannotBeAskedError:  # that is a verdict, which the job gives
        return


def keep(
    marts: MartStore,
    registry: Registry,
    task: str,
    version: int,
    outcome: Reproduction,
    *,
    run_id: str,
    seconds: float,
) -> None:
    """Writes the outcome: its row in the mart, then report and tags in MLflow.

    A run that is stopped in between leaves a whole row; the tags then still say the verdict before.
    """
    first, report = outcome.first, as_text(outcome)
    row: dict[str, Any] = {
        "run_id": run_id,
        "model_version": version,
        "verdict": outcome.verdict.value,
        "because": outcome.because,
        "step": None if first is None else first.step,
        "column_name": None if first is None else first.column,
        "row_number": None if first is None else first.row,
        "found": None if first is None else first.found,
        "expected": None if first is None else first.expected,
        "environment": json.dumps(outcome.environment, ensure_ascii=False),
        "report": report,
        "seconds": round(seconds, 3),
        "reproduced_at": datetime.now(UTC),
    }
    marts.replace(reproductions(task), {"run_id": run_id}, reproduction_row(task, row))
    registry.log_reproduction(task, version, report, verdict=outcome.verdict.value, by=run_id)


def _outcome(context: dg.OpExecutionContext, name: str, version: int) -> Reproduction:
    stores, scratch = context.resources, Path(context.resources.scratch)
    try:
        past = past_of(stores.registry, name, version)
        input_of(stores.files, past)
        with task_of(past, scratch) as task:
            again = made_again(
                stores.files,
                past,
                task,
                scratch,
                on_progress=lambda at: context.log.debug(_progress(at)),
                on_trial=lambda trial: context.log.info(_trial(trial)),
                say=context.log.info,
            )
            return reproduction(past, again, stores.registry, stores.features)
    except CannotBeAskedError as error:
        return cannot_be_asked(error.what)


def _progress(at: Progress) -> str:
    return f"iteration {at.iteration} of at most {at.iterations}"


def _trial(trial: Trial) -> str:
    return f"trial {trial.number} of {trial.of}: {trial.metric} {trial.value}"
