import sys
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline_assets.errors import DataError, SettingsError, TaskError
from pipeline_assets.ml.dataset import TrainingFrame
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.search import Found, Trial, search
from pipeline_assets.ml.split import VALIDATION
from pipeline_assets.ml.training import train
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.training_spec import Search
from tests import trainable
from tests.ml.third_party import TRAINER


def task_of(parameters: dict[str, Any] | None = None, **training: Any) -> TaskSpec:
    how = {"package": TRAINER, "parameters": parameters or {}, "search": {"trials": 6}, **training}
    return trainable.task(training=trainable.training(**how))


def far_from(best: float, task: TaskSpec) -> tuple[float, int]:
    """An attempt that needs no fit: the value is the distance of the learning rate from the best one."""
    return abs(float(task.training.parameters.get("learning_rate", 0.5)) - best), 1


def found(task: TaskSpec, how: Search | None = None) -> Found:
    return search(task, how or Search(trials=6), 100, lambda tried: far_from(0.1, tried))


def minimised(**training: Any) -> TaskSpec:
    return task_of(metric="log_loss", **training)


def test_the_same_task_has_the_same_trials_and_another_seed_has_others() -> None:
    first, again, other = found(minimised()), found(minimised()), found(minimised(seed=1))
    assert [(each.parameters, each.value) for each in first.trials] == [
        (each.parameters, each.value) for each in again.trials
    ]
    assert [each.parameters for each in first.trials[1:]] != [each.parameters for each in other.trials[1:]]


def test_the_first_trial_is_the_task_as_it_is_and_the_best_one_wins() -> None:
    result = found(minimised())
    assert [each.number for each in result.trials] == [1, 2, 3, 4, 5, 6]
    assert result.trials[0].parameters == {}
    assert result.trials[0].value == pytest.approx(0.4)
    values = [each.value for each in result.trials if each.value is not None]
    assert result.best.value == min(values)
    assert min(values) < 0.4
    assert dict(result.task(minimised()).training.parameters) == dict(result.best.parameters)


def test_a_metric_that_should_be_great_is_maximised() -> None:
    result = search(task_of(metric="roc_auc"), Search(trials=4), 100, lambda tried: far_from(0.0, tried))
    assert result.best.value == max(each.value for each in result.trials if each.value is not None)


def test_what_the_task_gives_is_not_searched() -> None:
    task = minimised(parameters={"learning_rate": 0.7})
    result = found(task)
    assert {name for each in result.trials for name in each.parameters} == {"iterations"}
    assert result.task(task).training.parameters["learning_rate"] == 0.7


def test_a_trial_that_fails_is_recorded_and_the_others_go_on() -> None:
    def attempt(tried: TaskSpec) -> tuple[float, int]:
        if tried.training.parameters.get("iterations", 0) < 30:
            raise DataError("too few iterations", task=tried.name)
        return far_from(0.1, tried)

    result = search(minimised(), Search(trials=12), 100, attempt)
    failed = [each for each in result.trials if each.value is None]
    assert 1 <= len(failed) < 12
    assert all("too few iterations" in str(each.problem) for each in failed)
    assert result.best.parameters["iterations"] >= 30


def test_a_search_of_which_every_trial_fails_is_an_error() -> None:
    def attempt(tried: TaskSpec) -> tuple[float, int]:
        raise DataError("no luck", task=tried.name)

    with pytest.raises(DataError, match=r"no trial of the search(.|\n)*2 trials; the first: no luck"):
        search(minimised(), Search(trials=2), 100, attempt)


def test_when_the_time_is_up_no_trial_begins() -> None:
    result = found(minimised(), Search(trials=50, timeout_minutes=1e-9))
    assert [each.number for each in result.trials] == [1]


def test_nothing_to_search_is_said() -> None:
    task = task_of({"learning_rate": 0.5, "iterations": 10})
    with pytest.raises(TaskError, match="finds no parameters to try"):
        found(task)


def test_a_trainer_that_cannot_be_searched_is_named_when_the_task_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(type(plugins.trainer(TRAINER)), "space")
    with pytest.raises(ValidationError, match=r"training\.search\n.*has no parameters that a search may try"):
        task_of()


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingsError, match=r"pipeline-assets\[search\]"):
        found(minimised())


def test_a_training_takes_the_found_parameters_for_the_fit_and_the_refit() -> None:
    seen: list[Trial] = []
    task = task_of(metric="log_loss")
    made = train(task, trainable.frame(), on_trial=seen.append)
    assert made.found is not None
    assert tuple(seen) == made.found.trials
    assert made.fit.parameters == dict(made.found.best.parameters)
    by_hand = task_of(dict(made.found.best.parameters), metric="log_loss", search=None)
    again = train(by_hand, trainable.frame())
    assert (made.metrics, again.found) == (again.metrics, None)
    rows = trainable.frame().rows.features
    assert (made.model.predict(rows) == again.model.predict(rows)).all()


def test_the_rows_that_evaluate_take_no_part() -> None:
    task = task_of(metric="log_loss")
    usual = train(task, trainable.frame())
    rows = trainable.frame().rows
    last = usual.split.side_of(rows, kind_of(task).strata(rows)) == VALIDATION
    label = rows.label.copy()
    label[last] = 1 - label[last]
    turned = TrainingFrame(rows=replace(rows, label=label), unlabelled=0)
    other = train(task, turned)
    assert usual.found is not None
    assert other.found is not None
    assert [(each.parameters, each.value) for each in usual.found.trials] == [
        (each.parameters, each.value) for each in other.found.trials
    ]
    assert usual.metrics != other.metrics


def test_only_a_search_changes_the_fingerprint_of_the_training() -> None:
    plain, searched = task_of(search=None), task_of()
    assert plain.fingerprint("training") == task_of(search=None).fingerprint("training")
    assert plain.fingerprint("training") != searched.fingerprint("training")
    assert plain.fingerprint("selection") == searched.fingerprint("selection")
