"""Fixtures of all tests, and which tests are quick: the others carry the marker ``server``."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from pipeline_assets.stores.marts import embedded_postgres
from tests.examples import shop
from tests.workbench import Workbench

if find_spec("absl") is not None:
    import absl.logging

    # TensorFlow's logger keeps the stderr that it finds when it is imported, which is pytest's. When Dagster or MLflow
    # set up the logging anew, Python closes each handler, and this one would close that file.
    absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

ROOT = Path(__file__).parent
# Whoever asks for one of these waits for a server, a browser, or a whole run of the pipeline.
SERVERS = frozenset({
    "browser", "embedded_server", "files_place", "flights", "flights_site", "kinds_site", "mart_store", "marts",
    "mlflow2_server",
    "mlflow_server", "own_mlflow", "own_postgres", "own_tarantool", "own_tcp_server", "pair", "pair2", "place",
    "place_of", "predicted", "reader", "registry", "s3_server", "server", "shop_site", "site", "stack",
    "tarantool_server",
    "tarantool_settings", "tarantool_site", "tcp_server",
})  # fmt: skip
# Folders and modules that start them by themselves.
WHOLE = ("end_to_end/", "integration/", "stores/marts/test_embedded_postgres.py", "test_extras.py", "cli/test_run.py")
# Folders whose tests share what is slow to make: one worker of pytest-xdist runs each, others go module by module.
TOGETHER = ("tests/mart_page/views/", "tests/stores/registry/")


class ByModule(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a worker all tests of a module, or of a folder of :data:`TOGETHER`.

    The marker ``xdist_group`` would say the same, but pytest-xdist 3.8 does not see it under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if module.startswith(folder)), module)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    """How tests are shared out among workers."""
    return ByModule(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks a test that needs a server."""
    names = set(getattr(item, "fixturenames", ()))
    if names & SERVERS or _path(item).startswith(WHOLE):
        item.add_marker("server")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest tests first, so that no worker begins one when the others are done."""
    items.sort(key=lambda item: (not _path(item).startswith(WHOLE), item.get_closest_marker("server") is None))


def _path(item: pytest.Item) -> str:
    """Of the test's module, below ``tests``."""
    return item.path.relative_to(ROOT).as_posix() if item.path.is_relative_to(ROOT) else ""


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
