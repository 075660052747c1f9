"""A client of MLflow: sends credentials, turns telemetry off, raises MLflow's errors as ours."""

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_assets.errors import StoreError, TransientError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Our defaults for MLflow, unless the environment has other ones. By default MLflow retries a dead server for four
# minutes before the run's own retry policy sees the error, and reports its use to its makers.
_HABITS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_TRANSIENT_STATUS = (408, 429, 500, 502, 503, 504)
_TRANSIENT_CODES = (
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
)
_FORBIDDEN_STATUS = (401, 403)
# Where many files are downloaded at once MLflow keeps only the text of what went wrong.
_TRANSIENT_TEXT = re.compile(
    r"could not connect|connection (refused|reset|aborted|was closed)|max retries exceeded|timed? ?out",
    re.IGNORECASE,
)
_INSERTED_TWICE = re.compile(r"IntegrityError|UniqueViolation|duplicate", re.IGNORECASE)
_LONGEST = 300


def check_database(path: Path) -> None:
    """Checks that sqlite can open a file: MLflow itself would try for a hundred seconds.

    Raises:
        StoreError: it cannot, or the file is no database.
    """
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("pragma schema_version").fetchone()
    except sqlite3.Error as error:
        if "locked" in str(error):  # another process is writing: MLflow waits for it
            return
        raise StoreError(
            "the embedded MLflow's database cannot be opened",
            file=path,
            found=error,
            do="give the file back its rights or its content; removing it loses all versions",
        ) from error


def connect(tracking_uri: str, login: str | None = None, password: str | None = None) -> "MlflowClient":
    """A client of one server or database; the process's own tracking URI stays unchanged.

    The credentials go to the server only: no environment variable and no address holds them.

    Raises:
        StoreError: the package is installed without the plug-in that sends them.
    """
    for name, value in _HABITS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.telemetry import set_telemetry_client

    if login is not None and password is not None:
        from pipeline_assets.stores.registry.login import log_in

        log_in(tracking_uri, login, password)
    # Applies the defaults again: other code may have imported MLflow before they were set.
    set_telemetry_client()  # type: ignore[no-untyped-call]  # MLflow leaves it untyped
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("mlflow").setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


@contextmanager
def answers(address: str, to: str) -> Iterator[None]:
    """Turns errors of MLflow or its artifact store, raised inside the block, into ours.

    Args:
        address: of the server or database, without credentials.
        to: what is asked of it, as an infinitive: "list versions of flights".

    Raises:
        TransientError: no answer, or an answer that says to retry later.
        StoreError: a refusal.
    """
    try:
        yield
    except _foreign_errors() as error:
        said = str(error).strip().partition("\n")[0].rpartition("Caused by ")[2][:_LONGEST]
        if _is_transient(error):
            raise TransientError(
                f"MLflow could not {to}",
                found=f"no answer from {address}: {said}",
                do="see that it runs and can be reached, then run again",
            ) from error
        variable = _untrusted(error)
        if variable is not None:
            raise StoreError(
                f"MLflow could not {to}: there is no TLS connection that can be trusted",
                found=f"{address}: {said}",
                do=f"set {variable} to the file of the authority that signed the server's certificate",
            ) from error
        forbidden = getattr(error, "get_http_status_code", int)() in _FORBIDDEN_STATUS
        raise StoreError(
            f"MLflow refused to {to}",
            found=f"{address} said: {said}",
            do="check MLFLOW_LOGIN and MLFLOW_PASSWORD, and that this login may do so" if forbidden else None,
        ) from error


def twice(write: Callable[[], None]) -> None:
    """Writes a tag or an alias, and once again if another process creates the same one at the same moment.

    MLflow checks whether it exists, then inserts or updates it; if two processes insert, the database refuses one.
    """
    from mlflow.exceptions import MlflowException

    try:
        write()
    except MlflowException as error:
        if _INSERTED_TWICE.search(str(error)) is None:
            raise
        write()


def _foreign_errors() -> tuple[type[Exception], ...]:
    """MLflow's error types, imported only after an error: Python evaluates an ``except`` clause only then."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, OSError, SQLAlchemyError, Boto3Error, BotoCoreError, ClientError)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and those it was raised from, outermost first."""
    seen: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in seen:
        seen.append(each)
        each = each.__cause__ or each.__context__
    return seen


def _untrusted(error: BaseException) -> str | None:
    """The variable that names the certificates to trust, if TLS failed to the server or to its artifacts."""
    from botocore import exceptions as boto
    from requests import exceptions as http

    for each in _chain(error):
        if isinstance(each, boto.SSLError):
            return "AWS_CA_BUNDLE"
        if isinstance(each, http.SSLError):
            return "REQUESTS_CA_BUNDLE"
    # Where many files are downloaded at once MLflow keeps only the text.
    if "SSL validation failed" in str(error):
        return "AWS_CA_BUNDLE"
    return "REQUESTS_CA_BUNDLE" if "CERTIFICATE_VERIFY_FAILED" in str(error) else None


def _is_transient(error: BaseException) -> bool:
    """Whether a retry may help, by the error and by those it was raised from, outermost first."""
    from mlflow.exceptions import MlflowException

    if _untrusted(error) is not None:
        return False
    for each in _chain(error):
        answer = _retry_helps(each)
        if answer is not None:
            return answer
    return isinstance(error, MlflowException) and (
        error.error_code in _TRANSIENT_CODES or _TRANSIENT_TEXT.search(str(error)) is not None
    )


def _retry_helps(error: BaseException) -> bool | None:
    """Whether a retry may help by this one error; ``None`` where it does not say."""
    from botocore import exceptions as boto
    from requests import exceptions as http
    from sqlalchemy.exc import OperationalError

    if isinstance(error, OperationalError):
        return "locked" in str(error)
    if isinstance(error, http.ConnectionError | http.Timeout | http.RetryError | http.ChunkedEncodingError):
        return True
    if isinstance(error, boto.ConnectionError | boto.HTTPClientError):
        return True
    status = None
    if isinstance(error, http.HTTPError) and error.response is not None:
        status = error.response.status_code
    elif isinstance(error, boto.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return None if status is None else status in _TRANSIENT_STATUS
