"""What every trainer keeps to: the built-in ones, those of installed packages, and one by dotted path."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.split import STOPPING, TRAINING, split_rule
from pipeline_assets.ml.trainers.base import Fit, Progress, Trainer, trainer
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec
from tests import trainable
from tests.ml.third_party import TRAINER

# Parameters with which a trainer learns the small task in a second.
QUICK: dict[str, dict[str, Any]] = {
    "catboost": {"iterations": 60, "learning_rate": 0.3},
    "pytorch": {"epochs": 12, "learning_rate": 0.01, "hidden": [16]},
    "tensorflow": {"epochs": 12, "learning_rate": 0.01, "hidden": [16]},
    TRAINER: {"iterations": 60, "learning_rate": 0.3},
}
NAMES = [*plugins.names("trainer"), TRAINER]


@pytest.fixture(params=NAMES)
def package(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def task_of(package: str, **training: Any) -> TaskSpec:
    parameters = QUICK[package]
    return trainable.task(training=trainable.training(**{"package": package, "parameters": parameters, **training}))


def sides(task: TaskSpec, table: pa.Table | None = None) -> tuple[LabelledRows, LabelledRows]:
    rows = trainable.frame(table).rows
    strata = rows.label.astype(np.int64)
    side = split_rule(rows, task, strata, batch="b", sha256="").side_of(rows, strata)
    return rows.take(np.flatnonzero(side == TRAINING)), rows.take(np.flatnonzero(side == STOPPING))


def fitted(package: str, **training: Any) -> tuple[Trainer, TaskSpec, Fit]:
    task = task_of(package, **training)
    return trainer(package), task, trainer(package).fit(task, *sides(task))


def test_a_trainer_says_what_it_is(package: str) -> None:
    found = trainer(package)
    assert found.package == package
    assert found.flavor
    assert found.objectives


def test_the_same_rows_give_the_same_model_to_the_bit(package: str) -> None:
    _, _, first = fitted(package)
    _, _, again = fitted(package)
    rows = trainable.frame().rows.features
    np.testing.assert_array_equal(first.model.predict(rows), again.model.predict(rows))
    assert (first.curves, first.best_iteration) == (again.curves, again.best_iteration)


def test_a_fit_learns_and_says_how_it_went(package: str) -> None:
    _, task, fit = fitted(package)
    rows = trainable.frame().rows
    prediction = fit.model.predict(rows.features)
    assert prediction.shape == (len(rows),)
    assert prediction[rows.label == 1].mean() > prediction[rows.label == 0].mean() + 0.1
    assert {len(values) for side in fit.curves.values() for values in side.values()} == {fit.iterations}
    assert set(fit.curves) == {"training", "stopping"}
    assert 0 <= fit.best_iteration < fit.iterations
    assert set(fit.importance) == set(task.features.names)
    assert sum(fit.importance.values()) == pytest.approx(100)


def test_the_stopping_rows_stop_the_fit(package: str) -> None:
    """Stopping rows whose labels say the opposite of the training rows' end the fit as soon as may be."""
    task = task_of(package, early_stopping_rounds=3)
    training, stopping = sides(task)
    turned = LabelledRows(stopping.features, (1 - stopping.label).astype(np.int8), stopping.split_hash)
    fit = trainer(package).fit(task, training, turned)
    assert fit.iterations == fit.best_iteration + 1 + 3


def test_a_refit_takes_the_found_iterations_and_all_rows(package: str) -> None:
    found, task, fit = fitted(package)
    training, _ = sides(task)
    rows = trainable.frame().rows
    same = found.refit(task, training, fit).predict(rows.features)
    np.testing.assert_allclose(same, fit.model.predict(rows.features), atol=1e-9)
    every, again = (found.refit(task, rows, fit).predict(rows.features) for _ in range(2))
    np.testing.assert_array_equal(every, again)
    assert not np.array_equal(every, same)


def test_rows_that_weigh_more_count_more(package: str) -> None:
    found, task, fit = fitted(package)
    training, stopping = sides(task)

    def of_label_1(factor: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        heavy = [replace(rows, weight=np.where(rows.label == 1, factor, 1.0)) for rows in (training, stopping)]
        again = found.fit(task, heavy[0], heavy[1])
        refitted = found.refit(task, heavy[0], again)
        np.testing.assert_allclose(
            refitted.predict(stopping.features), again.model.predict(stopping.features), atol=1e-9
        )
        return again.model.predict(stopping.features)

    plain = fit.model.predict(stopping.features)
    np.testing.assert_allclose(of_label_1(1.0), plain, atol=1e-6)
    assert of_label_1(10.0).mean() > plain.mean() + 0.05


def test_an_unknown_parameter_is_named_when_the_task_is_loaded(package: str) -> None:
    with pytest.raises(ValidationError, match=r"training\.parameters\.itterations"):
        task_of(package, parameters={"itterations": 3})


def test_a_model_comes_back_from_mlflow_as_it_was(package: str, tmp_path: Path) -> None:
    found, _, fit = fitted(package)
    flavor = importlib.import_module(f"mlflow.{found.flavor}")
    flavor.save_model(fit.model.native, str(tmp_path / "model"), **fit.model.save_options)
    restored = found.restore(flavor.load_model(str(tmp_path / "model")), fit.model.classes)
    rows = trainable.frame().rows.features
    np.testing.assert_array_equal(restored.predict(rows), fit.model.predict(rows))
    assert restored.flavor == found.flavor


def test_contributions_add_up_to_the_score(package: str) -> None:
    _, task, fit = fitted(package)
    if not fit.model.explains:
        return
    rows = trainable.frame().rows.features.head(50)
    shares = fit.model.contributions(rows)
    assert shares.shape == (50, len(task.features.names) + 1)
    odds = [trainable.log_odds(value) for value in fit.model.predict(rows)]
    np.testing.assert_allclose(shares.sum(axis=1), odds, atol=1e-6)
    assert np.unique(shares[:, -1]).size == 1


def test_progress_is_reported_and_what_it_raises_ends_the_fit(package: str) -> None:
    task = task_of(package)
    seen: list[Progress] = []
    trainer(package).fit(task, *sides(task), seen.append)
    assert seen
    assert all(each.iteration <= each.iterations and each.scores for each in seen)
    assert [each.iteration for each in seen] == sorted(each.iteration for each in seen)

    class StoppedError(BaseException):
        pass

    def stop(_progress: Progress) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        trainer(package).fit(task, *sides(task), stop)


def test_one_label_cannot_be_learned_from_and_is_no_crash(package: str) -> None:
    task = task_of(package)
    training, stopping = sides(task)
    zeros = LabelledRows(training.features, np.zeros(len(training), np.int8), training.split_hash)
    with pytest.raises((DataError, TaskError)):
        trainer(package).fit(task, zeros, stopping)


def test_missing_numbers_and_unknown_categories_are_scored(package: str) -> None:
    _, _, fit = fitted(package)
    rows = trainable.frame().rows.features.head(3)
    rows = rows.assign(hour=np.nan, carrier=rows["carrier"].astype(object))
    rows["carrier"] = ["never seen", "", "AA"]
    rows["carrier"] = rows["carrier"].astype("category")
    assert np.isfinite(fit.model.predict(rows)).all()
