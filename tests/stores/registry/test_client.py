import base64
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.settings import MlflowSettings, Settings
from pipeline_assets.stores.registry.client import answers
from pipeline_assets.stores.registry.registry import Registry

SECRET = "s3cret-word"


class Guarded(BaseHTTPRequestHandler):
    """Answers a search for experiments to one login only."""

    wanted = "Basic dXNlcjpzM2NyZXQtd29yZA=="  # user:s3cret-word

    def do_GET(self) -> None:
        allowed = self.headers.get("Authorization") == self.wanted
        body = b'{"registered_models": []}' if allowed else b'{"error_code": "UNAUTHENTICATED", "message": "who?"}'
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """No line a request."""


@pytest.fixture
def guarded() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "")  # so that what is set here is undone


@pytest.mark.parametrize("inside", [False, True])
def test_credentials_reach_the_server_and_nothing_else(guarded: str, inside: bool) -> None:
    url = f"http://user:{SECRET}@{guarded}" if inside else f"http://{guarded}/"
    login = {} if inside else {"MLFLOW_LOGIN": "user", "MLFLOW_PASSWORD": SECRET}
    settings = Settings.from_env({"MLFLOW_URL": url, **login})
    assert settings.mlflow is not None
    registry = Registry(settings.mlflow, settings.mlflow_ui)
    assert registry.champion("delays") is None
    assert registry.tracking_uri == f"http://{guarded}"
    assert SECRET not in registry.version_url("delays", 1)
    assert SECRET not in str(os.environ)
    assert SECRET not in subprocess.run(["env"], capture_output=True, text=True, check=True).stdout


def test_credentials_of_one_server_are_not_sent_to_another(guarded: str) -> None:
    Registry(MlflowSettings("http://127.0.0.1:1", "user", SECRET)).client  # noqa: B018 - connects
    with pytest.raises(StoreError, match="MLFLOW_LOGIN and MLFLOW_PASSWORD"):
        Registry(MlflowSettings(f"http://{guarded}", None, None)).champion("delays")


def test_a_login_beyond_latin_letters_is_sent(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guarded, "wanted", "Basic " + base64.b64encode("мария:пароль".encode()).decode())
    assert Registry(MlflowSettings(f"http://{guarded}", "мария", "пароль")).champion("delays") is None


def test_a_package_installed_without_its_plugin_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_assets.stores.registry.login.PLUGIN", "not-installed")
    with pytest.raises(StoreError, match="install the package again"):
        Registry(MlflowSettings("http://127.0.0.1:1", "user", SECRET)).champion("delays")


def test_a_refused_login_is_permanent_and_says_what_to_check(guarded: str) -> None:
    registry = Registry(MlflowSettings(f"http://{guarded}", "user", "wrong-word"))
    with pytest.raises(StoreError, match="MLFLOW_LOGIN and MLFLOW_PASSWORD") as caught:
        registry.champion("delays")
    assert not isinstance(caught.value, TransientError)
    assert "wrong-word" not in str(caught.value)


def test_a_server_that_is_down_is_a_passing_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    registry = Registry(MlflowSettings(f"http://127.0.0.1:{port}", "user", SECRET))
    with pytest.raises(TransientError, match="could not list the versions of delays") as caught:
        registry.candidates("delays")
    assert "Connection refused" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_constructing_connects_to_nothing_and_changes_nothing() -> None:
    before = dict(os.environ)
    Registry(MlflowSettings("http://127.0.0.1:1", "user", SECRET))
    assert dict(os.environ) == before


@pytest.mark.parametrize("content", [b"these are no pages of sqlite" * 50, None])
def test_a_database_that_cannot_be_opened_is_said_at_once(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mlflow.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match="database cannot be opened") as caught:
        Registry(tmp_path).champion("delays")
    assert caught.value.facts["file"] == path


def wrapped(cause: Exception) -> MlflowException:
    """As MLflow's REST client raises it: the cause is left in the context."""
    error = MlflowException("API request failed")
    error.__context__ = cause
    return error


def answer(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


def s3_error(status: int) -> ClientError:
    return ClientError({"Error": {"Code": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.mark.parametrize(
    "error",
    [
        wrapped(requests.ConnectionError("refused")),
        wrapped(requests.Timeout("slow")),
        wrapped(requests.exceptions.RetryError("too many 503")),
        wrapped(answer(502)),
        answer(503),
        EndpointConnectionError(endpoint_url="http://s3"),
        s3_error(503),
        MlflowException("the database restarts", TEMPORARILY_UNAVAILABLE),
        MlflowException("The following failures occurred: Could not connect to the endpoint URL"),
    ],
    ids=repr,
)
def test_faults_of_the_way_pass(error: Exception) -> None:
    with pytest.raises(TransientError, match="MLflow could not load it") as caught, answers("http://m", "load it"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        wrapped(answer(404)),
        wrapped(ValueError("a bug")),
        ssl.SSLCertVerificationError("certificate"),
        MlflowException("no such thing", INVALID_PARAMETER_VALUE),
        NoCredentialsError(),
        s3_error(403),
        PermissionError("read-only folder"),
    ],
    ids=repr,
)
def test_refusals_stay(error: Exception) -> None:
    with pytest.raises(StoreError, match="MLflow refused to load it") as caught, answers("http://m", "load it"):
        raise error
    assert not isinstance(caught.value, TransientError)


def test_a_certificate_that_is_not_trusted_names_the_variable() -> None:
    with pytest.raises(StoreError, match="set REQUESTS_CA_BUNDLE") as caught, answers("http://m", "load it"):
        raise wrapped(requests.exceptions.SSLError("certificate"))
    assert not isinstance(caught.value, TransientError)


def test_other_errors_come_through_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), answers("http://m", "load it"):
        raise ZeroDivisionError
