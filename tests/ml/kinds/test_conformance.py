"""What every kind of target keeps to: the built-in ones, those of installed packages, and one by dotted path."""

import io
from dataclasses import replace
from typing import cast

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.image import imread

from pipeline_assets.ml.kinds.base import Kind, Purpose, best, by_evaluation, gain, reaches
from pipeline_assets.ml.scoring import scores_schema
from pipeline_assets.ml.trainers.base import trainer
from pipeline_assets.task import plugins
from pipeline_assets.task.expressions import read
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.types import arrow_type, contract_name
from pipeline_assets.task.validation import label_sql, stage_types
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
    return trainable.task(kind=name)


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
    made = trainable.trained(name)
    assert set(made.metrics) == set(made.baseline) == set(kind.metrics)
    metric = task.training.metric
    assert gain(kind, metric, made.metrics[metric], made.baseline[metric]) > 0
    columns = kind.columns(made.prediction)
    types = [arrow_type(contract_name(each)) for each in kind.score_types.values()]
    assert [column.type for column in columns] == types
    assert all(isinstance(column, pa.Array) and column.null_count == 0 for column in columns)
    assert {len(column) for column in columns} == {len(made.validation)}
    numbers = {**kind.details(made.validation, made.prediction), **made.label_facts}
    assert all(isinstance(value, float) for value in numbers.values())
    assert all(isinstance(note, str) for note in made.notes)


def test_plots_are_small_pictures_and_always_the_same(kind: Kind, name: str) -> None:
    made = trainable.trained(name)
    drawn, again = (kind.plots(made.validation, made.prediction, made.fit, "title") for _ in range(2))
    assert drawn
    assert drawn == again
    for image in drawn.values():
        assert len(image) < 100_000
        assert imread(io.BytesIO(image), format="png").ndim == 3


def test_every_row_has_its_stratum(kind: Kind, name: str) -> None:
    rows = trainable.frame(kind=name).rows
    strata = kind.strata(rows)
    assert strata.code.shape == rows.label.shape
    assert 0 <= strata.code.min() <= strata.code.max() < len(strata.names)


@pytest.mark.parametrize("purpose", ["learn", "stop", "evaluate"])
def test_rows_that_are_no_use_are_told(kind: Kind, name: str, purpose: Purpose) -> None:
    rows = trainable.frame(kind=name).rows
    assert kind.label_problem(rows, purpose) is None
    assert kind.label_problem(rows.take(np.array([], np.int64)), purpose)


def test_one_label_alone_cannot_be_learned(kind: Kind, name: str) -> None:
    rows = trainable.frame(kind=name).rows
    assert kind.label_problem(rows.take(np.zeros(9, np.int64)), "learn")


def test_the_label_is_an_expression_that_works_row_by_row(kind: Kind, name: str) -> None:
    task = task_of(name)
    found = read(f"cast({label_sql(task)} as {kind.label_type})", stage_types(task, "train"))
    assert found.type == read(label_sql(task), stage_types(task, "train")).type == kind.label_type
    assert found.columns == ("delay",)


def test_each_metric_has_a_direction(kind: Kind) -> None:
    for metric, greater in kind.metrics.items():
        better, worse = (0.8, 0.7) if greater else (0.7, 0.8)
        assert gain(kind, metric, better, worse) == pytest.approx(0.1)
        assert reaches(kind, metric, better, better)
        assert not reaches(kind, metric, worse, better)
        assert best(kind, metric, {1: worse, 2: better, 3: better}) == 3


def test_a_metric_on_resamples_is_that_of_the_rows_drawn(kind: Kind, name: str) -> None:
    made = trainable.trained(name)
    rows, prediction = made.validation, made.prediction
    times = np.bincount(np.random.default_rng(5).integers(0, len(rows), len(rows)), minlength=len(rows))
    for metric in kind.metrics:
        value = kind.of_resamples(rows, prediction, metric)
        assert value(np.ones(len(rows), np.int64)) == pytest.approx(made.metrics[metric])
        assert value(times) == pytest.approx(by_evaluation(kind, rows, prediction, metric)(times))


def test_a_prediction_differs_from_another_row_by_row(kind: Kind, name: str) -> None:
    made = trainable.trained(name)
    same = kind.differences(made.prediction, made.prediction)
    assert not same.flipped.any()
    assert not same.moved.any()
    other = kind.differences(made.prediction, replace(made.prediction, output=made.prediction.output[::-1]))
    assert other.rule
    assert other.flipped.dtype == bool
    assert other.flipped.any()
    assert (other.moved[other.flipped] != 0).all()
    assert {len(each) for each in (other.flipped, other.way, other.moved)} == {len(made.validation)}
    assert all(isinstance(each, str) and each for each in other.way[other.flipped])
