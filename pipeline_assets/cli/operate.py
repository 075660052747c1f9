"""Runs a job of ``pipeline_assets.operations`` in this process; the UI shows the run as any other."""

from collections.abc import Mapping
from typing import Any

import click
import dagster as dg

from pipeline_assets.cli.home import home
from pipeline_assets.cli.run import failures
from pipeline_assets.definitions import shared_definitions

_QUIET: dict[str, Any] = {"console": {"config": {"log_level": "CRITICAL"}}}
_EVERYTHING: dict[str, Any] = {"console": {"config": {"log_level": "DEBUG"}}}


def operate(name: str, config: Mapping[str, object], *, debug: bool = False) -> dg.ExecuteInProcessResult:
    """Executes an operation; its errors go to stderr.

    Args:
        name: of the job, and of its only op.
        config: of the op, such as ``{"task": "flight_delays"}``.
        debug: show Dagster's log and the stack traces of errors.

    Returns:
        The result; its ``success`` says whether the operation ended well.

    Raises:
        PipelineError: the environment is wrong; nothing was started.
    """
    home()
    job = shared_definitions().resolve_job_def(name)
    run_config = {"ops": {name: {"config": dict(config)}}, "loggers": _EVERYTHING if debug else _QUIET}
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(run_config=run_config, instance=instance, raise_on_error=False)
    for text in failures(result, traces=debug):
        click.echo(text, err=True)
    return result
