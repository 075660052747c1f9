import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from dagster_runs.address import Address
from dagster_runs.errors import DagsterAway, DagsterError
from dagster_runs.graphql import GraphQL, of_type

from tests.airflow_dags.answering import Server, recorded
from tests.fixtures.tls import certify, tls_proxy


def ask(url: str, seconds: float = 5, **headers: str) -> Any:
    async def asked() -> Any:
        async with GraphQL(Address(url, headers), seconds) as graphql:
            return await graphql.ask("{ question }", {"a": 1})

    return asyncio.run(asked())


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_private_authority_is_trusted_when_it_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    certificates = certify(tmp_path)
    server.says("status")
    with tls_proxy(int(server.url.rpartition(":")[2]), certificates) as port:
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(
            DagsterError, match="CERTIFICATE_VERIFY_FAILED.* set SSL_CERT_FILE or REQUESTS_C"
        ) as refused:
            ask(url)
        assert not isinstance(refused.value, DagsterAway)
        monkeypatch.setenv(variable, str(certificates.authority))
        assert ask(url) == {"__typename": "Run", "status": "SUCCESS"}
        monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
        with pytest.raises(DagsterError, match="the certificates of SSL_CERT_FILE, .* cannot be read"):
            ask(url)


def test_the_top_fields_value_is_the_answer(server: Server) -> None:
    server.says("status")
    assert ask(server.url, Authorization="Bearer x") == {"__typename": "Run", "status": "SUCCESS"}
    ((path, headers, body),) = server.asked
    assert path == "/graphql"
    assert headers["Authorization"] == "Bearer x"
    assert body == {"query": "{ question }", "variables": {"a": 1}}


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (401, "no", r"refuses the token \(HTTP 401\)"),
        (403, "no", r"refuses the token \(HTTP 403\)"),
        (200, "<html>log in</html>", "not GraphQL: '<html>log in</html>'; expected: a Dagster webserver"),
        (200, "", "not GraphQL: 'nothing'"),
        (200, "[1]", r"not GraphQL: '\[1\]'"),
        (200, '{"a": 1}', "not GraphQL"),
        (200, '{"data": null}', "answers None; expected: one field"),
        (200, '{"data": {"a": 1, "b": 2}}', "expected: one field"),
        (404, "not here", "HTTP 404, not GraphQL: 'not here'"),
        (400, "unknown_field", "does not understand the question .*nothing"),
    ],
)
def test_what_will_not_get_better(server: Server, status: int, text: str, said: str) -> None:
    server.says(text, status=status)
    with pytest.raises(DagsterError, match=said) as raised:
        ask(server.url)
    assert not isinstance(raised.value, DagsterAway)


def test_a_log_in_page_elsewhere_is_named(server: Server) -> None:
    server.says("", status=302, headers={"Location": "https://sso.example"})
    with pytest.raises(DagsterError, match="HTTP 302 to https://sso.example, not GraphQL"):
        ask(server.url)


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (502, "bad gateway", "HTTP 502: bad gateway"),
        (503, "", "HTTP 503"),
        (429, "slow down", "HTTP 429: slow down"),
        (500, "no_sensor", "HTTP 500: .*GrapheneSensorNotFoundError"),
    ],
)
def test_what_may_get_better(server: Server, status: int, text: str, said: str) -> None:
    server.says(text, status=status)
    with pytest.raises(DagsterAway, match=said):
        ask(server.url)


def test_nobody_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(DagsterAway, match="does not answer"):
            ask(f"http://127.0.0.1:{closed.getsockname()[1]}")


def test_somebody_who_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DagsterAway, match="does not answer within 0 seconds"):
            ask(f"http://127.0.0.1:{silent.getsockname()[1]}", seconds=0.2)


def test_no_address() -> None:
    with pytest.raises(DagsterError, match="is no address"):
        ask("ftp://dagster")


def test_members_of_a_union() -> None:
    run = recorded("no_run")["data"]["runOrError"]
    with pytest.raises(DagsterError, match="RunNotFoundError: Pipeline run 0000.* could not be found"):
        of_type(run, "Run")
    config = recorded("wrong_run_config")["data"]["launchRun"]
    with pytest.raises(DagsterError, match='RunConfigValidationInvalid: Received unexpected config entry "nothing"'):
        of_type(config, "LaunchRunSuccess")
    with pytest.raises(DagsterAway, match="PythonError: database is locked"):
        of_type({"__typename": "PythonError", "message": "database is locked\n"}, "Run")
    malformed: Any
    for malformed in (None, [], {}, {"message": "?"}):
        with pytest.raises(DagsterError, match="expected: Run or Other"):
            of_type(malformed, "Run", "Other")
