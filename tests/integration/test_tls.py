"""S3, PostgreSQL and MLflow behind TLS whose authority the machine does not know, as many platforms have it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.settings import DatabaseSettings, S3Settings
from pipeline_assets.stores.files.s3_bucket import Bucket
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.stores.marts.database import Database
from pipeline_assets.stores.registry.client import answers, connect
from tests.fixtures.mlflow import MlflowServer
from tests.fixtures.s3 import BUCKET, S3Server, fresh_uri
from tests.fixtures.tls import Certificates, certify, tls_proxy

VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PGSSLMODE", "PGSSLROOTCERT", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certify(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def trusting_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # libpq looks for certificates below it


@pytest.fixture
def s3_by_tls(s3_server: S3Server, certificates: Certificates) -> Iterator[S3Settings]:
    with tls_proxy(int(str(s3_server.settings.endpoint).rpartition(":")[2]), certificates) as port:
        yield replace(s3_server.settings, endpoint=f"https://127.0.0.1:{port}")


@pytest.fixture
def postgres_by_tls(own_tcp_server: DatabaseSettings, certificates: Certificates) -> Iterator[DatabaseSettings]:
    with tls_proxy(own_tcp_server.port, certificates) as port:
        yield replace(own_tcp_server, port=port)


def refused(error: StoreError) -> str:
    """Its text; an error that will not pass by itself."""
    assert not isinstance(error, TransientError), error
    return str(error)


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_s3(s3_by_tls: S3Settings, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    key = fresh_uri().rpartition("/")[2]
    with pytest.raises(StoreError, match="set AWS_CA_BUNDLE to the file") as untrusted:
        Bucket(s3_by_tls, BUCKET).put(key, b"content")
    assert "CERTIFICATE_VERIFY_FAILED" in refused(untrusted.value)
    monkeypatch.setenv(variable, str(certificates.authority))
    bucket = Bucket(s3_by_tls, BUCKET)
    bucket.put(key, b"content")
    found = bucket.tail(key, 7)
    assert found is not None
    assert found[1] == b"content"


def test_s3_whose_endpoint_speaks_no_tls(s3_server: S3Server) -> None:
    settings = replace(s3_server.settings, endpoint=str(s3_server.settings.endpoint).replace("http", "https"))
    with pytest.raises(StoreError, match="no TLS connection to the S3 endpoint") as wrong:
        Bucket(settings, BUCKET).put("key", b"content")
    assert "CERTIFICATE" not in refused(wrong.value)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_postgres(
    postgres_by_tls: DatabaseSettings, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("PGSSLMODE", mode)
    database = Database(postgres_by_tls)
    if mode != "require":
        with (
            pytest.raises(StoreError, match="set PGSSLROOTCERT to the file") as untrusted,
            database.transaction("look"),
        ):
            pass
        refused(untrusted.value)
        monkeypatch.setenv("PGSSLROOTCERT", str(certificates.authority))
    with database.transaction("look") as connection:
        assert connection.info.ssl_in_use


def test_postgres_that_cannot_be_trusted(
    postgres_by_tls: DatabaseSettings, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = (
        ("verify-full", "system", "127.0.0.1", "set PGSSLROOTCERT to the file"),
        (
            "verify-full",
            certificates.authority,
            "localhost",
            "set GREENPLUM_HOST to a name in the server's certificate",
        ),
        ("verify", "", "127.0.0.1", "set PGSSLMODE to disable, allow, prefer, require, verify-ca or verify-full"),
    )
    for mode, root, host, said in cases:
        monkeypatch.setenv("PGSSLMODE", mode)
        monkeypatch.setenv("PGSSLROOTCERT", str(root))
        database = Database(replace(postgres_by_tls, host=host))
        with pytest.raises(StoreError, match=said) as untrusted, database.transaction("look"):
            pass
        refused(untrusted.value)


def test_postgres_without_tls(own_tcp_server: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    with (
        pytest.raises(StoreError, match="set PGSSLMODE to prefer") as none,
        Database(own_tcp_server).transaction("look"),
    ):
        pass
    refused(none.value)


def test_the_embedded_server_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    try:
        with Database(tmp_path).transaction("look") as connection:
            assert not connection.info.ssl_in_use
    finally:
        embedded_postgres.stop(tmp_path)


def test_mlflow(mlflow_server: MlflowServer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with tls_proxy(mlflow_server.port, certificates) as port:
        url = f"https://127.0.0.1:{port}"
        with (
            pytest.raises(StoreError, match="set REQUESTS_CA_BUNDLE to the file") as untrusted,
            answers(url, "list experiments"),
        ):
            connect(url).search_experiments()
        refused(untrusted.value)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority))
        with answers(url, "list experiments"):
            assert connect(url).search_experiments()


def test_artifacts_of_mlflow(
    mlflow_server: MlflowServer,
    s3_by_tls: S3Settings,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """MLflow's client writes them to S3 itself."""
    for name, value in mlflow_server.variables.items():
        monkeypatch.setenv(name, value)
    client = connect(mlflow_server.settings.url)
    run = client.create_run("0").info.run_id

    def log_text(endpoint: str | None) -> None:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", str(endpoint))
        with answers(mlflow_server.settings.url, "log a text"):
            client.log_text(run, "content", "text.txt")

    with pytest.raises(StoreError, match="set AWS_CA_BUNDLE to the file") as untrusted:
        log_text(s3_by_tls.endpoint)
    refused(untrusted.value)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates.authority))
    # MLflow keeps a client of S3 by its endpoint for some minutes, and with it whom it trusts.
    log_text(f"{s3_by_tls.endpoint}/")
    assert Path(client.download_artifacts(run, "text.txt", str(tmp_path))).read_text() == "content"
