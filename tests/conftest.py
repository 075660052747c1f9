"""Fixtures of all tests."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import dagster as dg
import pytest
from hypothesis import settings

from pipeline_assets.stores.marts import embedded_postgres
from tests.examples import shop
from tests.workbench import Workbench

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _no_remembered_s3_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process boto3 keeps the credentials of the first S3 that MLflow wrote to, and each test has its own."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workbench]:
    """The example task over embedded stores in a folder of its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(tmp_path, shop(), instance)
    if (tmp_path / ".pipeline" / "postgres").exists():
        embedded_postgres.stop(tmp_path / ".pipeline" / "postgres")
