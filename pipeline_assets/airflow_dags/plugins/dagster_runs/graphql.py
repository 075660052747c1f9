"""Sends one query to Dagster's GraphQL API; whatever is not an answer to it becomes an error that says what it is."""

import logging
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from dagster_runs.address import Address
from dagster_runs.errors import DagsterAway, DagsterError

_SHOWN = 200  # characters of an answer that is not understood
_REFUSED = (401, 403)
_BUSY = 429
_BROKEN = 500

# httpx logs a line for each request; a wait of hours would fill the task's log with them.
logging.getLogger("httpx").addFilter(lambda record: "/graphql" not in record.getMessage())


class GraphQL:
    """An HTTP session with one webserver; ``async with`` closes it.

    Args:
        address: the address of the webserver.
        seconds: the timeout of one request.

    Raises:
        DagsterError: the certificates that the environment names cannot be read.
    """

    def __init__(self, address: Address, seconds: float = 60) -> None:
        self.address = address
        self._seconds = seconds
        try:
            self._client = httpx.AsyncClient(headers=dict(address.headers), timeout=seconds, verify=_authorities())
        except OSError as error:
            raise DagsterError(
                f"the certificates of SSL_CERT_FILE, SSL_CERT_DIR or REQUESTS_CA_BUNDLE cannot be read: {error}"
            ) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        """Sends a query that has one top-level field, and returns the value of that field.

        Raises:
            DagsterAway: the server does not answer, or says that it cannot answer now.
            DagsterError: the server refuses, or its answer is not GraphQL.
        """
        url = f"{self.address.url}/graphql"
        try:
            response = await self._client.post(url, json={"query": query, "variables": dict(variables or {})})
        except httpx.TimeoutException as error:
            raise DagsterAway(f"{url} does not answer within {self._seconds:.0f} seconds") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise DagsterError(f"{url} is no address: {error}") from error
        except httpx.TransportError as error:
            if _is_tls(error):
                raise DagsterError(
                    f"there is no TLS connection to {url} that can be trusted: {error}; set SSL_CERT_FILE or"
                    " REQUESTS_CA_BUNDLE, in the workers and in the triggerer, to the file of the authority that signed"
                    " its certificate"
                ) from error
            raise DagsterAway(f"{url} does not answer: {str(error) or type(error).__name__}") from error
        return _value(url, response)


def _authorities() -> ssl.SSLContext | bool:
    """The trusted authorities: httpx reads ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` itself, but not this variable."""
    given = os.environ.get("REQUESTS_CA_BUNDLE")
    if not given or os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return True
    folder = Path(given).is_dir()
    return ssl.create_default_context(cafile=None if folder else given, capath=given if folder else None)


def _is_tls(error: BaseException | None) -> bool:
    """Whether client and server do not agree on TLS; a connection that broke later is another matter."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _value(url: str, response: httpx.Response) -> Any:
    status = response.status_code
    if status in _REFUSED:
        raise DagsterError(f"{url} refuses the token (HTTP {status}); see the password and extra of the connection")
    try:
        body = response.json()
    except ValueError:
        body = None
    errors = body.get("errors") if isinstance(body, dict) else None
    if status == _BUSY or status >= _BROKEN:
        raise DagsterAway(f"{url} answers HTTP {status}: {_messages(errors) or response.text[:_SHOWN].strip()}")
    if not isinstance(body, dict) or not ({"data", "errors"} & set(body)):
        where = f" to {response.headers['location']}" if "location" in response.headers else ""
        raise DagsterError(
            f"{url} answers HTTP {status}{where}, not GraphQL: {response.text[:_SHOWN].strip() or 'nothing'!r};"
            " expected: a Dagster webserver there, with no log-in page before it"
        )
    if errors:
        raise DagsterError(f"{url} does not understand the question (another version?): {_messages(errors)}")
    data = body["data"]
    if not isinstance(data, dict) or len(data) != 1:
        raise DagsterError(f"{url} answers {str(data)[:_SHOWN]}; expected: one field")
    return next(iter(data.values()))


def _messages(errors: Any) -> str:
    return "; ".join(str(error.get("message", error)) for error in errors or [] if isinstance(error, dict))


def of_type(answer: Any, *wanted: str) -> dict[str, Any]:
    """Returns the answer if its type is one of the wanted ones; Dagster sends errors as other types, with HTTP 200.

    Raises:
        DagsterAway: Dagster itself raised an exception: its database or its code server may be away for a moment.
        DagsterError: the answer has any other type.
    """
    kind = answer.get("__typename") if isinstance(answer, dict) else None
    if kind in wanted:
        found: dict[str, Any] = answer
        return found
    if kind is None:
        raise DagsterError(f"Dagster answers {str(answer)[:_SHOWN]}; expected: {' or '.join(wanted)}")
    said = [answer.get("message"), *(error.get("message") for error in answer.get("errors") or [])]
    text = f"Dagster answers {kind}: {'; '.join(part.strip() for part in said if part) or 'without a word'}"
    raise DagsterAway(text) if kind == "PythonError" else DagsterError(text)
