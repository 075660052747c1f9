import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.split import STOPPING, TRAINING, split_rule
from pipeline_assets.ml.trainers.base import Fit
from pipeline_assets.ml.trainers.sklearn import SklearnTrainer
from pipeline_assets.task.spec import TaskSpec
from tests import trainable

FOREST = "sklearn.ensemble.RandomForestClassifier"
LINEAR = "sklearn.linear_model.LogisticRegression"


def given(kind: str = "binary", rounds: int = 50, metric: str = "", **parameters: Any) -> TaskSpec:
    how = {"package": "sklearn", "parameters": parameters, "threads": 1, "early_stopping_rounds": rounds}
    return trainable.task(kind=kind, training=trainable.training(**how, **({"metric": metric} if metric else {})))


def sides(task: TaskSpec) -> tuple[LabelledRows, LabelledRows, LabelledRows]:
    rows = kind_of(task).learned(task.target, trainable.frame(kind=task.target.kind).rows)
    strata = kind_of(task).strata(rows)
    side = split_rule(rows, task, strata, batch="b", sha256="").side_of(rows, strata)
    training, stopping, rest = (rows.take(np.flatnonzero(side == which)) for which in (TRAINING, STOPPING, 2))
    return training, stopping, rest


def fitted(task: TaskSpec) -> Fit:
    training, stopping, _ = sides(task)
    return SklearnTrainer().fit(task, training, stopping)


def by_hand(task: TaskSpec, fit: Fit, estimator: Any, **more: Any) -> Any:
    """Probabilities or numbers of the package used directly: encoded by the artifact, fitted to the training rows."""
    training, _, rest = sides(task)
    encode = fit.model.native[0]
    words = np.array(training.classes, dtype=object)[training.label] if training.classes else training.label
    estimator.fit(encode.transform(training.features), words, **more)
    values = encode.transform(rest.features)
    return estimator.predict_proba(values) if hasattr(estimator, "predict_proba") else estimator.predict(values)


def said(task: TaskSpec, fit: Fit) -> Any:
    """The same by the model that a person has loaded, from a plain frame of numbers and text."""
    frame = sides(task)[2].features
    plain = frame.assign(carrier=frame["carrier"].astype(object))[["carrier", "distance", "hour"]]
    native = fit.model.native
    found = native.predict_proba(plain) if hasattr(native, "predict_proba") else native.predict(plain)
    own = fit.model.predict(frame)
    np.testing.assert_array_equal(own, found if own.ndim == found.ndim else found[:, 1])
    return found


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_histogram_boosting_is_that_of_scikit_learn_to_the_bit(kind: str) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    task = given(kind, rounds=5, max_iter=80, max_leaf_nodes=7, max_features=0.7)
    fit = fitted(task)
    assert fit.iterations == min(80, fit.best_iteration + 1 + 5)
    direct = HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier
    estimator = direct(
        max_iter=fit.best_iteration + 1,
        max_leaf_nodes=7,
        max_features=0.7,
        early_stopping=False,
        categorical_features=[False, False, True],
        random_state=0,
    )
    np.testing.assert_array_equal(by_hand(task, fit, estimator), said(task, fit))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_linear_model_is_that_of_scikit_learn_to_the_bit(kind: str) -> None:
    from sklearn.linear_model import LogisticRegression, Ridge

    path = "sklearn.linear_model.Ridge" if kind == "regression" else LINEAR
    task = given(kind, estimator=path)
    fit = fitted(task)
    estimator = Ridge(random_state=0) if kind == "regression" else LogisticRegression(max_iter=1000, random_state=0)
    np.testing.assert_array_equal(by_hand(task, fit, estimator), said(task, fit))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_forest_is_that_of_scikit_learn_to_the_bit(kind: str) -> None:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    path = FOREST.replace("Classifier", "Regressor") if kind == "regression" else FOREST
    task = given(kind, estimator=path, n_estimators=20)
    fit = fitted(task)
    direct = RandomForestRegressor if kind == "regression" else RandomForestClassifier
    np.testing.assert_array_equal(by_hand(task, fit, direct(20, random_state=0)), said(task, fit))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_lightgbm_is_that_of_lightgbm_to_the_bit(kind: str) -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="the extra lightgbm is not installed")
    name = "LGBMRegressor" if kind == "regression" else "LGBMClassifier"
    task = given(kind, rounds=5, estimator=f"lightgbm.{name}", n_estimators=80, num_leaves=7)
    fit = fitted(task)
    estimator = getattr(lightgbm, name)(
        n_estimators=fit.best_iteration + 1,
        num_leaves=7,
        random_state=0,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    )
    np.testing.assert_array_equal(by_hand(task, fit, estimator, categorical_feature=[2]), said(task, fit))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_xgboost_is_that_of_xgboost_to_the_bit(kind: str) -> None:
    xgboost = pytest.importorskip("xgboost", reason="the extra xgboost is not installed")
    name = "XGBRegressor" if kind == "regression" else "XGBClassifier"
    task = given(kind, rounds=5, estimator=f"xgboost.{name}", n_estimators=80, max_depth=3)
    fit = fitted(task)
    training, _, rest = sides(task)
    estimator = getattr(xgboost, name)(
        n_estimators=fit.best_iteration + 1,
        max_depth=3,
        random_state=0,
        n_jobs=1,
        enable_categorical=True,
        feature_types=["q", "q", "c"],
    )
    encode = fit.model.native[0]
    estimator.fit(encode.transform(training.features), training.label)  # XGBoost takes classes as codes alone
    values = encode.transform(rest.features)
    found = estimator.predict(values) if kind == "regression" else estimator.predict_proba(values)
    np.testing.assert_array_equal(found.astype(np.float64), said(task, fit).astype(np.float64))


@pytest.mark.parametrize("estimator", ["", LINEAR, "xgboost.XGBClassifier"])
def test_a_model_of_named_classes_speaks_their_names(estimator: str) -> None:
    if estimator.startswith("xgboost"):
        pytest.importorskip("xgboost", reason="the extra xgboost is not installed")
    fit = fitted(given("multiclass", **({"estimator": estimator} if estimator else {"max_iter": 20})))
    frame = sides(given("multiclass"))[2].features
    assert fit.model.classes == ("late", "on time", "рано")
    spoken = fit.model.native.predict(frame)
    assert list(spoken) == [fit.model.classes[place] for place in fit.model.predict(frame).argmax(axis=1)]


@pytest.mark.parametrize("estimator", ["", LINEAR, FOREST, "lightgbm.LGBMClassifier", "xgboost.XGBClassifier"])
def test_a_prediction_does_not_depend_on_the_rows_beside_it(estimator: str) -> None:
    if "." in estimator:
        pytest.importorskip(estimator.partition(".")[0], reason=f"{estimator} is not installed")
    fit = fitted(given(**({"estimator": estimator} if estimator else {"max_iter": 20})))
    frame = sides(given())[2].features.head(40)
    alone = [fit.model.predict(frame.iloc[[place]])[0] for place in range(40)]
    np.testing.assert_array_equal(alone, fit.model.predict(frame))


def test_numbers_that_are_infinite_or_missing_everywhere_are_taken() -> None:
    for estimator in ("sklearn.ensemble.HistGradientBoostingClassifier", LINEAR, FOREST):
        task = given(estimator=estimator)
        training, stopping, rest = sides(task)
        odd = []
        for rows in (training, stopping, rest):
            distance = rows.features["distance"].to_numpy().copy()
            distance[:3] = (np.inf, -np.inf, np.nan)
            odd.append(replace(rows, features=rows.features.assign(hour=np.nan, distance=distance)))
        fit = SklearnTrainer().fit(task, odd[0], odd[1])
        assert np.isfinite(fit.model.predict(odd[2].features)).all()
        assert set(fit.importance) == {"hour", "distance", "carrier"}


def test_more_categories_than_an_estimator_takes_share_a_code() -> None:
    task = given(max_iter=5)
    training, stopping, rest = sides(task)
    many = [f"c{place % 400}" for place in range(len(training))]
    wide = replace(training, features=training.features.assign(carrier=many))
    fit = SklearnTrainer().fit(task, wide, stopping)
    assert np.isfinite(fit.model.predict(rest.features)).all()


def test_a_linear_models_contributions_are_from_the_mean() -> None:
    task = given(estimator=LINEAR)
    fit = fitted(task)
    training = sides(task)[0].features
    shares = fit.model.contributions(training)
    np.testing.assert_allclose(shares[:, :-1].mean(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize(("metric", "curve"), [("roc_auc", "roc_auc"), ("log_loss", "loss")])
def test_the_tasks_metric_stops_histogram_boosting(metric: str, curve: str) -> None:
    fit = fitted(given(metric=metric, max_iter=30))
    values = fit.curves["stopping"][curve]
    assert values[fit.best_iteration] == (max if metric == "roc_auc" else min)(values)


def test_an_estimator_without_iterations_counts_one() -> None:
    fit = fitted(given(estimator=FOREST, n_estimators=5))
    assert (fit.iterations, fit.best_iteration) == (1, 0)
    assert [len(values) for values in fit.curves["stopping"].values()] == [1]


def test_any_estimator_of_the_interface_is_fitted() -> None:
    fit = fitted(given(estimator="sklearn.neighbors:KNeighborsClassifier", n_neighbors=5))
    assert not fit.model.explains
    assert sum(fit.importance.values()) == pytest.approx(100)  # by shuffling


def test_weights_that_an_estimator_cannot_take_are_refused() -> None:
    task = given(estimator="sklearn.neighbors.KNeighborsClassifier")
    training, stopping, _ = sides(task)
    heavy = replace(training, weight=np.ones(len(training)))
    with pytest.raises(DataError, match="takes no weights"):
        SklearnTrainer().fit(task, heavy, stopping)


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ({"max_itr": 3}, r"parameters.max_itr\n.*did you mean: max_iter\?"),
        ({"estimator": LINEAR, "c": 3}, r"parameters.c\n.*LogisticRegression knows no such parameter"),
        ({"estimator": "sklearn.ensemble.RandomForestClasifier"}, r"did you mean: RandomForestClassifier\?"),
        ({"estimator": "sklearn.nothing.Here"}, "cannot be imported"),
        ({"estimator": "sklearn.linear_model.Ridge"}, "is no classifier"),
        ({"estimator": "sklearn.svm.LinearSVC"}, "no probabilities"),
        ({"estimator": "json.dumps"}, "is no scikit-learn estimator"),
        ({"estimator": 3}, "is no import path"),
        ({"random_state": 1}, "training.seed"),
        ({"estimator": FOREST, "n_jobs": 4}, "training.threads"),
        ({"early_stopping": False}, "training.early_stopping_rounds"),
        ({"categorical_features": [0]}, "features"),
        ({"verbose": 1}, "log"),
        ({"max_iter": 0}, "is no number of iterations"),
    ],
)
def test_a_wrong_parameter_is_named_when_the_task_is_loaded(parameters: dict[str, Any], shown: str) -> None:
    with pytest.raises(ValidationError, match=shown):
        given(**parameters)


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_an_estimator_that_is_not_installed_names_its_extra(package: str) -> None:
    name = {"lightgbm": "LGBMClassifier", "xgboost": "XGBClassifier"}[package]
    code = (
        f"import sys; sys.modules['{package}'] = None;"
        "from pipeline_assets.task.plugins import trainer;"
        f"print(trainer('sklearn').parameter_problems({{'estimator': '{package}.{name}'}}, 'binary'))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert f"pip install 'pipeline-assets[{package}]'" in done.stdout


def test_a_task_without_parameters_is_loaded_without_importing_scikit_learn() -> None:
    code = (
        "import sys; from pipeline_assets.task.plugins import trainer;"
        "assert trainer('sklearn').parameter_problems({}, 'binary') == {};"
        "assert not {'sklearn', 'pandas', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_impossible_value_is_refused_in_the_packages_words() -> None:
    with pytest.raises(TaskError, match="refuses the training parameters") as caught:
        SklearnTrainer().check(given(learning_rate=-1.0))
    assert "learning_rate" in str(caught.value.facts["expected"])


def test_a_classifier_that_has_probabilities_with_other_parameters_only_is_refused() -> None:
    path = "sklearn.linear_model.SGDClassifier"
    with pytest.raises(TaskError, match="gives no probabilities with these parameters"):
        SklearnTrainer().check(given(estimator=path))
    SklearnTrainer().check(given(estimator=path, loss="log_loss"))
