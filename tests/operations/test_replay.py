from pathlib import Path

import dagster as dg
import pytest
import yaml

from pipeline_assets.cli.run import failures
from pipeline_assets.engine.replay import replay_of
from pipeline_assets.operations.jobs import operation_jobs
from pipeline_assets.task.loading import COMPONENT
from tests.examples import SHOP, orders, with_column
from tests.workbench import Workbench

BATCH = "2026-01"
QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}


@pytest.fixture(autouse=True)
def _tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tasks" / "shop"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(yaml.safe_dump({"type": COMPONENT, "attributes": SHOP}))
    monkeypatch.setenv("PIPELINE_TASKS", str(tmp_path / "tasks"))


def replay(place: Workbench, **config: str) -> dg.ExecuteInProcessResult:
    location = dg.Definitions(resources=dict(place.stores), jobs=operation_jobs())
    where = {"task": "shop", "stage": "train", "batch": BATCH, **config}
    return location.resolve_job_def("replay").execute_in_process(
        run_config={"ops": {"replay": {"config": where}}, "loggers": QUIET},
        instance=place.instance,
        raise_on_error=False,
    )


def problem(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    return "\n".join(failures(result))


def test_the_job_runs_the_batchs_own_job_and_tells_what_became_of_the_rows(place: Workbench) -> None:
    table = orders(200)
    prices = table["price"].to_pylist()
    place.put("train", BATCH, with_column(table, "price", [-1.0, -1.0, *prices[2:]]))
    place.succeed("train", BATCH)
    assert replay_of(place.stores["files"], place.ref("train", BATCH)) is None
    place.put("train", BATCH, with_column(table, "price", [1.0, -1.0, *prices[2:]]))
    result = replay(place)
    assert result.success
    (event,) = [event for event in result.all_events if event.is_successful_output and event.step_key == "replay"]
    told = {name: value.value for name, value in event.step_output_data.metadata.items()}
    assert (told["formerly_rejected"], told["formerly_rejected_accepted"], told["formerly_rejected_same_rule"]) == (
        2,
        1,
        1,
    )
    own = place.instance.get_run_by_id(str(told["run"]))
    assert own is not None
    assert (own.job_name, own.status, own.tags["replayed_by"]) == (
        "shop_train", dg.DagsterRunStatus.SUCCESS, result.run_id,
    )  # fmt: skip
    assert own.tags["dagster/partition"] == BATCH
    found = replay_of(place.stores["files"], place.ref("train", BATCH))
    assert found is not None
    assert found.replay.now.run_id == own.run_id
    assert found.stored.batches().read_all()["outcome"].to_pylist() == ["accepted", "same_rule"]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"task": "shopp"}, "did you mean: shop?"),
        ({"stage": "training"}, "there is no such stage"),
        ({"batch": "2026-02"}, "there is no such batch"),
        ({}, "the batch has not been checked yet"),
    ],
)
def test_what_is_not_there_is_named_and_nothing_runs(place: Workbench, config: dict[str, str], says: str) -> None:
    place.put("train", BATCH, orders(20))
    assert says in problem(replay(place, **config))
    assert {run.job_name for run in place.instance.get_runs()} == {"replay"}


def test_a_run_that_fails_fails_the_job(place: Workbench) -> None:
    place.put("predict", BATCH, orders(20, stage="predict"))
    place.fail("predict", BATCH)
    assert "of shop_predict failed" in problem(replay(place, stage="predict"))
