"""The trainer for scikit-learn and for every estimator that keeps to its interface, LightGBM and XGBoost among them."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers.base import Fit, OnProgress, Progress, Space, objective_of, refuse_parameters
from pipeline_assets.ml.trainers.sklearn_boosting import Curves, with_iterations
from pipeline_assets.ml.trainers.sklearn_estimators import ESTIMATOR, problems
from pipeline_assets.ml.trainers.sklearn_fitting import Fitting, Plan, refusals, toy_rows, words
from pipeline_assets.ml.trainers.sklearn_model import SklearnModel
from pipeline_assets.ml.trainers.sklearn_spaces import space_of
from pipeline_assets.task.spec import TaskSpec

_REPORTS = 20  # progress reports per fit, approximately


class SklearnTrainer:
    """Fits any estimator; see :class:`pipeline_assets.ml.trainers.base.Trainer`.

    The stopping rows end the fit of gradient boosting: scikit-learn's HistGradientBoosting, LightGBM, XGBoost. Other
    estimators are fitted as they are, which counts as one iteration. Their stopping rows do not fit them either: a
    threshold or a search can then be judged by rows that the model has not seen.
    """

    package: str = "sklearn"
    flavor: str = "sklearn"
    objectives: frozenset[str] = frozenset({"binary", "multiclass", "regression"})
    stops_early: bool = True

    def parameter_problems(self, parameters: Mapping[str, Any], objective: str) -> dict[str, str]:
        """By name; see :func:`pipeline_assets.ml.trainers.sklearn_estimators.problems`."""
        return problems(parameters, objective)

    def check(self, task: TaskSpec) -> None:
        """Refuses parameters that the task may not set, then fits a small estimator to a few artificial rows."""
        refuse_parameters(task, problems(task.training.parameters, objective_of(task)))
        plan = Plan.of(task)
        few = {name: 1 for name in ("n_estimators",) if name in plan.parameters}
        try:
            model = Fitting(plan, with_iterations(plan.family, {**plan.parameters, **few}, 1), toy_rows(task)).whole()
        except refusals(plan.family) as error:
            raise TaskError(
                f"{plan.path} refuses the training parameters",
                task=task.name,
                found=", ".join(f"{name}: {value}" for name, value in task.training.parameters.items()) or "none",
                expected=words(error),
            ) from error
        if plan.objective != "regression" and not hasattr(model.native, "predict_proba"):
            raise TaskError(
                f"{plan.path} gives no probabilities with these parameters",
                task=task.name,
                found=", ".join(f"{name}: {value}" for name, value in task.training.parameters.items()),
                expected="a classifier with predict_proba, which the task's scores are",
            )

    def fit(
        self,
        task: TaskSpec,
        training: LabelledRows,
        stopping: LabelledRows,
        on_progress: OnProgress | None = None,
    ) -> Fit:
        """Fits with early stopping where the estimator is gradient boosting, otherwise as it is."""
        self.check(task)
        plan = Plan.of(task)
        reports = _Reports(on_progress, plan.iterations)
        try:
            fitting = Fitting(plan, plan.parameters, training)
            done = fitting.stopped(stopping, reports)
        except refusals(plan.family) as error:
            if reports.raised is not None:
                raise
            raise _cannot_learn(task, plan, error) from error
        model = fitting.model()
        return Fit(
            model=model,
            parameters={ESTIMATOR: plan.path, **_plain(done.estimator.get_params(deep=False))},
            curves=done.curves,
            importance=fitting.importance(stopping),
            iterations=done.iterations,
            best_iteration=done.best_iteration,
        )

    def refit(self, task: TaskSpec, rows: LabelledRows, fit: Fit) -> SklearnModel:
        """Fits the found number of iterations, or the estimator as it is, to all the rows."""
        plan = Plan.of(task)
        parameters = with_iterations(plan.family, plan.parameters, fit.best_iteration + 1)
        try:
            return Fitting(plan, parameters, rows).whole()
        except refusals(plan.family) as error:
            raise _cannot_learn(task, plan, error) from error

    def restore(self, native: Any, classes: tuple[str, ...] = ()) -> SklearnModel:
        """The model around a pipeline that MLflow loaded."""
        return SklearnModel(native, classes)

    def space(self, task: TaskSpec, rows: int) -> Space:
        """See :func:`pipeline_assets.ml.trainers.sklearn_spaces.space_of`."""
        return space_of(Plan.of(task).path, rows, task.training.parameters)


class _Reports:
    """Reports progress only every few iterations, so that the log stays short; keeps what a report raises."""

    def __init__(self, on_progress: OnProgress | None, iterations: int) -> None:
        self._on_progress = on_progress
        self._iterations = iterations
        self._every = max(1, iterations // _REPORTS)
        self._next = 1
        self.raised: BaseException | None = None

    def __call__(self, done: int, curves: Curves) -> None:
        if self._on_progress is None or done < self._next:
            return
        self._next = done + self._every
        scores = {
            f"{side}/{name}": float(values[-1]) for side, all_of in curves.items() for name, values in all_of.items()
        }
        try:
            self._on_progress(Progress(done, self._iterations, scores))
        except BaseException as error:
            self.raised = error
            raise


def _cannot_learn(task: TaskSpec, plan: Plan, error: Exception) -> DataError:
    return DataError(f"{plan.path} cannot learn from these rows", task=task.name, found=words(error))


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as values that JSON has; others as text."""
    return {name: json.loads(json.dumps(value, default=str)) for name, value in parameters.items()}
