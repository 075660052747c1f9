"""compose.yaml as far as it can be held to its word without Docker."""

import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from pipeline_assets.errors import StoreError
from pipeline_assets.settings import Settings, TarantoolSettings
from pipeline_assets.stack import s3, tarantool
from pipeline_assets.stack.plan import Plan
from pipeline_assets.stack.ports import free_ports
from pipeline_assets.stores.features.base import FeatureTable
from pipeline_assets.stores.features.tarantool import TarantoolFeatureStore

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRETS = re.findall(r"^(\w+)=$", (ROOT / "deploy" / "compose.env.example").read_text(), re.MULTILINE)
OURS = ("dagster", "dagster-daemon", "mlflow")


def filled(service: str) -> dict[str, str]:
    """Its variables once .env.compose is read."""
    variable = re.compile(r"\$\{(\w+):\?[^}]*\}")
    return {
        name: variable.sub(lambda found: f"secret of {found[1]}", text)
        for name, text in SERVICES[service]["environment"].items()
    }


@pytest.mark.parametrize("service", OURS)
def test_each_process_has_every_variable_of_the_stack(service: str, tmp_path: Path) -> None:
    assert set(filled(service)) == set(Plan.of(tmp_path).variables())


def test_the_variables_are_settings_that_lead_to_the_services(tmp_path: Path) -> None:
    settings = Settings.from_env(filled("dagster"), tmp_path)
    assert settings.s3 is not None
    assert settings.greenplum is not None
    assert settings.tarantool is not None
    assert settings.mlflow is not None
    hosts = {
        str(settings.s3.endpoint).removeprefix("http://"),
        f"{settings.greenplum.host}:{settings.greenplum.port}",
        f"{settings.tarantool.host}:{settings.tarantool.port}",
        settings.mlflow.url.removeprefix("http://"),
    }
    listening = {
        f"{name}:{port.rpartition(':')[2]}" for name, service in SERVICES.items() for port in service.get("ports", ())
    }
    assert hosts <= listening
    bucket = settings.data_uri.removeprefix("s3://").partition("/")[0]
    models = next(word for word in SERVICES["mlflow"]["command"] if "artifact-root" in word)
    assert SERVICES["buckets"]["command"][2:] == [bucket, models.removeprefix("--default-artifact-root=s3://")[:6]]


def test_nothing_listens_beyond_the_loopback_and_nothing_floats() -> None:
    for name, service in SERVICES.items():
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service.get("ports", ())), name
        # A short name and a version: no registry's host, no "latest".
        assert re.fullmatch(r"[a-z-]+:\d+(\.\d+)+", service["image"]), name
    base = re.findall(r"^FROM (.*)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert [re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", image) is not None for image in base] == [True]


def test_every_secret_is_asked_for_and_none_is_written_down() -> None:
    asked = re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text())
    assert set(asked) == set(SECRETS)
    for service in SERVICES.values():
        for name, text in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|ACCESS_KEY", name) and text:
                assert re.fullmatch(r"\$\{\w+:\?[^}]*\}", text), name


def test_what_is_waited_for_is_there_and_all_that_the_image_copies() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        assert (
            {volume.partition(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
            if ("volumes" in service)
            else True
        )
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (.*) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
        for word in line.split()
    }
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TarantoolSettings]:
    """The Tarantool of compose.yaml, by its own script."""
    try:
        program = tarantool.program()
    except StoreError as missing:
        pytest.skip(str(missing))
    (port,) = free_ports(1)
    settings = TarantoolSettings("127.0.0.1", port, "pipeline", secrets.token_hex(8))
    given = {"TARANTOOL_PORT": str(port), "TARANTOOL_LOGIN": settings.login, "TARANTOOL_PASSWORD": settings.password}
    process = subprocess.Popen(
        [program, ROOT / "deploy" / "tarantool.lua"],
        cwd=tmp_path, env=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == "ready\n"
        yield settings
        process.terminate()
        process.wait()


def test_its_tarantool_gives_the_store_what_it_needs(server: TarantoolSettings) -> None:
    rows = pa.table({"row_number": [0, 1], "value": [0.5, None]})
    table = FeatureTable("compose", "train", rows.schema)
    store = TarantoolFeatureStore(server)
    store.replace(table, "a", rows.to_reader())
    assert store.read(table, "a").read_all().equals(rows)


def test_its_s3_server_knows_the_flags_that_it_is_given() -> None:
    flags = [word.partition("=")[0] for word in SERVICES["s3"]["command"] if word.startswith("-")]
    known = subprocess.run([s3.program(), "help", "server"], capture_output=True, text=True, check=False)
    assert [flag for flag in flags if f"  {flag}" not in known.stdout + known.stderr] == []
