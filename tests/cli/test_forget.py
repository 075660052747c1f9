from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from pipeline_assets.cli.main import main
from pipeline_assets.task.loading import COMPONENT
from tests.examples import SHOP, orders, shop
from tests.workbench import Workbench

PARTITIONS = "shop_predict_batches"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project: a task, and a Dagster that has run there."""
    folder = tmp_path / "tasks" / "shop"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(yaml.safe_dump({"type": COMPONENT, "attributes": SHOP}))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("PIPELINE_TASKS", str(tmp_path / "tasks"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("home")
def test_all_that_is_kept_of_a_batch_goes_and_its_file_stays(place: Workbench) -> None:
    place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    for batch in ("2026-02", "2026-03"):
        place.put("predict", batch, orders(100, stage="predict"))
        place.succeed("predict", batch)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(PARTITIONS, ["2026-02", "2026-03"])
    before = place.everything()

    kept = CliRunner().invoke(main, ["forget", "shop", "predict", "2026-02"], input="n\n")
    assert kept.exit_code == 1
    assert kept.stderr.endswith("Nothing was removed.\n")
    assert place.everything() == before
    done = CliRunner().invoke(main, ["forget", "shop", "predict", "2026-02", "--yes"])
    assert done.exit_code == 0, done.output
    marts = place.settings.schema
    for said in (f"100 rows in {place.stores['marts'].uri('shop_predict_input')}", f"/{marts}.shop_predict_output"):
        assert said in done.stdout
    for said in ("predictions/2026-02.parquet", "scores/2026-02.parquet", "100 rows of features", PARTITIONS):
        assert said in done.stdout

    assert {row["batch"] for row in place.mart("predict_input")} == {"2026-03"}
    assert {row["batch"] for row in place.mart("lineage")} == {"2026-03"}
    assert {row["batch"] for row in place.mart("drift")} == {"2026-03"}
    left = [path for path in place.root.rglob("2026-02*") if ".pipeline/postgres" not in str(path)]
    assert left == [place.path("predict", "2026-02")]
    assert place.everything().keys() == {name for name in before if "2026-02" not in name}
    assert len(place.mart("train_input")) == 200
    with dg.DagsterInstance.get() as instance:
        assert instance.get_dynamic_partitions(PARTITIONS) == ["2026-03"]

    again = CliRunner().invoke(main, ["forget", "shop", "predict", "2026-02", "--yes"])
    assert again.exit_code == 2
    assert "nothing is kept of such a batch" in again.stderr
    assert "2026-03" in again.stderr
    place.succeed("predict", "2026-02")
    assert {row["batch"] for row in place.mart("lineage")} == {"2026-02", "2026-03"}


def test_a_task_keeps_the_batches_loaded_last(place: Workbench) -> None:
    place.put("train", "2026-01", orders(200))
    place.use(shop(keep=1))
    place.succeed("train", "2026-01")
    for batch in ("2026-02", "2026-03"):
        place.put("predict", batch, orders(20, stage="predict"))
        result = place.succeed("predict", batch)
    assert place.metadata(result, "predict_input_mart")["dropped_batches"] == "2026-02"
    assert "dropped_batches" not in place.metadata(result, "predict_output_mart")
    for mart in ("predict_input", "predict_output", "lineage"):
        assert {row["batch"] for row in place.mart(mart)} == {"2026-03"}
    assert len(place.mart("train_input")) == 200
