"""A trainer and a kind as another package would bring them: named by dotted path, known to nothing in the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.binary import Binary
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.trainers.base import Fit, OnProgress, Progress, Range, Space
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd

KIND = "tests.ml.third_party:Churn"
TRAINER = "tests.ml.third_party:LogisticTrainer"


class Churn(Binary):
    """Binary, with a metric of its own."""

    name: str = "churn"
    metrics: Mapping[str, bool] = {"accuracy": True, "log_loss": False}

    def evaluate(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        accuracy = float(np.mean((prediction.output >= 0.5) == (rows.label == 1)))
        return {"accuracy": accuracy, "log_loss": super().evaluate(rows, prediction)["log_loss"]}


@dataclass(frozen=True)
class Logistic:
    """Weights of the columns (numbers, then one per known category) and a base."""

    native: dict[str, Any]
    package: str = "logistic"
    flavor: str = "sklearn"
    classes: tuple[str, ...] = ()
    save_options: Mapping[str, Any] = field(default_factory=lambda: {"serialization_format": "pickle"})
    explains: bool = True

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-self.contributions(frame).sum(axis=1))))

    def contributions(self, frame: "pd.DataFrame", of: int = 0) -> NDArray[np.float64]:  # noqa: ARG002 - every model's signature
        columns = []
        for name, weights in self.native["weights"].items():
            if isinstance(weights, dict):
                columns.append(np.array([weights.get(value, 0.0) for value in frame[name].astype(object)]))
            else:
                columns.append(np.nan_to_num(frame[name].to_numpy() / self.native["scales"][name]) * weights)
        return np.column_stack([*columns, np.full(len(frame), self.native["base"])])


class LogisticTrainer:
    """Logistic regression by gradient steps, one an iteration."""

    package: str = TRAINER
    flavor: str = "sklearn"
    objectives: frozenset[str] = frozenset({"binary"})
    stops_early: bool = True

    def parameter_problems(self, parameters: Mapping[str, Any], objective: str) -> dict[str, str]:  # noqa: ARG002 - one objective
        known = {"iterations", "learning_rate"}
        return {name: f"no such parameter; there are {', '.join(sorted(known))}" for name in {*parameters} - known}

    def check(self, task: TaskSpec) -> None:
        for name, sentence in self.parameter_problems(task.training.parameters, "binary").items():
            raise TaskError(sentence, task=task.name, found=name)

    def fit(
        self, task: TaskSpec, training: LabelledRows, stopping: LabelledRows, on_progress: OnProgress | None = None
    ) -> Fit:
        self.check(task)
        planned = int(task.training.parameters.get("iterations", 200))
        curves: dict[str, dict[str, list[float]]] = {"training": {"loss": []}, "stopping": {"loss": []}}
        best, models = 0, []
        for iteration, model in enumerate(self._steps(task, training, planned)):
            models.append(model)
            for side, rows in (("training", training), ("stopping", stopping)):
                curves[side]["loss"].append(_loss(model, rows))
            losses = curves["stopping"]["loss"]
            best = iteration if losses[-1] < losses[best] else best
            if on_progress is not None:
                on_progress(Progress(iteration, planned, {"stopping/loss": losses[-1]}))
            if iteration - best >= task.training.early_stopping_rounds:
                break
        share = 100 / len(task.features.names)
        return Fit(
            model=models[best],
            parameters=dict(task.training.parameters),
            curves=curves,
            importance=dict.fromkeys(task.features.names, share),
            iterations=len(models),
            best_iteration=best,
        )

    def refit(self, task: TaskSpec, rows: LabelledRows, fit: Fit) -> Logistic:
        return list(self._steps(task, rows, fit.best_iteration + 1))[-1]

    def space(self, task: TaskSpec, rows: int) -> Space:
        space = {"learning_rate": Range(0.01, 2.0, log=True), "iterations": Range(5, 5 + min(rows, 50))}
        return {name: values for name, values in space.items() if name not in task.training.parameters}

    def restore(self, native: Any, classes: tuple[str, ...] = ()) -> Logistic:
        return Logistic(native, classes=classes)

    def _steps(self, task: TaskSpec, rows: LabelledRows, iterations: int) -> list[Logistic]:
        if len(np.unique(rows.label)) < 2:
            raise DataError("a line cannot be fitted to one label", task=task.name)
        rate = float(task.training.parameters.get("learning_rate", 0.5))
        scales = {name: float(np.nanmax(np.abs(rows.features[name]))) or 1.0 for name in task.features.numeric}
        weights: dict[str, Any] = dict.fromkeys(task.features.numeric, 0.0)
        for name in task.features.categorical:
            weights[name] = dict.fromkeys(rows.features[name].cat.categories, 0.0)
        found = [Logistic({"weights": weights, "scales": scales, "base": 0.0})]
        for _ in range(iterations):
            found.append(_step(found[-1], rows, rate))
        return found[1:]


def _step(model: Logistic, rows: LabelledRows, rate: float) -> Logistic:
    error = rows.label - model.predict(rows.features)
    error = error if rows.weight is None else error * rows.weight / rows.weight.mean()
    weights: dict[str, Any] = {}
    for name, weight in model.native["weights"].items():
        if isinstance(weight, dict):
            values = rows.features[name].astype(object).to_numpy()
            weights[name] = {key: w + rate * float(np.mean(error * (values == key))) for key, w in weight.items()}
        else:
            values = np.nan_to_num(rows.features[name].to_numpy() / model.native["scales"][name])
            weights[name] = weight + rate * float(np.mean(error * values))
    return Logistic({**model.native, "weights": weights, "base": model.native["base"] + rate * float(np.mean(error))})


def _loss(model: Logistic, rows: LabelledRows) -> float:
    probability = np.clip(model.predict(rows.features), 1e-9, 1 - 1e-9)
    return float(-np.mean(np.where(rows.label == 1, np.log(probability), np.log(1 - probability))))
