"""Fits of gradient boosting that the stopping rows stop: scikit-learn's own, LightGBM, XGBoost."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.trainers.sklearn_estimators import ITERATIONS, Family

Curves = dict[str, dict[str, list[float]]]
Report = Callable[[int, Curves], None]

_FIRST_CHUNK = 10
# The metric that stops a fit early, by the kind's name for it; the loss that the estimator minimises for the others.
_HISTOGRAM = {
    "roc_auc": "roc_auc",
    "average_precision": "average_precision",
    "brier_score": "neg_brier_score",
    "mae": "neg_mean_absolute_error",
}
_LIGHTGBM = {"roc_auc": "auc", "average_precision": "average_precision", "mae": "l1", "rmse": "rmse"}
_XGBOOST = {"roc_auc": "auc", "average_precision": "aucpr", "mae": "mae", "rmse": "rmse"}
_TWO = 2
_GREATER_IS_BETTER = ("roc_auc", "average_precision", "auc", "aucpr")
_SIDES = ("training", "stopping")


@dataclass(frozen=True)
class Rows:
    """Encoded rows.

    Attributes:
        matrix: shape (rows, columns), float64, or a sparse one.
        label: one per row, as the estimator takes them.
        weight: one per row, or ``None``.
    """

    matrix: Any
    label: NDArray[Any]
    weight: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Boosted:
    """The result of a fit that was stopped.

    Attributes:
        estimator: with the iterations up to the best one.
        curves: by side, then by the package's name of a metric: one value per iteration.
        iterations: how many were run until the rule of early stopping said so.
        best_iteration: from 0.
    """

    estimator: Any
    curves: Curves
    iterations: int
    best_iteration: int


@dataclass(frozen=True)
class Boosting:
    """How a fit is stopped.

    Attributes:
        family: of the estimator.
        objective: of the task's kind.
        metric: of the task.
        patience: the fit ends after so many iterations without a better value on the stopping rows.
        categorical: encoded columns that are codes of categories.
    """

    family: Family
    objective: str
    metric: str
    patience: int
    categorical: list[int]

    def fit(self, estimator: Any, training: Rows, stopping: Rows, report: Report) -> Boosted:
        """Fits the training rows.

        Args:
            estimator: unfitted, with the planned number of iterations.
            training: rows to learn from.
            stopping: rows that stop the fit; each label is one that the training rows have.
            report: called with the iterations done and the curves so far, now and then; what it raises ends the fit.
        """
        if self.family == "histogram":
            return self._histogram(estimator, training, stopping, report)
        if self.family == "lightgbm":
            return self._lightgbm(estimator, training, stopping, report)
        return self._xgboost(estimator, training, stopping, report)

    def whole(self, estimator: Any, rows: Rows) -> Any:
        """The estimator fitted to rows, all its iterations."""
        more = {"categorical_feature": self.categorical} if self.family == "lightgbm" else {}
        weight = {} if rows.weight is None else {"sample_weight": rows.weight}
        return estimator.fit(rows.matrix, rows.label, **weight, **more)

    def _histogram(self, estimator: Any, training: Rows, stopping: Rows, report: Report) -> Boosted:
        """In chunks, each twice as long as the one before: scikit-learn has no callback for this estimator.

        The estimator's own rule compares with the value one patience before, not with the best one: it never stops
        before ours if it waits for one iteration more.
        """
        scoring = _HISTOGRAM.get(self.metric, "loss")
        if self.objective == "multiclass" or (self.objective == "binary" and len(np.unique(stopping.label)) == 1):
            scoring = "loss"
        planned = int(estimator.max_iter)
        estimator.set_params(
            early_stopping=True, warm_start=True, scoring=scoring, tol=0, n_iter_no_change=self.patience + 1
        )
        chunk, done, scores = _FIRST_CHUNK, 0, np.empty(0)
        while True:
            estimator.set_params(max_iter=min(planned, done + chunk))
            estimator.fit(
                training.matrix,
                training.label,
                sample_weight=training.weight,
                X_val=stopping.matrix,
                y_val=stopping.label,
                sample_weight_val=stopping.weight,
            )
            scores = estimator.validation_score_[1:]  # the first is that of no iteration
            done, chunk = len(scores), 2 * chunk
            iterations = _stopped(scores, self.patience)
            sign = 1 if scoring in _GREATER_IS_BETTER else -1
            curves = {
                side: {scoring.removeprefix("neg_"): (sign * values[1 : iterations + 1]).tolist()}
                for side, values in zip(_SIDES, (estimator.train_score_, estimator.validation_score_), strict=True)
            }
            report(iterations, curves)
            if iterations < done or done >= planned:
                break
        best = int(np.argmax(scores[:iterations]))
        # An estimator with fewer iterations has the same first ones; scikit-learn has no public way to cut the rest.
        del estimator._predictors[best + 1 :]  # noqa: SLF001
        estimator.train_score_ = estimator.train_score_[: best + 2]
        estimator.validation_score_ = estimator.validation_score_[: best + 2]
        estimator.set_params(max_iter=best + 1, early_stopping=False, warm_start=False, scoring="loss")
        return Boosted(estimator, curves, iterations, best)

    def _lightgbm(self, estimator: Any, training: Rows, stopping: Rows, report: Report) -> Boosted:
        import lightgbm

        curves: Curves = {}

        with warnings.catch_warnings():
            # LightGBM 4.7 deprecates eval_set, but encodes no text labels in what takes its place.
            warnings.filterwarnings("ignore", "The argument 'eval_set' is deprecated", FutureWarning)
            estimator.fit(
                training.matrix,
                training.label,
                sample_weight=training.weight,
                eval_set=[(training.matrix, training.label), (stopping.matrix, stopping.label)],
                eval_names=list(_SIDES),
                eval_sample_weight=None if training.weight is None else [training.weight, stopping.weight],
                eval_metric=_LIGHTGBM.get(self.metric),
                categorical_feature=self.categorical,
                callbacks=[
                    lightgbm.record_evaluation(curves),
                    _Reported(report, curves),
                    lightgbm.early_stopping(self.patience, first_metric_only=True, verbose=False),
                ],
            )
        iterations = _length(curves)
        plain = {
            side: {name: [float(value) for value in values] for name, values in all_of.items()}
            for side, all_of in curves.items()
        }
        return Boosted(estimator, plain, iterations, (estimator.best_iteration_ or iterations) - 1)

    def _xgboost(self, estimator: Any, training: Rows, stopping: Rows, report: Report) -> Boosted:
        import xgboost

        names = dict(zip(("validation_0", "validation_1"), _SIDES, strict=True))

        class Reports(xgboost.callback.TrainingCallback):  # type: ignore[misc] # XGBoost has no types
            def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - XGBoost's signature
                report(epoch + 1, {names[side]: values for side, values in evals_log.items()})
                return False

        several = self.objective == "multiclass" and len(np.unique(training.label)) > _TWO
        loss = {"regression": "rmse"}.get(self.objective, "mlogloss" if several else "logloss")
        metric = loss if self.objective == "multiclass" else _XGBOOST.get(self.metric, loss)
        stop = xgboost.callback.EarlyStopping(
            rounds=self.patience, metric_name=metric, data_name="validation_1", save_best=True
        )
        # One metric: with several, XGBoost 3.2 cannot read what it cuts at the best iteration.
        estimator.set_params(eval_metric=metric, callbacks=[stop, Reports()])
        estimator.fit(
            training.matrix,
            training.label,
            sample_weight=training.weight,
            eval_set=[(training.matrix, training.label), (stopping.matrix, stopping.label)],
            sample_weight_eval_set=None if training.weight is None else [training.weight, stopping.weight],
            verbose=False,
        )
        estimator.set_params(callbacks=None)
        curves = {names[side]: dict(values) for side, values in estimator.evals_result().items()}
        best = int(estimator.best_iteration)
        estimator.set_params(n_estimators=best + 1)
        return Boosted(estimator, curves, _length(curves), best)


class _Reported:
    """A callback of LightGBM, called between those that record an iteration (20) and that stop the fit (30)."""

    def __init__(self, report: Report, curves: Curves) -> None:
        self.order = 25
        self._report = report
        self._curves = curves

    def __call__(self, environment: Any) -> None:
        self._report(environment.iteration + 1, self._curves)


def with_iterations(family: Family, parameters: dict[str, Any], iterations: int) -> dict[str, Any]:
    """The parameters with this number of iterations, where the family has them."""
    return {**parameters, ITERATIONS[family]: iterations} if family in ITERATIONS else parameters


def _stopped(scores: NDArray[np.float64], patience: int) -> int:
    """After how many iterations a fit ends: ``patience`` iterations without a greater score, or all of them."""
    best = 0
    for iteration, score in enumerate(scores):
        if score > scores[best]:
            best = iteration
        elif iteration - best >= patience:
            return iteration + 1
    return len(scores)


def _length(curves: Curves) -> int:
    return len(next(iter(curves["stopping"].values())))
