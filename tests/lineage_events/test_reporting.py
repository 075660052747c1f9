import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline_assets.definitions import defs
from pipeline_assets.lineage_events.reporting import reporting
from pipeline_assets.settings import Settings
from tests.examples import orders, with_column
from tests.fixtures.receiver import Receiver
from tests.lineage_events.standard import problems
from tests.workbench import Workbench

URL = {"OPENLINEAGE_URL": "http://marquez:5000"}


@pytest.fixture
def reported(place: Workbench) -> Workbench:
    """A workbench whose runs are reported."""
    place.defs = reporting(place.defs, Settings.from_env(URL, place.root))
    return place


def ends(server: Receiver) -> dict[str, dict[str, Any]]:
    """The last event of each job."""
    assert [problems(event) for event in server.posted] == [[]] * len(server.posted)
    return {event["job"]["name"]: event for event in server.posted}


def test_a_training_and_a_prediction_are_one_chain_of_datasets(reported: Workbench, server: Receiver) -> None:
    reported.put("train", "b1", orders(40))
    reported.put("predict", "p1", orders(20, stage="predict"))
    reported.succeed("train", "b1")
    run = reported.succeed("predict", "p1")
    found = ends(server)
    assert {event["eventType"] for event in found.values()} == {"COMPLETE"}

    def names(job: str, side: str) -> list[str]:
        return [f"{each['namespace']} {Path(each['name']).name}" for each in found[job][side]]

    assert names("shop_train.train_raw", "inputs") == ["file b1.parquet"]
    assert names("shop_train.model", "outputs") == ["file shop"]
    assert names("shop_predict.predictions", "inputs") == ["file p1.parquet", "file p1.parquet", "file shop"]
    (mart,) = found["shop_predict.predict_output_mart"]["outputs"]
    assert mart["namespace"].startswith("postgres://")
    assert mart["name"] == "postgres.marts.shop_predict_output"
    assert mart["outputFacets"]["outputStatistics"]["rowCount"] == 20
    # What one step writes is, by its name, what the next one reads.
    written = [(each["namespace"], each["name"]) for each in found["shop_predict.predict_prepared"]["outputs"]]
    read = [(each["namespace"], each["name"]) for each in found["shop_predict.predictions"]["inputs"]]
    assert written[0] in read
    features = found["shop_predict.predict_prepared"]["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert [each["field"] for each in features["weekday"]["inputFields"]] == ["ordered_on"]
    model = found["shop_predict.predictions"]["inputs"][2]["facets"]
    assert (model["version"]["datasetVersion"], model["datasetType"]["datasetType"]) == ("1", "MODEL")
    raw = found["shop_predict.predict_raw_checks"]["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [(each["assertion"], each["success"]) for each in raw] == [
        ("rows_add_up", True),
        ("rejected_share", True),
        ("columns_expected", True),
        ("key_unique", True),
    ]
    assert found["shop_predict.predictions"]["run"]["facets"]["parent"]["run"]["runId"] == run.run_id
    assert found["shop_predict"]["run"]["runId"] == run.run_id


def test_a_run_that_fails_says_why_without_values(reported: Workbench, server: Receiver) -> None:
    prices = [-12.5, *(2.0 for _ in range(5))]
    reported.put("predict", "p1", with_column(orders(6, stage="predict"), "price", prices))
    assert not reported.run("predict", "p1").success
    found = ends(server)
    assert (found["shop_predict"]["eventType"], found["shop_predict.predict_raw"]["eventType"]) == ("FAIL", "COMPLETE")
    checks = found["shop_predict.predict_raw_checks"]
    assert checks["eventType"] == "FAIL"
    assert "1 of 6 rows rejected" in checks["run"]["facets"]["errorMessage"]["message"]
    assertions = checks["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [(each["assertion"], each["severity"]) for each in assertions if not each["success"]] == [
        ("rejected_share", "error")
    ]
    assert "12.5" not in str(server.posted)


def test_assets_that_a_person_picks_are_the_same_jobs(reported: Workbench, server: Receiver) -> None:
    reported.put("train", "b1", orders(40))
    reported.succeed("train", "b1")
    server.posted.clear()
    job = reported.defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey(["shop", "train_features"])}
    )
    assert job.execute_in_process(partition_key="b1", instance=reported.instance).success
    prepared = ends(server)["shop_train.train_prepared"]
    assert [Path(each["name"]).name for each in prepared["inputs"]] == ["b1.parquet"]  # read in an earlier run
    assert len(prepared["outputs"]) == 1


def test_a_server_that_is_down_fails_no_run_and_is_told_once(
    reported: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", "http://127.0.0.1:1/hidden")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY", '{"total": 0}')
    reported.put("predict", "p1", orders(6, stage="predict"))
    run = reported.run("predict", "p1")
    log = [entry.user_message for entry in reported.instance.all_logs(run.run_id)]
    (warning,) = [text for text in log if "OpenLineage" in text]
    assert "were not sent to OpenLineage: no answer (ConnectionError)" in warning
    assert "hidden" not in warning
    # It fails by what it lacks, a model, and by nothing else.
    assert [event.step_key for event in run.get_step_failure_events()] == ["shop__predictions"]


def test_the_whole_code_location_is_reported_where_openlineage_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENLINEAGE_URL", "http://marquez:5000")
    location = defs()
    dg.Definitions.validate_loadable(location)
    made = [*(location.assets or ()), *(location.asset_checks or ())]
    assert {len(each.hook_defs) for each in made if isinstance(each, dg.AssetsDefinition)} == {1}


def test_nothing_is_imported_or_changed_where_openlineage_is_not_configured(tmp_path: Path) -> None:
    script = """
import sys
from pipeline_assets.definitions import defs
location = defs()
assert "lineage_events" not in location.resources
assert not [asset for asset in location.assets if asset.hook_defs]
assert "openlineage" not in sys.modules
"""
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": root}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
