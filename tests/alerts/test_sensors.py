import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.freshness_evaluator import FRESHNESS_EVALUATORS_BY_POLICY_TYPE
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from pipeline_assets.alerts.sensors import alert_sensors
from pipeline_assets.definitions import defs
from pipeline_assets.operations.jobs import operation_jobs
from pipeline_assets.settings import WebhookSettings
from tests.examples import orders, shop, with_column
from tests.fixtures.receiver import Receiver
from tests.workbench import Workbench

UI = "https://dagster"


class Watch:
    """The sensors over a workbench, one tick at a time, as the daemon has them."""

    def __init__(self, place: Workbench, receiver: Receiver, *, details: bool = False) -> None:
        self.place = place
        settings = WebhookSettings(f"{receiver.url}/hidden", details=details)
        self.ahead = timedelta()
        self.sensors = {each.name: each for each in alert_sensors(settings, UI, lambda: datetime.now(UTC) + self.ahead)}
        self.cursors: dict[str, str | None] = {}
        for name in self.sensors:
            self.tick(name)

    def tick(self, name: str) -> Any:
        repository = self.place.defs.get_repository_def()
        with dg.build_sensor_context(
            self.place.instance, cursor=self.cursors.get(name), repository_def=repository
        ) as context:
            done = self.sensors[name].evaluate_tick(context)
        self.cursors[name] = done.cursor
        return done


@pytest.fixture
def watch(place: Workbench, receiver: Receiver) -> Watch:
    return Watch(place, receiver)


def test_a_failed_run_is_told_with_what_failed_and_without_values(watch: Watch, receiver: Receiver) -> None:
    free = ["free"] * 6  # breaks the rule no_free_notes in every row
    watch.place.put("predict", "b1", with_column(orders(6, stage="predict"), "note", free))
    run = watch.place.run("predict", "b1")
    assert not run.success
    watch.tick("alerts_failed_runs")
    (body,) = receiver.posted
    assert (body["event"], body["task"], body["stage"], body["batch"]) == ("run_failed", "shop", "predict", "b1")
    assert body["link"] == f"{UI}/runs/{run.run_id}"
    assert "all 6 rows break the contract; nothing downstream was changed" in body["text"]
    assert "found:" not in body["text"]
    watch.tick("alerts_failed_runs")
    assert len(receiver.posted) == 1  # it is told once


def test_a_run_that_a_check_stops_says_which_and_with_details_what_it_found(
    place: Workbench, receiver: Receiver
) -> None:
    plain, detailed = Watch(place, receiver), Watch(place, receiver, details=True)
    prices = [-1.0, *(2.0 for _ in range(5))]
    place.put("train", "b1", with_column(orders(6), "price", prices))
    assert not place.run("train", "b1").success
    plain.tick("alerts_failed_runs")
    detailed.tick("alerts_failed_runs")
    without, with_details = (each["text"] for each in receiver.posted)
    assert "check rejected_share of shop/train_raw: should be: At most 10.0% of the rows break" in without
    assert "-1.0" not in without
    assert "-1.0" in with_details


def test_a_check_that_only_warns_is_told_after_a_run_that_succeeded(watch: Watch, receiver: Receiver) -> None:
    table = with_column(orders(40), "order_id", [0, *range(39)])
    watch.place.put("train", "b1", table)
    assert watch.place.run("train", "b1").success
    watch.tick("alerts_failed_runs")
    watch.tick("alerts_failed_checks")
    (body,) = receiver.posted
    assert body["event"] == "check_failed"
    assert [(each["where"], each["severity"]) for each in body["problems"]] == [
        ("check key_unique of shop/train_raw", "warn")
    ]


def test_a_failed_operation_names_its_task(place: Workbench, receiver: Receiver) -> None:
    place.defs = dg.Definitions.merge(place.defs, dg.Definitions(jobs=operation_jobs()))
    watch = Watch(place, receiver)
    config = {"task": "shop", "stage": "predict", "batch": "never"}
    job = place.defs.resolve_job_def("replay")
    run = job.execute_in_process(
        run_config={"ops": {"replay": {"config": config}}}, instance=place.instance, raise_on_error=False
    )
    assert not run.success
    watch.tick("alerts_failed_runs")
    (body,) = receiver.posted
    assert (body["task"], body["job"]) == ("shop", "replay")


def test_nothing_is_told_of_a_run_without_a_problem_or_of_another_code_location(
    watch: Watch, receiver: Receiver
) -> None:
    watch.place.put("train", "b1", orders(40))
    watch.place.succeed("train", "b1")

    @dg.op
    def broken() -> None:
        raise dg.Failure("theirs")

    @dg.job
    def theirs() -> None:
        broken()

    assert not theirs.execute_in_process(instance=watch.place.instance, raise_on_error=False).success
    watch.tick("alerts_failed_runs")
    watch.tick("alerts_failed_checks")
    assert receiver.posted == []


def test_a_webhook_that_refuses_changes_no_run_and_its_secret_is_not_told(
    watch: Watch, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    watch.place.put("predict", "b1", orders(6, stage="predict"))
    run = watch.place.run("predict", "b1")  # there is no model yet
    receiver.answers = [404]
    with caplog.at_level(logging.DEBUG):
        done = watch.tick("alerts_failed_runs")
    (reaction,) = done.dagster_run_reactions
    assert "the webhook did not take the message" in reaction.error.message
    assert "hidden" not in f"{reaction.error.to_string()}{caplog.text}"
    kept = watch.place.instance.get_run_by_id(run.run_id)
    assert kept is not None
    assert kept.status == dg.DagsterRunStatus.FAILURE
    watch.tick("alerts_failed_runs")
    assert len(receiver.posted) == 1


def test_late_data_is_told_once_and_dagster_says_the_same(place: Workbench, receiver: Receiver) -> None:
    place.use(shop(monitoring={"freshness": {"train": "36 hours"}}))
    watch = Watch(place, receiver)
    place.put("train", "b1", orders(40))
    place.succeed("train", "b1")
    watch.tick("alerts_late_data")
    assert receiver.posted == []
    watch.ahead = timedelta(hours=40)
    receiver.answers = [404]  # told again, if the webhook did not take it
    for _ in range(3):
        watch.tick("alerts_late_data")
    with freeze_time(datetime.now(UTC) + watch.ahead):
        assert _state(place, "model") == _state(place, "train_raw") == "FAIL"
    (_, body) = receiver.posted
    assert (body["event"], body["task"], body["stage"]) == ("late", "shop", "train")
    assert sorted(each["where"] for each in body["problems"]) == ["model", "train_raw"]
    assert "of batch b1" in body["text"]
    assert _state(place, "model") == "PASS"
    assert _state(place, "predictions") is None


def _state(place: Workbench, asset: str) -> str | None:
    """How Dagster's own daemon judges an asset's freshness."""
    import asyncio

    node = place.defs.get_repository_def().asset_graph.get(dg.AssetKey(["shop", asset]))
    if node.freshness_policy is None:
        return None
    evaluator = FRESHNESS_EVALUATORS_BY_POLICY_TYPE[type(node.freshness_policy)]()
    return str(asyncio.run(evaluator.evaluate_freshness(LoadingContextForTest(place.instance), node)).value)


def test_the_code_location_has_the_sensors_only_with_a_webhook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not [each.name for each in defs().sensors or () if each.name.startswith("alerts_")]
    monkeypatch.setenv("PIPELINE_WEBHOOK_URL", "https://hooks/services/hidden")
    sensors = [each for each in defs().sensors or () if each.name.startswith("alerts_")]
    assert len(sensors) == 3
    assert {each.default_status for each in sensors} == {dg.DefaultSensorStatus.RUNNING}
    assert "hidden" not in json.dumps([str(vars(each)) for each in sensors])
