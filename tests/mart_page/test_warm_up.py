from pathlib import Path

import pytest

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.database import HealthMonitor, ReadOnlyDatabase
from pipeline_assets.mart_page.page import AppState, Links
from pipeline_assets.mart_page.warm_up import warm_up
from pipeline_assets.settings import Settings


def state(settings: Settings) -> AppState:
    database = ReadOnlyDatabase(settings.state / "postgres", settings.schema)
    return AppState(settings, database, database, HealthMonitor(database), catalog.tasks, Links(None, None))


def test_the_registry_is_read_before_anyone_asks(tmp_path: Path) -> None:
    there = state(Settings.from_env({"DATA_URI": str(tmp_path), "PIPELINE_STATE": str(tmp_path / "state")}))
    thread = warm_up(there)
    assert thread.daemon
    thread.join(60)
    assert not thread.is_alive()
    assert "client" in vars(there.stores["registry"])


def test_a_registry_that_cannot_be_read_ahead_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.from_env({"DATA_URI": str(tmp_path), "PIPELINE_STATE": str(tmp_path / "state")})
    folder = tmp_path / "state" / "mlflow"
    folder.mkdir(parents=True)
    (folder / "mlflow.db").write_bytes(b"no database, but longer than the header of one" * 40)
    warm_up(state(settings)).join(60)
    assert "could not be read ahead" in caplog.text
