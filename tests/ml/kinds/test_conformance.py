"""What every kind of target keeps to: the built-in ones, those of installed packages, and one by dotted path."""

import io
from typing import cast

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.image import imread

from pipeline_assets.ml.kinds.base import Kind, best, gain, reaches
from pipeline_assets.ml.scoring import scores_schema
from pipeline_assets.ml.trainers.base import trainer
from pipeline_assets.ml.training import train
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.types import arrow_type, contract_name
from tests import trainable
from tests.ml.third_party import KIND

NAMES = [*plugins.names("kind"), KIND]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kind(name: str) -> Kind:
    return cast("Kind", plugins.kind(name))


def task_of(name: str) -> TaskSpec:
    metric = next(iter(plugins.kind(name).metrics))
    return trainable.task(target={"expression": "delay > 15", "kind": name}, training=trainable.training(metric=metric))


def test_a_kind_has_a_trainer(kind: Kind) -> None:
    assert any(kind.objective in trainer(package).objectives for package in plugins.names("trainer"))


def test_labels_and_scores_have_types_of_the_contract(kind: Kind, name: str) -> None:
    assert arrow_type(contract_name(kind.label_type))
    assert list(kind.score_types)
    assert set(kind.score_types) == set(kind.score_descriptions)
    schema = scores_schema(task_of(name))
    assert schema.names == ["row_number", *kind.score_types]


def test_a_task_of_the_kind_trains_and_is_scored(kind: Kind, name: str) -> None:
    task = task_of(name)
    made = train(task, trainable.frame())
    assert set(made.metrics) == set(made.baseline) == set(kind.metrics)
    metric = task.training.metric
    assert gain(kind, metric, made.metrics[metric], made.baseline[metric]) > 0
    columns = kind.columns(made.prediction)
    types = [arrow_type(contract_name(each)) for each in kind.score_types.values()]
    assert [column.type for column in columns] == types
    assert all(isinstance(column, pa.Array) and column.null_count == 0 for column in columns)
    assert {len(column) for column in columns} == {len(made.validation)}
    assert all(isinstance(value, float) for value in kind.details(made.validation, made.prediction).values())


def test_plots_are_small_pictures_and_always_the_same(kind: Kind, name: str) -> None:
    made = train(task_of(name), trainable.frame())
    drawn, again = (kind.plots(made.validation, made.prediction, made.fit, "title") for _ in range(2))
    assert drawn
    assert drawn == again
    for image in drawn.values():
        assert len(image) < 100_000
        assert imread(io.BytesIO(image), format="png").ndim == 3


def test_every_side_of_a_split_gets_each_stratum(kind: Kind) -> None:
    rows = trainable.frame().rows
    assert kind.strata(rows).shape == rows.label.shape
    assert kind.label_problem(rows) is None


def test_rows_that_cannot_evaluate_are_told(kind: Kind) -> None:
    assert kind.label_problem(trainable.frame().rows.take(np.array([], np.int64)))


def test_each_metric_has_a_direction(kind: Kind) -> None:
    for metric, greater in kind.metrics.items():
        better, worse = (0.8, 0.7) if greater else (0.7, 0.8)
        assert gain(kind, metric, better, worse) == pytest.approx(0.1)
        assert reaches(kind, metric, better, better)
        assert not reaches(kind, metric, worse, better)
        assert best(kind, metric, {1: worse, 2: better, 3: better}) == 3
