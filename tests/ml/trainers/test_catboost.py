import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.ml.dataset import LabelledRows, TrainingFrame
from pipeline_assets.ml.trainers.base import Progress
from pipeline_assets.ml.trainers.catboost import CatBoostTrainer
from pipeline_assets.ml.trainers.catboost_parameters import CLASSES_ONLY, KNOWN, REFUSED
from pipeline_assets.ml.training import train
from pipeline_assets.task.spec import TaskSpec
from tests import trainable


def given(kind: str = "binary", /, **parameters: Any) -> TaskSpec:
    return trainable.task(kind=kind, training=trainable.training(parameters=parameters))


def test_a_fit_has_curves_importance_and_every_parameter() -> None:
    fit = trainable.trained().fit
    assert set(fit.curves) == {"training", "stopping"}
    assert set(fit.curves["stopping"]) == {"Logloss", "AUC"}
    assert {len(values) for side in fit.curves.values() for values in side.values()} == {fit.iterations}
    assert fit.curves["stopping"]["AUC"][fit.best_iteration] == max(fit.curves["stopping"]["AUC"])
    assert list(fit.importance) == sorted(fit.importance, key=lambda name: -fit.importance[name])
    assert sum(fit.importance.values()) == pytest.approx(100)
    assert fit.importance["distance"] < fit.importance["carrier"]
    assert fit.parameters["depth"] == 3
    assert fit.parameters["random_seed"] == 0
    assert fit.parameters["thread_count"] == 2
    assert fit.parameters["l2_leaf_reg"] == 3  # CatBoost's own choice


def test_the_model_is_that_of_its_best_iteration() -> None:
    made = trainable.trained()
    assert made.fit.model.native.tree_count_ == made.fit.best_iteration + 1
    curve = made.fit.curves["stopping"]["AUC"]
    assert curve[made.fit.best_iteration] == max(curve)


def test_a_fit_stops_early() -> None:
    hasty = trainable.training(parameters={"iterations": 500, "learning_rate": 0.5}, early_stopping_rounds=5)
    fit = train(trainable.task(training=hasty), trainable.frame()).fit
    assert fit.iterations == fit.best_iteration + 1 + 5 < 500


@pytest.mark.parametrize(
    ("metric", "curve"),
    [
        ("roc_auc", "AUC"),
        ("average_precision", "PRAUC"),
        ("log_loss", "Logloss"),
        ("brier_score", "BrierScore"),
    ],
)
def test_the_tasks_metric_stops_the_fit(metric: str, curve: str) -> None:
    fit = train(trainable.task(training=trainable.training(metric=metric)), trainable.frame()).fit
    best = max if metric in {"roc_auc", "average_precision"} else min
    values = fit.curves["stopping"][curve]
    assert values[fit.best_iteration] == pytest.approx(best(values), abs=1e-9)


def test_contributions_add_up_to_the_log_odds() -> None:
    made = trainable.trained()
    rows = made.validation.features.head(50)
    shares = made.fit.model.contributions(rows)
    assert shares.shape == (50, 3 + 1)
    odds = [trainable.log_odds(value) for value in made.fit.model.predict(rows)]
    np.testing.assert_allclose(shares.sum(axis=1), odds, atol=1e-9)
    assert np.unique(shares[:, -1]).size == 1


def test_progress_comes_by_iterations_and_to_the_end() -> None:
    seen: list[Progress] = []
    train(given(iterations=100, depth=2), trainable.frame(), seen.append)
    assert [each.iteration for each in seen] == list(range(5, 5 * len(seen) + 1, 5))
    assert {each.iterations for each in seen} == {100}
    assert set(seen[0].scores) == {"training/Logloss", "stopping/Logloss", "stopping/AUC"}


def test_what_the_progress_raises_ends_the_fit_and_comes_back_as_it_was() -> None:
    class StoppedError(BaseException):
        pass

    def stop(progress: Progress) -> None:
        raise StoppedError(progress.iteration)

    with pytest.raises(StoppedError, match="1"):
        train(given(iterations=10), trainable.frame(), stop)


def test_a_fit_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(given(iterations=3), trainable.frame())
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_parameter_is_named_with_what_is_near() -> None:
    with pytest.raises(ValidationError, match=r"training.parameters.depht\n.*did you mean: depth\?"):
        given(depht=3)


def test_the_known_names_are_those_of_the_installed_catboost() -> None:
    import catboost

    signature = inspect.signature(catboost.CatBoostClassifier.__init__)
    assert set(signature.parameters) - {"self"} == KNOWN
    assert set(REFUSED) <= KNOWN


def test_names_are_looked_at_without_importing_catboost() -> None:
    code = (
        "import sys; from pipeline_assets.task.plugins import trainer;"
        "assert trainer('catboost').parameter_problems({'depht': 1}, 'binary');"
        "assert not {'catboost', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "value", "way_out"),
    [
        ("random_seed", 1, "training.seed"),
        ("random_state", 1, "training.seed"),
        ("thread_count", 8, "training.threads"),
        ("eval_metric", "F1", "training.metric"),
        ("od_wait", 3, "training.early_stopping_rounds"),
        ("cat_features", [0], "features"),
        ("allow_writing_files", True, "no files"),
        ("task_type", "GPU", "CPU"),
        ("devices", "0", "CPU"),
        ("verbose", True, "log"),
    ],
)
def test_what_is_not_the_tasks_to_set_is_refused_with_the_way_out(name: str, value: Any, way_out: str) -> None:
    with pytest.raises(ValidationError, match=f"may not set {name}: .*{way_out}"):
        given(**{name: value})


@pytest.mark.parametrize("name", ["loss_function", "objective"])
def test_a_loss_of_another_kind_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} does not fit a target of kind binary"):
        given(**{name: "RMSE"})
    CatBoostTrainer().check(given(**{name: "CrossEntropy"}))


@pytest.mark.parametrize("value", ["many", 0, 2.5])
def test_a_number_of_iterations_is_one(value: Any) -> None:
    with pytest.raises(ValidationError, match="n_estimators is no number of iterations"):
        given(n_estimators=value)


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ({"depth": 99, "rsm": 0.5}, "Maximum tree depth is 16"),
        ({"iterations": 5, "n_estimators": 5}, "only one of the parameters"),
        ({"monotone_constraints": {"nope": 1}}, "nope"),
    ],
)
def test_an_impossible_value_is_refused_in_catboosts_words(parameters: dict[str, Any], shown: str) -> None:
    with pytest.raises(TaskError, match="CatBoost refuses the training parameters") as caught:
        CatBoostTrainer().check(given(**parameters))
    assert shown in str(caught.value.facts["expected"])
    assert ".cpp" not in str(caught.value)


def test_rows_that_cannot_be_learned_from_are_the_datas_fault() -> None:
    rows = trainable.frame().rows
    constant = rows.features.assign(hour=1.0, distance=1.0, carrier=rows.features["carrier"].iloc[0])
    constant["carrier"] = constant["carrier"].astype("category")
    same = LabelledRows(constant, rows.label, rows.split_hash)
    with pytest.raises(DataError, match="CatBoost cannot learn from these rows"):
        CatBoostTrainer().fit(trainable.task(), same, same)


def test_a_refit_keeps_the_learning_rate_that_catboost_chose_for_the_fit() -> None:
    task = given(iterations=40, depth=2)
    made = train(task, trainable.frame())
    chosen = made.fit.parameters["learning_rate"]
    assert made.model.native.get_all_params()["learning_rate"] == chosen
    assert made.model.native.tree_count_ == made.fit.best_iteration + 1


@pytest.mark.parametrize(
    ("kind", "metric", "curve", "best"),
    [
        ("multiclass", "log_loss", "MultiClass", min),
        ("multiclass", "accuracy", "Accuracy", max),
        ("multiclass", "f1_macro", "TotalF1:average=Macro", max),
        ("multiclass", "roc_auc_ovr", "MultiClass", min),
        ("regression", "rmse", "RMSE", min),
        ("regression", "mae", "MAE", min),
        ("regression", "r2", "R2", max),
        ("regression", "median_absolute_error", "MedianAbsoluteError", min),
    ],
)
def test_the_metric_of_any_kind_stops_the_fit(kind: str, metric: str, curve: str, best: Any) -> None:
    task = trainable.task(kind=kind, training=trainable.training(metric=metric))
    fit = train(task, trainable.frame(kind=kind)).fit
    values = fit.curves["stopping"][curve]
    assert values[fit.best_iteration] == pytest.approx(best(values), abs=1e-9)


def counts() -> TrainingFrame:
    """Rows whose labels are counts."""
    frame = trainable.frame(kind="regression")
    label = np.random.default_rng(0).poisson(np.exp(np.clip(frame.rows.label, -2, 2)))
    return replace(frame, rows=replace(frame.rows, label=label.astype(np.float64)))


@pytest.mark.parametrize(
    "loss", ["Poisson", "Tweedie:variance_power=1.5", "MAE", "Quantile:alpha=0.5", "Huber:delta=1"]
)
def test_any_loss_predicts_in_the_targets_unit_and_stops_by_itself(loss: str) -> None:
    made = train(given("regression", iterations=60, learning_rate=0.3, loss_function=loss), counts())
    assert made.metrics["mae"] < 0.9 * made.baseline["mae"]
    assert made.model.explains == (loss.partition(":")[0] not in ("Poisson", "Tweedie"))
    assert set(made.fit.curves["stopping"]) == {"RMSE" if loss == "MAE" else loss, *(["MAE"] if loss == "MAE" else [])}


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        ("regression", {"loss_function": "Logloss"}, "loss_function does not fit a target of kind regression"),
        ("regression", {"objective": "MultiQuantile:alpha=0.1,0.9"}, "does not fit a target of kind regression"),
        ("multiclass", {"loss_function": "RMSE"}, "does not fit a target of kind multiclass; there are MultiClass"),
        ("regression", {"auto_class_weights": "Balanced"}, "a target of kind regression has no classes"),
    ],
)
def test_parameters_of_another_objective_are_refused(kind: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        given(kind, **parameters)


def test_what_a_regressor_does_not_have_is_known() -> None:
    import catboost

    regressor = inspect.signature(catboost.CatBoostRegressor.__init__).parameters
    assert (KNOWN - set(REFUSED)) - set(regressor) == CLASSES_ONLY


def test_labels_below_what_a_loss_allows_are_the_datas_fault() -> None:
    with pytest.raises(DataError, match="the loss Poisson needs labels from 0 up"):
        train(given("regression", iterations=5, loss_function="Poisson"), trainable.frame(kind="regression"))


def test_classes_that_look_like_numbers_keep_their_names() -> None:
    frame = trainable.frame(kind="multiclass")
    rows = replace(frame.rows, classes=("1", "10", "2"))
    made = train(trainable.task(kind="multiclass"), replace(frame, rows=rows))
    assert set(made.model.classes) == {"1", "10", "2"}
    assert made.model.native.predict(rows.features.head(1)).item() in rows.classes
    assert made.metrics["accuracy"] > made.baseline["accuracy"] + 0.2


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_predictions_are_those_of_the_package_used_directly_to_the_bit(kind: str) -> None:
    import catboost

    rows, fit = trainable.frame(kind=kind).rows, trainable.trained(kind).fit
    make = catboost.CatBoostRegressor if kind == "regression" else catboost.CatBoostClassifier
    native = make(
        iterations=fit.best_iteration + 1,
        depth=3,
        learning_rate=0.3,
        random_seed=0,
        thread_count=2,
        allow_writing_files=False,
        logging_level="Silent",
        cat_features=["carrier"],
    )
    label = np.array(rows.classes, dtype=object)[rows.label] if rows.classes else rows.label
    native.fit(rows.features, label)
    expected = native.predict(rows.features) if kind == "regression" else native.predict_proba(rows.features)
    found = trainable.trained(kind).model.predict(rows.features)
    np.testing.assert_array_equal(found, expected[:, 1] if kind == "binary" else expected)
