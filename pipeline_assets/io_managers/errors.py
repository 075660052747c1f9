"""Errors for Dagster: transient errors are retried, the others fail at once with their message."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData
from dagster_shared.error import SerializableErrorInfo

from pipeline_assets.errors import PipelineError, TransientError

# 1, 2, 4, 8 seconds: enough for a database to restart, and a run does not wait long for one that is gone.
MAX_RETRIES = 4
# A blocking check that did not pass ends its own step by this error; the check itself says more.
_CHECK_FAILED = "DagsterAssetCheckFailedError"


@contextmanager
def translate_errors(retry_number: int | None) -> Iterator[None]:
    """Turns a PipelineError into an exception of Dagster.

    Args:
        retry_number: how often this step was tried before; ``None`` where Dagster knows no retry, as in resources.

    Raises:
        dagster.RetryRequested: for a transient error of a store.
        dagster.Failure: for every other PipelineError, with its message.
    """
    try:
        yield
    except TransientError as fault:
        if retry_number is None:
            raise dg.Failure(description=str(fault)) from fault
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=2**retry_number) from fault
    except PipelineError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def causes(error: SerializableErrorInfo) -> list[SerializableErrorInfo]:
    """An error as Dagster keeps it, and its causes, the innermost last."""
    return [error, *(causes(error.cause) if error.cause else ())]


def text_for_people(error: SerializableErrorInfo) -> str | None:
    """What a PipelineError or a Failure says; ``None`` for an error of any other kind."""
    for cause in causes(error):
        if cause.cls_name == dg.Failure.__name__ or cause.message.startswith(f"{PipelineError.__module__}."):
            return cause.message.strip().partition(": ")[2]
    return None


def said_by(data: StepFailureData) -> str:
    """What the error says that a step failed by; of an error that was not written for people, its class alone."""
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    if data.error is None:
        return "failed"
    return text_for_people(data.error) or f"{causes(data.error)[-1].cls_name}; the run's log says where"


def failed_by_check(data: StepFailureData) -> bool:
    """Whether a step failed only because a check of its own did not pass."""
    return data.error is not None and causes(data.error)[-1].cls_name == _CHECK_FAILED
