from pathlib import Path

import pytest

from pipeline_assets.ml.search import Trial
from pipeline_assets.stores.registry.registry import Registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(Path(tmp_path_factory.mktemp("state")) / "mlflow")


def test_a_trial_is_a_run_below_its_training_and_is_written_once(registry: Registry) -> None:
    experiment = registry.experiment("delays")
    parent = registry.client.create_run(experiment).info.run_id
    good = Trial(2, 3, {"depth": 4, "class_weight": None, "weights": "distance"}, "roc_auc", 0.75, 31, 1.5)
    bad = Trial(3, 3, {"depth": 99}, "roc_auc", seconds=0.1, problem="Maximum tree depth is 16")
    for trial in (good, bad, good):
        registry.log_trial(parent, trial)
    children = registry.client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    found = {run.info.run_name: run for run in children}
    assert len(children) == 2
    assert sorted(found) == ["trial 2", "trial 3"]
    first, second = found["trial 2"], found["trial 3"]
    assert first.data.params == {"depth": "4", "class_weight": "null", "weights": "distance"}
    assert first.data.metrics == {"roc_auc": 0.75, "iterations": 31, "seconds": 1.5}
    assert (first.info.status, second.info.status) == ("FINISHED", "FAILED")
    assert first.info.end_time - first.info.start_time == 1500
    assert second.data.tags["problem"] == "Maximum tree depth is 16"
    assert "roc_auc" not in second.data.metrics


def test_trials_are_no_trainings_of_the_task(registry: Registry) -> None:
    experiment = registry.experiment("orders")
    parent = registry.client.create_run(experiment).info.run_id
    registry.log_trial(parent, Trial(1, 1, {}, "roc_auc", 0.7, 3, 0.2))
    assert registry.input_sha256("orders") == {}
    assert registry.open_runs("orders") == {}
