import json
import shlex
import stat
from pathlib import Path

from pipeline_assets.settings import MlflowSettings, Settings
from pipeline_assets.stack.plan import Plan


def test_the_variables_lead_to_the_servers(tmp_path: Path) -> None:
    plan = Plan.of(tmp_path)
    settings = Settings.from_env(plan.variables(), Path("/elsewhere"))
    assert settings.s3 == plan.s3
    assert settings.greenplum == plan.postgres
    assert settings.tarantool == plan.tarantool
    assert settings.mlflow == MlflowSettings(plan.url("mlflow"), None, None)
    assert settings.state == tmp_path / "state"


def test_ports_and_credentials_are_chosen_once_and_for_each_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, again, other = Plan.of(tmp_path / "a"), Plan.of(tmp_path / "a"), Plan.of(tmp_path / "b")
    assert one == again
    assert len(set(one.ports.values())) == len(one.ports)
    assert not set(one.secrets.values()) & set(other.secrets.values())


def test_the_file_is_a_shells_and_its_owners_only(tmp_path: Path) -> None:
    folder = tmp_path / "with a blank"
    folder.mkdir()
    plan, file = Plan.of(folder), tmp_path / ".env.stack"
    plan.write_env(file)
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE((folder / "plan.json").stat().st_mode) == 0o600
    words = shlex.split(file.read_text(), comments=True)
    assert dict(word.split("=", 1) for word in words) == plan.variables()


def test_a_plan_made_before_a_server_was_known_gets_its_port(tmp_path: Path) -> None:
    made, file = Plan.of(tmp_path), tmp_path / "plan.json"
    kept = json.loads(file.read_text())
    del kept["ports"]["mart_page"]
    file.write_text(json.dumps(kept))
    completed = Plan.of(tmp_path)
    assert {**completed.ports, "mart_page": 0} == {**made.ports, "mart_page": 0}
    assert completed.ports["mart_page"] not in [port for name, port in completed.ports.items() if name != "mart_page"]
    assert completed.secrets == made.secrets
    assert completed == Plan.of(tmp_path)
