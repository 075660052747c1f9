from typing import Any

import pytest
from pydantic import ValidationError

from pipeline_assets.ml.trainers import network_parameters as parameters
from pipeline_assets.ml.trainers.base import Searchable, trainer
from pipeline_assets.task.spec import TaskSpec
from tests import trainable

NETWORKS = [("pytorch", "module"), ("tensorflow", "builder")]


def given(package: str, **values: Any) -> TaskSpec:
    return trainable.task(training=trainable.training(package=package, parameters=values))


@pytest.mark.parametrize(("package", "own"), NETWORKS)
@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"droput": 0.1}, "did you mean: dropout"),
        ({"dropout": 1}, "dropout must be a number from 0, below 1"),
        ({"hidden": [0]}, "hidden must be a list of whole numbers"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0"),
        ({"device": "gpu"}, "device must be one of cpu, cuda"),
        ({"patience": 3}, "training.early_stopping_rounds sets it"),
        ({"seed": 3}, "training.seed sets it"),
    ],
)
def test_what_is_wrong_with_a_parameter_is_said_when_the_task_is_loaded(
    package: str, own: str, values: dict[str, Any], shown: str
) -> None:
    with pytest.raises(ValidationError, match=shown):
        given(package, **values)
    with pytest.raises(ValidationError, match=f"training.parameters.{own} is no import path"):
        given(package, **{own: "Wide"})


@pytest.mark.parametrize(("package", "own"), NETWORKS)
def test_other_parameters_go_to_the_tasks_own_network(package: str, own: str) -> None:
    found = given(package, **{own: "nets:Wide", "width": 3, "hidden": "any", "epochs": 2}).training.parameters
    assert parameters.own_arguments(found, own) == {"width": 3, "hidden": "any"}


@pytest.mark.parametrize(("package", "own"), NETWORKS)
def test_a_search_tries_what_the_task_does_not_give(package: str, own: str) -> None:
    found = trainer(package)
    assert isinstance(found, Searchable)
    assert set(found.space(given(package, dropout=0.2), 100)) == {"learning_rate", "weight_decay", "embedding"}
    assert set(found.space(given(package, **{own: "nets:Wide"}), 100)) == {"learning_rate", "weight_decay"}


def test_sizes_grow_with_the_rows_and_the_tasks_own_go_before_them() -> None:
    small, large = (parameters.sizes({}, rows) for rows in (150, 1_000_000))
    assert small.batch_size < large.batch_size
    assert small.bins < large.bins
    assert small.epochs * 150 < large.epochs * 1_000_000 <= 8_000_000
    assert parameters.sizes({"hidden": [8], "epochs": 2}, 150).hidden == (8,)
    assert parameters.sizes({"device": "cuda"}, 150).shown()["repeatable"] is False
