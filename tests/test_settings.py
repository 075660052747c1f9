from pathlib import Path

import pytest

from pipeline_assets.errors import SettingsError
from pipeline_assets.settings import PACKAGED_TASKS, Settings, WebhookSettings

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


@pytest.mark.parametrize("variable", ["MLFLOW_URL", "MLFLOW_TRACKING_URI"])
def test_credentials_in_mlflows_address_are_taken_out_of_it(variable: str, tmp_path: Path) -> None:
    settings = Settings.from_env({variable: "https://me:hidden%2Fword@ml:5000/"}, tmp_path)
    assert settings.mlflow is not None
    assert (settings.mlflow.url, settings.mlflow.login, settings.mlflow.password) == (
        "https://ml:5000",
        "me",
        "hidden/word",
    )
    assert settings.mlflow_ui == "https://ml:5000"
    assert "hidden" not in repr(settings)


def test_mlflows_login_given_apart_counts_before_that_in_its_address(tmp_path: Path) -> None:
    settings = Settings.from_env({**MLFLOW, "MLFLOW_URL": "http://else:hidden-9@ml"}, tmp_path)
    assert settings.mlflow is not None
    assert (settings.mlflow.login, settings.mlflow.password) == ("me", "hidden-3")


def test_mlflows_ui_may_be_elsewhere(tmp_path: Path) -> None:
    address = {"MLFLOW_UI_URL": "https://me:hidden-1@ml/mlflow/"}
    assert Settings.from_env({**MLFLOW, **address}, tmp_path).mlflow_ui == "https://ml/mlflow"
    assert Settings.from_env(address, tmp_path).mlflow_ui == "https://ml/mlflow"
    assert Settings.from_env({}, tmp_path).mlflow_ui is None


@pytest.mark.parametrize("variable", ["MLFLOW_URL", "MLFLOW_TRACKING_URI", "MLFLOW_UI_URL"])
@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:hidden@db/mlflow", "postgresql://db/mlflow"),
        ("me:hidden@ml:5000", "ml:5000"),
        ("http://me:hidden/with@sign@ml", "http://ml"),
        ("http://me:1/hidden@ml", "http://ml"),
        ("http://ml:many?password=hidden", "http://ml:many"),
        ("http://", "http://"),
    ],
)
def test_an_address_that_is_none_names_its_own_variable_and_no_secret(
    variable: str, address: str, shown: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({variable: address}, tmp_path)
    assert f"{variable} is no server's address" in str(refused.value)
    assert refused.value.facts["found"] == shown
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "variable"), [(S3, "AWS_CA_BUNDLE"), (GREENPLUM, "PGSSLROOTCERT"), (MLFLOW, "REQUESTS_CA_BUNDLE")]
)
def test_a_certificate_that_is_not_there_is_named(given: dict[str, str], variable: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "authority.pem")
    with pytest.raises(SettingsError, match=rf"{variable} names a file that is not there\n  found:     {missing}"):
        Settings.from_env({**given, variable: missing}, tmp_path)
    Settings.from_env({variable: missing}, tmp_path)  # nobody reads it
    Path(missing).touch()
    Settings.from_env({**given, variable: missing}, tmp_path)


def test_postgres_may_trust_whom_the_system_trusts(tmp_path: Path) -> None:
    Settings.from_env({**GREENPLUM, "PGSSLROOTCERT": "system"}, tmp_path)


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


def test_a_webhook_is_a_secret(tmp_path: Path) -> None:
    env = {"PIPELINE_WEBHOOK_URL": "https://hooks/services/hidden", "PIPELINE_WEBHOOK_FORMAT": "slack"}
    settings = Settings.from_env(env, tmp_path)
    assert settings.webhook == WebhookSettings("https://hooks/services/hidden", "slack")
    assert "hidden" not in repr(settings)
    assert Settings.from_env({**env, "PIPELINE_WEBHOOK_DETAILS": "1"}, tmp_path).webhook == WebhookSettings(
        "https://hooks/services/hidden", "slack", details=True
    )
    assert Settings.from_env({}, tmp_path).webhook is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"PIPELINE_WEBHOOK_URL": "hooks/services/hidden"}, "PIPELINE_WEBHOOK_URL is no server's address"),
        ({"PIPELINE_WEBHOOK_FORMAT": "teams"}, r"none of the formats\n  found:     teams\n  available: json, slack"),
        ({"PIPELINE_WEBHOOK_DETAILS": "yes"}, "PIPELINE_WEBHOOK_DETAILS is neither 0 nor 1"),
    ],
)
def test_a_wrong_webhook_is_named_without_its_address(given: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        Settings.from_env({"PIPELINE_WEBHOOK_URL": "https://hooks/services/hidden", **given}, tmp_path)
    assert "hidden" not in str(refused.value)


def test_lineage_events_are_sent_where_openlineage_is_configured(tmp_path: Path) -> None:
    url = {"OPENLINEAGE_URL": "http://marquez:5000"}
    assert Settings.from_env({}, tmp_path).lineage_namespace is None
    assert Settings.from_env(url, tmp_path).lineage_namespace == "pipeline_assets"
    assert Settings.from_env({"OPENLINEAGE_CONFIG": "ol.yml"}, tmp_path).lineage_namespace == "pipeline_assets"
    assert Settings.from_env({**url, "OPENLINEAGE_NAMESPACE": "prod"}, tmp_path).lineage_namespace == "prod"
    assert Settings.from_env({**url, "OPENLINEAGE_DISABLED": "true"}, tmp_path).lineage_namespace is None
