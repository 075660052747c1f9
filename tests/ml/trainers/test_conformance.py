"""What every trainer keeps to, for each objective it fits: the built-in ones, installed ones, one by dotted path."""

import importlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.base import kind_of, predict
from pipeline_assets.ml.split import STOPPING, TRAINING, split_rule
from pipeline_assets.ml.trainers.base import Fit, Options, Progress, Range, Searchable, Trainer, trainer
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec
from tests import trainable
from tests.ml.third_party import TRAINER

ROWS = trainable.ROWS
# Parameters with which a trainer learns the small task in a second.
QUICK: dict[str, dict[str, Any]] = {
    "catboost": {"iterations": 60, "learning_rate": 0.3},
    "pytorch": {"epochs": 12, "learning_rate": 0.01, "hidden": [16]},
    "tensorflow": {"epochs": 12, "learning_rate": 0.01, "hidden": [16]},
    TRAINER: {"iterations": 60},
}
# The estimators of scikit-learn's trainer, by objective; the other trainers have one model each.
ESTIMATORS = {
    "sklearn": {
        "classifier": (
            "sklearn.ensemble.HistGradientBoostingClassifier",
            "sklearn.linear_model.LogisticRegression",
            "sklearn.ensemble.RandomForestClassifier",
            "lightgbm.LGBMClassifier",
            "xgboost.XGBClassifier",
        ),
        "regression": (
            "sklearn.ensemble.HistGradientBoostingRegressor",
            "sklearn.linear_model.Ridge",
            "sklearn.ensemble.RandomForestRegressor",
            "lightgbm.LGBMRegressor",
            "xgboost.XGBRegressor",
        ),
    }
}
WITHOUT_ITERATIONS = ("LogisticRegression", "Ridge", "RandomForest")

Case = tuple[str, str, str]  # package, objective, estimator


def estimators(package: str, objective: str) -> tuple[str, ...]:
    return ESTIMATORS.get(package, {}).get("regression" if objective == "regression" else "classifier", ("",))


# Each trainer with each objective; the objectives are named like the built-in kinds.
PAIRS = [
    (package, objective, estimator)
    for package in [*plugins.names("trainer"), TRAINER]
    for objective in sorted(trainer(package).objectives)
    for estimator in estimators(package, objective)
]


@pytest.fixture(params=PAIRS, ids=["-".join(filter(None, case)) for case in PAIRS])
def pair(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    installed = {"pytorch": "torch", "tensorflow": "tensorflow"}.get(found[0], found[2].partition(".")[0])
    if installed:
        pytest.importorskip(installed, reason=f"{installed} is not installed: its trainer is not tested here")
    return found


def quick(pair: Case) -> dict[str, Any]:
    package, _, estimator = pair
    if not estimator:
        return QUICK.get(package, {})
    found = {"HistGradient": {"max_iter": 60}, "LGBM": {"n_estimators": 60}, "XGB": {"n_estimators": 60}}
    own = next((values for name, values in found.items() if name in estimator), {})
    rate = {"learning_rate": 0.3} if own else {}
    return {"estimator": estimator, **own, **rate, **({"n_estimators": 20} if "RandomForest" in estimator else {})}


def task_of(pair: Case, **training: Any) -> TaskSpec:
    package, objective, _ = pair
    # Threads that wait for each other take most of the time of a small fit on a busy machine.
    how = {"package": package, "parameters": quick(pair), **({"threads": 1} if pair[2] else {}), **training}
    return trainable.task(kind=objective, training=trainable.training(**how))


def all_rows(task: TaskSpec) -> LabelledRows:
    """Every labelled row, with the labels that a trainer learns."""
    return kind_of(task).learned(task.target, trainable.frame(kind=task.target.kind).rows)


def sides(task: TaskSpec) -> tuple[LabelledRows, LabelledRows]:
    rows = all_rows(task)
    strata = kind_of(task).strata(rows)
    side = split_rule(rows, task, strata, batch="b", sha256="").side_of(rows, strata)
    return rows.take(np.flatnonzero(side == TRAINING)), rows.take(np.flatnonzero(side == STOPPING))


@cache
def fitted(pair: Case) -> tuple[Trainer, TaskSpec, Fit]:
    """One fit, which several tests look at."""
    task = task_of(pair)
    return trainer(pair[0]), task, trainer(pair[0]).fit(task, *sides(task))


def turned(rows: LabelledRows) -> LabelledRows:
    """The rows with labels that say the opposite."""
    label: NDArray[Any] = rows.label.max() - rows.label
    return replace(rows, label=label.astype(rows.label.dtype))


def test_a_trainer_says_what_it_is(pair: Case) -> None:
    found = trainer(pair[0])
    assert found.package == pair[0]
    assert found.flavor
    assert isinstance(found.stops_early, bool)


def test_the_same_rows_give_the_same_model_to_the_bit(pair: Case) -> None:
    found, task, first = fitted(pair)
    again = found.fit(task, *sides(task))
    rows = all_rows(task).features
    np.testing.assert_array_equal(first.model.predict(rows), again.model.predict(rows))
    assert (first.curves, first.best_iteration) == (again.curves, again.best_iteration)


def test_a_fit_learns_and_says_how_it_went(pair: Case) -> None:
    _, task, fit = fitted(pair)
    rows, kind = trainable.frame(kind=task.target.kind).rows, kind_of(task)
    output = fit.model.predict(rows.features)
    assert output.dtype == np.float64
    if pair[1] == "multiclass":
        assert set(fit.model.classes) == set(rows.classes)
        assert output.shape == (len(rows), len(fit.model.classes))
        np.testing.assert_allclose(output.sum(axis=1), 1, atol=1e-6)
    else:
        assert fit.model.classes == ()
        assert output.shape == (len(rows),)
    metric = task.training.metric
    found = kind.evaluate(rows, predict(task, fit.model, rows.features))[metric]
    base = kind.evaluate(rows, kind.baseline(rows, len(rows)))[metric]
    assert found > base + 0.1 if kind.metrics[metric] else found < 0.9 * base
    assert {len(values) for side in fit.curves.values() for values in side.values()} == {fit.iterations}
    assert set(fit.curves) == {"training", "stopping"}
    assert 0 <= fit.best_iteration < fit.iterations
    assert set(fit.importance) == set(task.features.names)
    assert sum(fit.importance.values()) == pytest.approx(100)


def test_the_stopping_rows_stop_the_fit(pair: Case) -> None:
    """Stopping rows whose labels say the opposite of the training rows' end the fit as soon as may be."""
    task = task_of(pair, early_stopping_rounds=3)
    training, stopping = sides(task)
    fit = trainer(pair[0]).fit(task, training, turned(stopping))
    if trainer(pair[0]).stops_early and not any(name in pair[2] for name in WITHOUT_ITERATIONS):
        assert fit.iterations == fit.best_iteration + 1 + 3
    else:
        other = trainer(pair[0]).fit(task, training, stopping)
        rows = training.features
        np.testing.assert_array_equal(fit.model.predict(rows), other.model.predict(rows))


def test_a_refit_takes_the_found_iterations_and_all_rows(pair: Case) -> None:
    found, task, fit = fitted(pair)
    training, _ = sides(task)
    rows = all_rows(task)
    same = found.refit(task, training, fit).predict(rows.features)
    np.testing.assert_allclose(same, fit.model.predict(rows.features), atol=1e-9)
    every, again = (found.refit(task, rows, fit).predict(rows.features) for _ in range(2))
    np.testing.assert_array_equal(every, again)
    assert not np.array_equal(every, same)


def test_rows_that_weigh_more_count_more(pair: Case) -> None:
    found, task, fit = fitted(pair)
    training, stopping = sides(task)
    high = np.quantile(training.label, 0.7)

    def of_high_labels(factor: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        learned, stopped_on = (
            replace(rows, weight=np.where(rows.label >= high, factor, 1.0)) for rows in (training, stopping)
        )
        again = found.fit(task, learned, stopped_on)
        refitted = found.refit(task, learned, again)
        np.testing.assert_allclose(
            refitted.predict(stopping.features), again.model.predict(stopping.features), atol=1e-9
        )
        return again.model.predict(stopping.features)

    plain = fit.model.predict(stopping.features)
    if "RandomForest" not in pair[2]:  # which draws other rows where rows have weights
        np.testing.assert_allclose(of_high_labels(1.0), plain, atol=1e-6)
    heavy = of_high_labels(10.0)
    # Of several classes, the last one is the high one.
    more, before = (each if each.ndim == 1 else each[:, -1] for each in (heavy, plain))
    assert more.mean() > before.mean() + 0.05


def test_an_unknown_parameter_is_named_when_the_task_is_loaded(pair: Case) -> None:
    with pytest.raises(ValidationError, match=r"training\.parameters\.itterations"):
        task_of(pair, parameters={**quick(pair), "itterations": 3})


def test_what_a_search_may_try_is_accepted_at_both_ends(pair: Case) -> None:
    found, given = trainer(pair[0]), quick(pair)
    if not isinstance(found, Searchable):
        return
    space = found.space(task_of(pair), ROWS)
    assert space
    assert not set(space) & set(given)
    for end in (0, -1):
        tried = {name: (each.low, each.high)[end] for name, each in space.items() if isinstance(each, Range)}
        chosen = {name: each.values[end] for name, each in space.items() if isinstance(each, Options)}
        task = task_of(pair, parameters={**given, **tried, **chosen})
        found.check(task)
        found.fit(task, *sides(task))


def test_a_model_comes_back_from_mlflow_as_it_was(pair: Case, tmp_path: Path) -> None:
    found, task, fit = fitted(pair)
    flavor = importlib.import_module(f"mlflow.{found.flavor}")
    # Without requirements MLflow would start a second Python to find them.
    options = {"pip_requirements": ["mlflow"], **fit.model.save_options}
    flavor.save_model(fit.model.native, str(tmp_path / "model"), **options)
    restored = found.restore(flavor.load_model(str(tmp_path / "model")), fit.model.classes)
    rows = all_rows(task).features
    np.testing.assert_array_equal(restored.predict(rows), fit.model.predict(rows))
    assert (restored.flavor, restored.classes) == (found.flavor, fit.model.classes)
    assert restored.explains == fit.model.explains


def test_contributions_add_up_to_the_score(pair: Case) -> None:
    _, task, fit = fitted(pair)
    if not fit.model.explains:
        return
    rows, close = all_rows(task).features.head(50), 1e-5  # XGBoost calculates in float32
    output = fit.model.predict(rows)
    if pair[1] == "multiclass":
        scores = [fit.model.contributions(rows, of=place) for place in range(len(fit.model.classes))]
        raw = np.column_stack([each.sum(axis=1) for each in scores])
        exponents = np.exp(raw - raw.max(axis=1, keepdims=True))
        np.testing.assert_allclose(exponents / exponents.sum(axis=1, keepdims=True), output, atol=close)
    else:
        scores = [fit.model.contributions(rows)]
        expected = [trainable.log_odds(value) for value in output] if pair[1] == "binary" else output
        np.testing.assert_allclose(scores[0].sum(axis=1), expected, atol=close)
    for each in scores:
        assert each.shape == (50, len(task.features.names) + 1)
        assert np.unique(each[:, -1]).size == 1


def test_progress_is_reported_and_what_it_raises_ends_the_fit(pair: Case) -> None:
    task = task_of(pair)
    seen: list[Progress] = []
    trainer(pair[0]).fit(task, *sides(task), seen.append)
    assert seen
    assert all(each.iteration <= each.iterations and each.scores for each in seen)
    assert [each.iteration for each in seen] == sorted(each.iteration for each in seen)

    class StoppedError(BaseException):
        pass

    def stop(_progress: Progress) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        trainer(pair[0]).fit(task, *sides(task), stop)


def test_one_label_cannot_be_learned_from_and_is_no_crash(pair: Case) -> None:
    if pair[1] == "regression":
        return  # some packages learn a constant; the kind refuses such rows for all of them
    task = task_of(pair)
    training, stopping = sides(task)
    zeros = replace(training, label=np.zeros_like(training.label))
    with pytest.raises((DataError, TaskError)):
        trainer(pair[0]).fit(task, zeros, stopping)


def test_missing_numbers_and_unknown_categories_are_scored(pair: Case) -> None:
    _, task, fit = fitted(pair)
    rows = all_rows(task).features.head(3)
    rows = rows.assign(hour=np.nan, carrier=rows["carrier"].astype(object))
    rows["carrier"] = ["never seen", "", "AA"]
    rows["carrier"] = rows["carrier"].astype("category")
    assert np.isfinite(fit.model.predict(rows)).all()


def test_a_class_that_only_stopping_rows_have_is_no_class_of_the_model(pair: Case) -> None:
    if pair[1] != "multiclass":
        return
    task = task_of(pair)
    training, stopping = sides(task)
    rest = training.take(np.flatnonzero(training.label != 0))
    fit = trainer(pair[0]).fit(task, rest, stopping)
    assert set(fit.model.classes) == set(training.classes[1:])
    every = trainer(pair[0]).refit(task, all_rows(task), fit)
    assert set(every.classes) == set(training.classes)
