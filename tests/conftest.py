"""Fixtures of all tests."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline_assets.stores import embedded_postgres
from tests.examples import shop
from tests.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """The example task over embedded stores in a folder of its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Place(tmp_path, shop(), instance)
    if (tmp_path / ".pipeline" / "postgres").exists():
        embedded_postgres.stop(tmp_path / ".pipeline" / "postgres")
