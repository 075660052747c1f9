"""Errors for Dagster: transient errors are retried, the others fail at once with their message."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from pipeline_assets.errors import PipelineError, TransientError

# 1, 2, 4, 8 seconds: enough for a database to restart, and a run does not wait long for one that is gone.
MAX_RETRIES = 4


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
