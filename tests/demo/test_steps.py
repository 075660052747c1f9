"""Where the demo says that its results can be looked at."""

from pathlib import Path

from pipeline_assets.demo.steps import views
from pipeline_assets.settings import Settings
from pipeline_assets.stack.plan import Plan


def test_on_the_stack_the_demo_names_the_servers_of_the_stack(tmp_path: Path) -> None:
    plan = Plan.of(tmp_path)
    variables = plan.variables()
    shown = dict(views(Settings.from_env(variables), Path(variables["DAGSTER_HOME"])))
    assert shown["the marts"].startswith(
        ".venv/bin/pipeline-assets stack run .venv/bin/pipeline-assets sql, then select "
    )
    addresses = (shown["models"], shown["the whole graph"], shown["the mart page"])
    assert addresses == (plan.url("mlflow"), plan.url("dagster"), plan.url("mart_page"))


def test_elsewhere_it_names_the_verbs_of_make(tmp_path: Path) -> None:
    shown = dict(views(Settings.from_env({}, tmp_path), tmp_path / "dagster"))
    assert shown["the marts"].startswith("make sql, then select ")
    assert shown["the mart page"] == "make ui, then http://127.0.0.1:8000"
    own = {"MLFLOW_URL": "http://mlflow.example"}
    shown = dict(views(Settings.from_env(own, tmp_path), tmp_path / "dagster"))
    assert shown.keys() == {"the marts", "models"}
    assert shown["models"] == "http://mlflow.example"
