"""One fit of an estimator with its encoder: what the task says of it, the rows as it takes them, and the pipeline."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers import sklearn_explaining as explaining
from pipeline_assets.ml.trainers.base import objective_of
from pipeline_assets.ml.trainers.sklearn_boosting import Boosted, Boosting, Report, Rows
from pipeline_assets.ml.trainers.sklearn_encoding import categorical_columns, encoder, sources
from pipeline_assets.ml.trainers.sklearn_estimators import (
    ITERATIONS,
    PLANNED_ITERATIONS,
    Family,
    estimator_class,
    family_of,
    fixed,
    own_parameters,
    path_of,
)
from pipeline_assets.ml.trainers.sklearn_model import MEANS, SklearnModel
from pipeline_assets.task.spec import Features, TaskSpec

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

_LOSS = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
_LABELS = 2


@dataclass(frozen=True)
class Plan:
    """What a task says of its estimator.

    Attributes:
        path: of the estimator.
        family: of the estimator.
        objective: of the task's kind.
        parameters: of the estimator, those that the trainer sets included.
        features: of the task.
        boosting: how the fit is stopped.
        threads: that a fit may use.
        seed: of everything random.
    """

    path: str
    family: Family
    objective: str
    parameters: dict[str, Any]
    features: Features
    boosting: Boosting
    threads: int
    seed: int

    @classmethod
    def of(cls, task: TaskSpec) -> "Plan":
        """The plan of a task."""
        training, objective = task.training, objective_of(task)
        path = path_of(training.parameters, objective)
        family = family_of(estimator_class(path))
        categorical = categorical_columns(task.features)
        parameters = {
            **_usual(family, path, len(task.features.numeric), len(categorical)),
            **own_parameters(training.parameters),
            **fixed(path, training.seed, training.threads),
        }
        boosting = Boosting(family, objective, training.metric, training.early_stopping_rounds, categorical)
        return cls(
            path, family, objective, parameters, task.features, boosting, threads=training.threads, seed=training.seed
        )

    @property
    def iterations(self) -> int:
        """That a fit plans; 1 for an estimator that is fitted as it is."""
        name = ITERATIONS.get(self.family)
        return 1 if name is None else int(self.parameters[name])


class Fitting:
    """One fit. It fits the encoder first, then the estimator.

    Args:
        plan: of the task.
        parameters: of the estimator.
        rows: to learn from; a model for ``multiclass`` has their classes alone.
    """

    def __init__(self, plan: Plan, parameters: dict[str, Any], rows: LabelledRows) -> None:
        if plan.objective != "regression" and len(np.unique(rows.label)) < _LABELS:
            raise DataError("a classifier needs rows of at least two labels", found=f"{len(rows)} rows of one label")
        _check_weights(plan.path, rows)
        self._plan = plan
        self._estimator = estimator_class(plan.path)(**parameters)
        empty = [name for name in plan.features.numeric if rows.features[name].isna().all()]
        self._encoder: ColumnTransformer = encoder(plan.family, self._estimator, plan.features, empty)
        self._rows = rows
        # The classes of these rows as positions in all classes of the batch.
        self._present = np.unique(rows.label) if plan.objective == "multiclass" else np.empty(0, np.int32)
        self._classes = tuple(rows.classes[position] for position in self._present)
        self._training = self._encoded(rows, self._encoder.fit_transform(rows.features))

    def stopped(self, stopping: LabelledRows, report: Report) -> Boosted:
        """The fit that the stopping rows stop, where the estimator has iterations."""
        known = self._known(stopping)
        with _threads(self._plan.threads):
            if self._plan.family in ITERATIONS:
                side = self._encoded(known, self._encoder.transform(known.features))
                return self._plan.boosting.fit(self._estimator, self._training, side, report)
        model = self.whole()
        sides = {"training": self._rows, "stopping": known}
        curves = {side: {_LOSS[self._plan.objective]: [self._loss(model, rows)]} for side, rows in sides.items()}
        report(1, curves)
        return Boosted(self._estimator, curves, iterations=1, best_iteration=0)

    def whole(self) -> SklearnModel:
        """The fit with all its iterations."""
        with _threads(self._plan.threads):
            self._plan.boosting.whole(self._estimator, self._training)
        return self.model()

    def model(self) -> SklearnModel:
        """The encoder and the fitted estimator as one pipeline."""
        from sklearn.pipeline import Pipeline

        if self._plan.family == "trees" and "n_jobs" in self._plan.parameters:
            # Several threads of a forest add up its trees in the order in which they come, which changes the last bit.
            self._estimator.set_params(n_jobs=1)
        speaking = _with_words(self._estimator, self._classes) if self._codes else self._estimator
        pipeline = Pipeline([("encoder", self._encoder), ("estimator", speaking)])
        if self._plan.family == "linear":
            setattr(pipeline, MEANS, np.asarray(self._training.matrix.mean(axis=0)).ravel())
        return SklearnModel(pipeline, self._classes)

    def importance(self, stopping: LabelledRows) -> dict[str, float]:
        """Of each feature, in percent: the estimator's own, or by shuffling features of the stopping rows."""
        names, origin = self._plan.features.names, sources(self._encoder)
        found = explaining.importance(self._plan.family, self._estimator, self._training.matrix, origin, len(names))
        if found is None:
            known = self._known(stopping)
            known = known.take(explaining.sampled(len(known)))
            label, bare = self._positions(known), SklearnModel(self._estimator, self._classes)
            matrix = self._encoder.transform(known.features)
            with _threads(self._plan.threads):
                found = explaining.permutation_importance(
                    lambda values: explaining.loss_of(label, bare.predict(values), known.weight),
                    matrix,
                    origin,
                    len(names),
                    self._plan.seed,
                )
        return explaining.shares(names, found)

    @property
    def _codes(self) -> bool:
        """Whether the estimator takes classes only as codes: XGBoost takes no text."""
        return bool(self._classes) and self._plan.family == "xgboost"

    def _known(self, rows: LabelledRows) -> LabelledRows:
        """Those rows whose class the training rows have."""
        if self._plan.objective != "multiclass":
            return rows
        known = rows.take(np.flatnonzero(np.isin(rows.label, self._present)))
        if len(known) == 0:
            raise DataError("no stopping row has a class of the training rows", available=self._classes)
        return known

    def _positions(self, rows: LabelledRows) -> NDArray[Any]:
        """Labels as positions in the model's classes; as they are for other objectives."""
        return np.searchsorted(self._present, rows.label) if self._classes else rows.label

    def _loss(self, model: SklearnModel, rows: LabelledRows) -> float:
        return explaining.loss_of(self._positions(rows), model.predict(rows.features), rows.weight)

    def _encoded(self, rows: LabelledRows, values: Any) -> Rows:
        label = self._positions(rows)
        words = bool(self._classes) and not self._codes
        return Rows(values, np.array(self._classes, dtype=object)[label] if words else label, rows.weight)


def refusals(family: Family) -> tuple[type[Exception], ...]:
    """What an estimator raises when it refuses its parameters or its rows: packages have no common class for it."""
    common = (ValueError, TypeError, ArithmeticError, NotImplementedError, RuntimeError)
    if family != "lightgbm":
        return common
    from lightgbm.basic import LightGBMError

    return (*common, LightGBMError)


def words(error: Exception) -> str:
    """An estimator's message, without the place in XGBoost's source code and the calls that led to it."""
    return re.sub(r"^\[[\d:]+\] \S+:\d+: ", "", str(error).partition("\nStack trace:")[0]).strip()


def toy_rows(task: TaskSpec) -> LabelledRows:
    """Artificial rows with the task's columns, enough for an estimator to check its parameters."""
    import pandas as pd

    count, objective = 64, objective_of(task)
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {name: rng.normal(size=count) for name in task.features.numeric}
    letters = pd.Index(["a", "b", "c"])
    for name in task.features.categorical:
        columns[name] = pd.Categorical.from_codes(rng.integers(0, len(letters), count), letters)
    order = np.arange(count)
    label: dict[str, NDArray[Any]] = {"binary": (order % 2).astype(np.int8), "multiclass": (order % 3).astype(np.int32)}
    return LabelledRows(
        features=pd.DataFrame(columns),
        label=label.get(objective, 1.0 + order),
        split_hash=order,
        classes=("a", "b", "c") if objective == "multiclass" else (),
    )


def _check_weights(path: str, rows: LabelledRows) -> None:
    from sklearn.utils.validation import has_fit_parameter

    if rows.weight is not None and not has_fit_parameter(estimator_class(path), "sample_weight"):
        raise DataError(
            "the estimator takes no weights of rows",
            found=path,
            do="remove the task's weights, or take another estimator",
        )


def _usual(family: Family, path: str, numbers: int, categories: int) -> dict[str, Any]:
    """Parameters by which an estimator takes the encoder's columns and can be repeated; a task may change some."""
    planned = {ITERATIONS[family]: PLANNED_ITERATIONS} if family in ITERATIONS else {}
    if family == "histogram":
        return {**planned, "categorical_features": [False] * numbers + [True] * categories, "early_stopping": False}
    if family == "lightgbm":
        return {**planned, "verbosity": -1, "deterministic": True, "force_row_wise": True}
    if family == "xgboost":
        return {**planned, "feature_types": ["q"] * numbers + ["c"] * categories, "enable_categorical": True}
    if path.endswith(".LogisticRegression"):
        return {"max_iter": 1000}
    return {}


def _with_words(estimator: Any, classes: tuple[str, ...]) -> Any:
    """A fitted classifier of codes as one that says the classes by name: a vote of one voter."""
    from sklearn.ensemble import VotingClassifier
    from sklearn.preprocessing import LabelEncoder

    vote = VotingClassifier([("codes", estimator)], voting="soft")
    vote.estimators_ = [estimator]
    vote.le_ = LabelEncoder().fit(np.array(classes, dtype=object))
    vote.classes_ = vote.le_.classes_
    return vote


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Limits the threads of OpenMP and of linear algebra: the last bit of a sum depends on their number."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=count):
        yield
