from pathlib import Path

import pytest

from pipeline_assets.errors import SettingsError
from pipeline_assets.settings import PACKAGED_TASKS, Settings

GREENPLUM = {
    "GREENPLUM_HOST": "gp", "GREENPLUM_DATABASE": "dwh", "GREENPLUM_LOGIN": "me", "GREENPLUM_PASSWORD": "hidden-1",
}  # fmt: skip
TARANTOOL = {"TARANTOOL_HOST": "tt", "TARANTOOL_LOGIN": "me", "TARANTOOL_PASSWORD": "hidden-2"}
MLFLOW = {"MLFLOW_URL": "http://ml:5000", "MLFLOW_LOGIN": "me", "MLFLOW_PASSWORD": "hidden-3"}
S3 = {"DATA_URI": "s3://lake/ml/", "AWS_ACCESS_KEY_ID": "hidden-5", "AWS_SECRET_ACCESS_KEY": "hidden-4"}


def test_nothing_set_is_all_embedded(tmp_path: Path) -> None:
    settings = Settings.from_env({}, tmp_path)
    assert settings.data_uri == str(tmp_path / "data")
    assert settings.state == tmp_path / ".pipeline"
    assert settings.schema == "marts"
    assert (settings.s3, settings.greenplum, settings.tarantool, settings.mlflow) == (None, None, None, None)


def test_an_empty_variable_is_an_unset_one(tmp_path: Path) -> None:
    assert Settings.from_env({"GREENPLUM_HOST": "", "DATA_URI": ""}, tmp_path) == Settings.from_env({}, tmp_path)


def test_everything_set_is_all_servers(tmp_path: Path) -> None:
    settings = Settings.from_env({**GREENPLUM, **TARANTOOL, **MLFLOW, **S3, "GREENPLUM_SCHEMA": "ml"}, tmp_path)
    assert settings.data_uri == "s3://lake/ml"
    assert settings.schema == "ml"
    assert settings.greenplum is not None
    assert (settings.greenplum.host, settings.greenplum.port) == ("gp", 5432)
    assert settings.tarantool is not None
    assert settings.tarantool.port == 3301
    assert settings.mlflow is not None
    assert settings.s3 is not None
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "missing"),
    [(GREENPLUM, name) for name in GREENPLUM]
    + [(TARANTOOL, name) for name in TARANTOOL]
    + [(MLFLOW, name) for name in MLFLOW]
    + [(S3, "AWS_SECRET_ACCESS_KEY")],
)
def test_half_set_names_the_missing_variable_and_no_secret(given: dict[str, str], missing: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({name: value for name, value in given.items() if name != missing}, tmp_path)
    assert missing in str(refused.value)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"DATA_URI": "gs://bucket"}, "gs://bucket"),
        ({**GREENPLUM, "GREENPLUM_PORT": "many"}, "many"),
        ({**TARANTOOL, "TARANTOOL_PORT": "70000"}, "70000"),
        ({"MLFLOW_URL": "file:///somewhere"}, "file:///somewhere"),
    ],
)
def test_a_value_that_cannot_be_one_is_named(given: dict[str, str], found: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=found):
        Settings.from_env(given, tmp_path)


def test_mlflows_own_variable_counts_too(tmp_path: Path) -> None:
    settings = Settings.from_env({"MLFLOW_TRACKING_URI": "https://ml"}, tmp_path)
    assert settings.mlflow is not None
    assert settings.mlflow.url == "https://ml"


def test_tasks_live_in_folders_of_the_users_own_beside_the_packaged_example(tmp_path: Path) -> None:
    for folder in ("mine", "задачи отдела"):
        (tmp_path / folder).mkdir()
    assert Settings.from_env({}, tmp_path).tasks == (PACKAGED_TASKS,)
    named = f"mine:{tmp_path}/задачи отдела:{PACKAGED_TASKS}:./mine:"
    assert Settings.from_env({"PIPELINE_TASKS": named}, tmp_path).tasks == (
        PACKAGED_TASKS,
        tmp_path / "mine",
        tmp_path / "задачи отдела",
    )


def test_a_folder_of_tasks_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(SettingsError, match=r"PIPELINE_TASKS(.|\n)*theirs") as refused:
        Settings.from_env({"PIPELINE_TASKS": "mine:theirs"}, tmp_path)
    assert str(tmp_path / "mine") not in str(refused.value)
