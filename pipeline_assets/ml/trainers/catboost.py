"""The trainer for CatBoost: categories without encoding, early stopping, repeatable on the CPU."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers.base import Fit, OnProgress, Progress, Space, objective_of, refuse_parameters
from pipeline_assets.ml.trainers.catboost_parameters import (
    EXPONENTIAL,
    ITERATIONS,
    LEARNING_RATES,
    LOSS_NAMES,
    LOSSES,
    loss_of,
    problems,
    space,
)
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd
    from catboost import CatBoostClassifier, CatBoostRegressor, Pool

# CatBoost chooses its learning rate by rows and iterations, and has 1000 iterations by default. Of many rows that would
# take most of an hour on two cores, with the refit; docs/decisions.md has the numbers.
_MOST_ITERATIONS, _LEAST_ITERATIONS = 1000, 100
_ROWS_OF_MOST_ITERATIONS = 300_000
_FEWER = 0.7  # the number falls as this power of the rows
_REPORTS = 20  # progress reports per fit, approximately

# The metric that stops the fit early, by the kind's name for it; the loss for those that CatBoost does not have.
# By default CatBoost does not compute the AUC of the training rows, which costs a third of the fit's time. The log
# loss, which is free on both sides of every fit, shows overfitting as well.
_EVAL_METRIC: Mapping[str, Mapping[str, str]] = {
    "binary": {"roc_auc": "AUC", "average_precision": "PRAUC", "log_loss": "Logloss", "brier_score": "BrierScore"},
    "multiclass": {"log_loss": "MultiClass", "accuracy": "Accuracy", "f1_macro": "TotalF1:average=Macro"},
    "regression": {"rmse": "RMSE", "mae": "MAE", "r2": "R2", "median_absolute_error": "MedianAbsoluteError"},
}
_SIDES = {"learn": "training", "validation": "stopping"}


@dataclass(frozen=True)
class CatBoostModel:
    """A fitted CatBoost model.

    Attributes:
        native: a classifier of label 1 against label 0, a classifier of named classes, or a regressor.
        classes: those of a classifier of named classes.
    """

    native: "CatBoostClassifier | CatBoostRegressor"
    package: str = "catboost"
    flavor: str = "catboost"
    classes: tuple[str, ...] = ()
    save_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def explains(self) -> bool:
        """Where the model is the logarithm of the prediction, contributions would not add up to the prediction."""
        return str(self.native.get_param("loss_function")).partition(":")[0] not in EXPONENTIAL

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Probability of label 1, one value per row; probabilities of all classes; or numbers."""
        if not hasattr(self.native, "predict_proba"):
            return np.asarray(self.native.predict(frame), dtype=np.float64)
        probabilities = self.native.predict_proba(frame)
        return np.ascontiguousarray(probabilities if self.classes else probabilities[:, 1])

    def contributions(self, frame: "pd.DataFrame", of: int = 0) -> NDArray[np.float64]:
        """Exact SHAP values, shape (rows, features + 1), the base last (Lundberg et al. 2018)."""
        categorical = [self.native.feature_names_[index] for index in self.native.get_cat_feature_indices()]
        pool = _pool(frame, None, categorical)
        values = np.asarray(self.native.get_feature_importance(pool, type="ShapValues"))
        return values[:, of] if self.classes else values


class CatBoostTrainer:
    """Fits CatBoost classifiers and regressors; see :class:`pipeline_assets.ml.trainers.base.Trainer`."""

    package: str = "catboost"
    flavor: str = "catboost"
    objectives: frozenset[str] = frozenset(LOSSES)
    stops_early: bool = True

    def parameter_problems(self, parameters: Mapping[str, Any], objective: str) -> dict[str, str]:
        """By name; see :func:`pipeline_assets.ml.trainers.catboost_parameters.problems`."""
        return problems(parameters, objective)

    def check(self, task: TaskSpec) -> None:
        """Refuses parameters that the task may not set, then lets CatBoost fit one tree to a few artificial rows."""
        import catboost

        refuse_parameters(task, problems(task.training.parameters, objective_of(task)))
        toy = _toy_rows(task)
        parameters = _parameters(task, len(toy))
        parameters.update({name: 1 for name in ITERATIONS if name in parameters})
        try:
            _fitted(task, parameters, toy, eval_set=_pool_of(toy, task))
        except catboost.CatBoostError as error:
            raise _refusal(task, error) from error

    def fit(
        self,
        task: TaskSpec,
        training: LabelledRows,
        stopping: LabelledRows,
        on_progress: OnProgress | None = None,
    ) -> Fit:
        """Fits with early stopping on the stopping rows and keeps the best iteration.

        Stopping rows of a class that no training row has are left out: CatBoost refuses them.
        """
        import catboost

        self.check(task)
        _check_labels(task, training)
        parameters = _parameters(task, _rows_an_iteration(training))
        planned = next(int(parameters[name]) for name in ITERATIONS if name in parameters)
        reports = None if on_progress is None else _Reports(on_progress, planned)
        try:
            model = _fitted(
                task,
                parameters,
                training,
                eval_set=_pool_of(_of_known_classes(task, stopping, training), task),
                early_stopping_rounds=task.training.early_stopping_rounds,
                callbacks=None if reports is None else [reports],
            )
        except catboost.CatBoostError as error:
            raise _cannot_learn(task, error) from error
        if reports is not None and reports.raised is not None:
            raise reports.raised
        native = model.native
        curves = {_SIDES[side]: scores for side, scores in native.get_evals_result().items()}
        importance = zip(native.feature_names_, native.get_feature_importance().tolist(), strict=True)
        return Fit(
            model=model,
            parameters={**native.get_all_params(), "thread_count": task.training.threads},
            curves=curves,
            importance=dict(sorted(importance, key=lambda item: -item[1])),
            iterations=len(next(iter(curves["stopping"].values()))),
            best_iteration=native.best_iteration_,
        )

    def refit(self, task: TaskSpec, rows: LabelledRows, fit: Fit) -> CatBoostModel:
        """Fits the found number of trees to all the rows.

        The learning rate is that of the fit: by default CatBoost would choose another one for fewer trees.
        """
        import catboost

        own = {*ITERATIONS, *LEARNING_RATES, "eval_metric"}
        parameters = {name: value for name, value in _parameters(task, len(rows)).items() if name not in own}
        parameters |= {"iterations": fit.best_iteration + 1, "learning_rate": fit.parameters["learning_rate"]}
        try:
            return _fitted(task, parameters, rows)
        except catboost.CatBoostError as error:
            raise _cannot_learn(task, error) from error

    def space(self, task: TaskSpec, rows: int) -> Space:  # noqa: ARG002 - every trainer's signature
        """See :func:`pipeline_assets.ml.trainers.catboost_parameters.space`."""
        return space(task.training.parameters)

    def restore(self, native: Any, classes: tuple[str, ...] = ()) -> CatBoostModel:
        """The model around what MLflow loaded."""
        return CatBoostModel(native, classes=classes)


class _Reports:
    """CatBoost's callback: reports progress only every few iterations, so that the log stays short."""

    def __init__(self, on_progress: OnProgress, iterations: int) -> None:
        self._on_progress = on_progress
        self._iterations = iterations
        self._every = max(1, iterations // _REPORTS)
        self.raised: BaseException | None = None

    def after_iteration(self, info: Any) -> bool:
        """Called by CatBoost; ``True`` lets the fit go on."""
        if info.iteration % self._every == 0 or info.iteration == self._iterations:
            scores = {
                f"{_SIDES[side]}/{name}": values[-1]
                for side, curves in info.metrics.items()
                for name, values in curves.items()
            }
            try:
                self._on_progress(Progress(info.iteration, self._iterations, scores))
            except BaseException as error:  # noqa: BLE001 - fit() raises it again: CatBoost's C++ code would lose its type
                self.raised = error
        return self.raised is None


def _rows_an_iteration(rows: LabelledRows) -> int:
    """How many rows an iteration goes over: with named classes, each row once per class."""
    return len(rows) * max(len(rows.classes), 1)


def default_iterations(rows: int) -> int:
    """The most iterations of a fit where the task says nothing: the fewer, the more rows an iteration goes over.

    >>> default_iterations(10_000), default_iterations(700_000), default_iterations(10_000_000)
    (1000, 552, 100)
    """
    share = float(_ROWS_OF_MOST_ITERATIONS / max(rows, 1)) ** _FEWER
    return int(min(max(_MOST_ITERATIONS * share, _LEAST_ITERATIONS), _MOST_ITERATIONS))


def _parameters(task: TaskSpec, rows: int) -> dict[str, Any]:
    given, objective = task.training.parameters, objective_of(task)
    iterations = {} if any(name in given for name in ITERATIONS) else {"iterations": default_iterations(rows)}
    # CatBoost itself would choose the loss by the number of labels.
    loss = {} if any(name in given for name in LOSS_NAMES) else {"loss_function": LOSSES[objective][0]}
    return {
        **iterations,
        **loss,
        **given,
        "eval_metric": _eval_metric(task, objective),
        "random_seed": task.training.seed,
        "thread_count": task.training.threads,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }


def _eval_metric(task: TaskSpec, objective: str) -> str:
    """The task's metric; the loss where CatBoost lacks the metric, or where the loss aims at something else."""
    loss = loss_of(task.training.parameters, objective)
    if objective == "regression" and loss not in ("RMSE", "MAE"):
        return loss
    default = "Logloss" if objective == "binary" else loss
    return _EVAL_METRIC[objective].get(task.training.metric, default)


def _fitted(task: TaskSpec, parameters: Mapping[str, Any], rows: LabelledRows, **how: Any) -> CatBoostModel:
    """A model fitted to the rows; ``how`` goes to CatBoost's ``fit``."""
    import catboost

    objective = objective_of(task)
    make = catboost.CatBoostRegressor if objective == "regression" else catboost.CatBoostClassifier
    native = make(**parameters)
    native.fit(_pool_of(rows, task), **how)
    classes = tuple(str(name) for name in native.classes_) if objective == "multiclass" else ()
    return CatBoostModel(native, classes=classes)


def _check_labels(task: TaskSpec, rows: LabelledRows) -> None:
    """Refuses labels without a logarithm where the loss takes one, which CatBoost itself does not."""
    loss = loss_of(task.training.parameters, objective_of(task)).partition(":")[0]
    if loss in EXPONENTIAL and float(np.min(rows.label)) < 0:
        raise DataError(
            f"the loss {loss} needs labels from 0 up", task=task.name, found=f"a label of {np.min(rows.label):g}"
        )


def _of_known_classes(task: TaskSpec, stopping: LabelledRows, training: LabelledRows) -> LabelledRows:
    if objective_of(task) != "multiclass":
        return stopping
    known = np.flatnonzero(np.isin(stopping.label, np.unique(training.label)))
    if not len(known):
        raise DataError(
            "no stopping row has a class that a training row has",
            task=task.name,
            found=f"{len(stopping)} stopping rows",
            do="take a larger batch, or another split",
        )
    return stopping if len(known) == len(stopping) else stopping.take(known)


def _toy_rows(task: TaskSpec) -> LabelledRows:
    """Artificial rows with the task's columns, enough for CatBoost to check the parameters."""
    import pandas as pd

    count = 64
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {name: rng.normal(size=count) for name in task.features.numeric}
    letters = pd.Index(["a", "b", "c"])
    for name in task.features.categorical:
        columns[name] = pd.Categorical.from_codes(rng.integers(0, len(letters), count), letters)
    objective = objective_of(task)
    classes = ("a", "b", "c") if objective == "multiclass" else ()
    label = (np.arange(count) % (len(classes) or 2)).astype(np.int32)
    return LabelledRows(features=pd.DataFrame(columns), label=label, split_hash=np.arange(count), classes=classes)


def _pool_of(rows: LabelledRows, task: TaskSpec) -> "Pool":
    # With classes by name, also those who load the model without this package get names.
    named = objective_of(task) == "multiclass"
    label = np.array(rows.classes, dtype=object)[rows.label] if named else rows.label
    return _pool(rows.features, label, list(task.features.categorical), rows.weight)


def _pool(
    frame: "pd.DataFrame",
    label: NDArray[Any] | None,
    categorical: list[str],
    weight: NDArray[np.float64] | None = None,
) -> "Pool":
    import catboost

    return catboost.Pool(frame, label, cat_features=categorical, weight=weight)


def _cannot_learn(task: TaskSpec, error: Exception) -> DataError:
    return DataError("CatBoost cannot learn from these rows", task=task.name, found=_words(error))


def _refusal(task: TaskSpec, error: Exception) -> TaskError:
    words = _words(error)
    named = [name for name in task.training.parameters if re.search(rf"\b{re.escape(name)}\b", words)]
    given = {name: task.training.parameters[name] for name in named or task.training.parameters}
    return TaskError(
        "CatBoost refuses the training parameters",
        task=task.name,
        found=", ".join(f"{name}: {value}" for name, value in given.items()),
        expected=words,
    )


def _words(error: Exception) -> str:
    """CatBoost's message without its position in the source code."""
    return re.sub(r"^\S+\.(?:cpp|h):\d+:\s*", "", str(error)).strip()
