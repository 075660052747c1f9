import os
import stat
from pathlib import Path

import pytest

from pipeline_assets.errors import StoreError
from pipeline_assets.stack import airflow
from pipeline_assets.stack.airflow import Airflow


def test_port_and_credentials_are_chosen_once_and_for_their_owner(tmp_path: Path) -> None:
    one, again, other = Airflow.of(tmp_path / "a"), Airflow.of(tmp_path / "a"), Airflow.of(tmp_path / "b")
    assert one == again
    assert one.password != other.password
    assert stat.S_IMODE((tmp_path / "a" / "plan.json").stat().st_mode) == 0o600


def test_everything_that_it_writes_stays_in_its_folder(tmp_path: Path) -> None:
    found = Airflow.of(tmp_path / "home")
    variables = found.variables("http://127.0.0.1:3000")
    for name in (
        "AIRFLOW_HOME",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    ):
        assert str(tmp_path / "home") in variables[name]
    for name in ("AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__PLUGINS_FOLDER"):
        assert Path(variables[name]).is_dir()
    assert variables["AIRFLOW_CONN_DAGSTER_DEFAULT"] == "http://127.0.0.1:3000"


def test_the_users_own_airflow_does_not_lead_it_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://production")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    given = airflow.environment({"AIRFLOW_HOME": "/home"})
    assert {name: value for name, value in given.items() if name.startswith(("AIRFLOW", "PYTHONPATH"))} == {
        "AIRFLOW_HOME": "/home"
    }
    assert given["PATH"].split(os.pathsep)[0] == str(airflow.VENV / "bin")


def test_where_airflow_is_missing_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow, "VENV", tmp_path)
    with pytest.raises(StoreError, match=r"Airflow is not installed[\s\S]*make airflow"):
        airflow.programs(Airflow.of(tmp_path / "home"))
