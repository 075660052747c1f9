"""Runs batches: registers the partition, executes the job of the stage, and says how it ended."""

import re
import sys
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any
from urllib.parse import unquote

import click
import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from pipeline_assets.assets.checks import REJECTED_SHARE
from pipeline_assets.cli.progress import SHOWN, shown
from pipeline_assets.errors import ContractError, PipelineError
from pipeline_assets.io_managers.errors import causes, failed_by_check, text_for_people
from pipeline_assets.stores.files.base import Area, FileStore
from pipeline_assets.task.batch import InputFolder, InputRef, TruthRef, input_ref

_EVERYTHING: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "DEBUG"}}}}


def run_batch(
    defs: dg.Definitions, instance: dg.DagsterInstance, ref: InputRef, run_config: dict[str, Any] | None = None
) -> dg.ExecuteInProcessResult:
    """Executes ``<task>_<stage>`` for one batch in this process; the UI shows the run as any other.

    Args:
        defs: the code location.
        instance: where the run is recorded.
        ref: the batch; its file must exist. For ``truth``, the batch must have been predicted.
        run_config: of the job.

    Raises:
        PipelineError: there is no such task or batch; nothing was started.
    """
    name = f"{ref.task}_{ref.stage}"
    if not any(job.name == name for job in defs.jobs or ()):
        tasks = sorted(job.name.removesuffix("_train") for job in defs.jobs or () if job.name.endswith("_train"))
        raise PipelineError("there is no such task", found=ref.task, available=tasks)
    _check_there(files_of(defs), ref)  # an unknown batch would otherwise become a partition that nobody can run
    stage = "predict" if ref.stage == "truth" else ref.stage
    instance.add_dynamic_partitions(f"{ref.task}_{stage}_batches", [ref.batch])
    job = defs.resolve_job_def(name)
    return job.execute_in_process(
        run_config=run_config, instance=instance, partition_key=ref.batch, raise_on_error=False
    )


def run_batches(
    location: dg.Definitions, task: str, stage: InputFolder, batches: Sequence[str] | None, *, debug: bool = False
) -> bool:
    """Runs batches one after the other; progress and errors go to stderr, what was made to stdout.

    Args:
        location: holds the task.
        task: its name.
        stage: which of its jobs.
        batches: their names; ``None`` for all that there are.
        debug: show Dagster's log and the stack traces of errors.

    Returns:
        Whether every run succeeded and every check passed.

    Raises:
        PipelineError: there is no such batch; nothing was started.
    """
    files = files_of(location)
    found = list(files.batches(task, stage)) if batches is None else list(dict.fromkeys(batches))
    if not found:
        raise ContractError(
            "there is no batch", task=task, stage=stage, expected=f"{files.uri}/{task}/{stage}/*.parquet"
        )
    for batch in batches or ():
        _check_there(files, input_ref(task, stage, batch))
    ends = []
    with dg.DagsterInstance.get() as instance:
        for batch in found:
            begun = perf_counter()
            problems = _run(location, instance, input_ref(task, stage, batch), debug=debug)
            ends.append(f"{task} {stage} {batch}: {'failed' if problems else 'done'} in {perf_counter() - begun:.0f} s")
            for text in problems:
                click.echo(text, err=True)
            click.echo(ends[-1], err=True)
    failed = sum(": failed in " in end for end in ends)
    if len(ends) > 1:
        click.echo("\n".join(["", *ends, f"{len(ends) - failed} of {len(ends)} batches done"]), err=True)
    return not failed


def _run(location: dg.Definitions, instance: dg.DagsterInstance, ref: InputRef, *, debug: bool) -> list[str]:
    """Runs one batch and prints what it made; what went wrong."""
    try:
        result, problems = run_shown(location, instance, ref, debug=debug)
    except PipelineError as error:  # the batch went away or changed into something else since it was listed
        return [str(error)]
    for line in outcome(result):
        click.echo(line)
    for line in remarks(result):
        click.echo(f"  {line}", err=True)
    return problems


def run_shown(
    location: dg.Definitions, instance: dg.DagsterInstance, ref: InputRef, *, debug: bool
) -> tuple[dg.ExecuteInProcessResult, list[str]]:
    """As :func:`run_batch`, with its progress on stderr; the result, and what went wrong."""
    if debug:
        result = run_batch(location, instance, ref, _EVERYTHING)
    else:
        with shown(location, sys.stderr) as watched:
            result = run_batch(watched, instance, ref, SHOWN)
    problems = failures(result, traces=debug)
    return result, problems or ([] if result.success else ["the run failed; --debug shows its log"])


def failures(result: dg.ExecuteInProcessResult, *, traces: bool = False) -> list[str]:
    """What went wrong, one text per problem; steps that failed by the same problem share a text.

    Args:
        result: of a run.
        traces: give the stack traces as well, and the steps that failed only because a check did not pass.
    """
    steps: dict[str, list[str]] = {}
    step_failed = False
    for event in result.all_events:
        if event.is_run_failure and event.job_failure_data.error and not step_failed:
            steps[_text(event.job_failure_data.error, traces=traces)] = []  # before any step, as by a resource
        if event.is_step_failure:
            step_failed = True
            data = event.step_failure_data
            if failed_by_check(data) and not traces:
                continue
            said = data.user_failure_data.description if data.user_failure_data and not traces else None
            text = said or (_text(data.error, traces=traces) if data.error else "failed")
            steps.setdefault(text, []).append(str(event.step_key))
    failed = [
        found
        for found in result.get_asset_check_evaluations()
        if not found.passed and found.severity == dg.AssetCheckSeverity.ERROR
    ]
    # A step that fails because of its check says the same as the check.
    said_by_checks = {str(found.description) for found in failed}
    texts = [
        f"{', '.join(names)}: {text}" if names else text
        for text, names in steps.items()
        if traces or text not in said_by_checks
    ]
    checks = [f"check {each.check_name} of {each.asset_key.to_user_string()}: {each.description}" for each in failed]
    return [*texts, *checks]


def _text(error: SerializableErrorInfo, *, traces: bool) -> str:
    """An error for people, or with its traces: the one that started it, without those that only pass it on."""
    if traces:
        return error.to_string()
    return text_for_people(error) or f"{causes(error)[-1].message.strip()}\n  do:        --debug shows where"


def outcome(result: dg.ExecuteInProcessResult) -> list[str]:
    """What was made, one line per asset: its rows and where they are; of a model, how good it is."""
    lines = []
    for event in result.all_events:
        if event.is_step_materialization:
            made = event.step_materialization_data.materialization
            rows, uri = made.metadata.get("dagster/row_count"), made.metadata.get("uri")
            count = "" if rows is None else f"{rows.value:,} rows"
            told = _quality(made.metadata) if uri is None else readable(str(uri.value))
            lines.append(f"{made.asset_key.to_user_string():<40}{count:>16}  {told}".rstrip())
    return lines


def remarks(result: dg.ExecuteInProcessResult) -> list[str]:
    """What a user must know of a run that succeeds: how many rows were rejected, and each check that only warns."""
    rows = {
        event.asset_key: event.step_materialization_data.materialization.metadata.get("dagster/row_count")
        for event in result.get_asset_materialization_events()
    }
    lines = []
    for found in result.get_asset_check_evaluations():
        if found.check_name == REJECTED_SHARE and found.passed and found.metadata["rejected_rows"].value:
            count, uri = (found.metadata[name].value for name in ("rejected_rows", "rejected_rows_uri"))
            of = f" of {whole.value:,}" if (whole := rows.get(found.asset_key)) is not None else ""
            lines.append(f"{count:,}{of} rows are rejected: {readable(str(uri))}")
    for found in result.get_asset_check_evaluations():
        if not found.passed and found.severity == dg.AssetCheckSeverity.WARN:
            said = " ".join(str(found.description).split())
            lines.append(f"warning: {found.asset_key.to_user_string()} {found.check_name}: {said}")
    return lines


def readable(uri: str) -> str:
    """An address with its letters of other alphabets as they are; what has a meaning in addresses stays encoded."""
    # Bytes above 7F: in UTF-8 only they are part of such a letter.
    return re.sub(r"(?:%[89A-F][0-9A-F])+", lambda found: unquote(found[0]), uri)


def _quality(metadata: Mapping[str, dg.MetadataValue[Any]]) -> str:
    """The version, its metric and that of the constant baseline; empty for what is no model."""
    version, metric = metadata.get("model_version"), metadata.get("metric")
    if version is None or metric is None:
        return ""
    value, baseline = (metadata.get(f"{metric.value}{suffix}") for suffix in ("", "_of_constant_baseline"))
    said = "" if value is None else f", {metric.value} {value.value:.4g}"
    beside = "" if baseline is None else f" (constant baseline {baseline.value:.4g})"
    return f"version {version.value}{said}{beside}"


def _check_there(files: FileStore, ref: InputRef) -> None:
    """Refuses a batch without a file; of truth, one that was not predicted, as train batches may have its labels too.

    Raises:
        ContractError: says what is there.
    """
    if not isinstance(ref, TruthRef):
        files.find(ref)
        return
    if files.has(ref):
        files.find(ref)
    if not files.holds(Area.SCORES, ref.predicted):
        raise ContractError(
            "the batch has not been predicted, so there is nothing to judge",
            **ref.facts(),
            expected=files.uri_of(Area.SCORES, ref.predicted),
            do=f"pipeline-assets run {ref.task} predict {ref.batch}",
        )


def files_of(location: dg.Definitions) -> FileStore:
    """The file store of a code location."""
    files: FileStore = (location.resources or {})["files"]
    return files
