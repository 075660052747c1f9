"""Why a row got its score: what each feature adds to it, by the version that scored it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.ml.kinds.base import kind_of, predict
from pipeline_assets.ml.trainers.base import FittedModel
from pipeline_assets.task.spec import TaskSpec

Unit = Literal["log_odds", "score", "target", "log_target"]
_LEAST = 1e-12  # of a probability whose log-odds are taken


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to the score of a row.

    Attributes:
        value: the model's input; ``None`` is missing.
        effect: in the explanation's unit.
    """

    feature: str
    value: float | str | None
    effect: float

    @property
    def log_odds(self) -> float:
        """The effect, where that is the unit."""
        return self.effect


@dataclass(frozen=True)
class Explanation:
    """What each feature adds to a score.

    Attributes:
        version: of the model.
        base: the score before any feature is known: of ``shap`` the model's expected score, of ``permutation`` the mean
            score of the sample rows.
        contributions: of every feature, the largest absolute value first.
        kind: ``shap``: exact SHAP values, which together with the base add up to the score. ``permutation``: how much
            lower the score is, on average, when the feature's value is replaced by those of sample rows; these do not
            add up.
        unit: of base, contributions and score. ``log_odds``: of the probability of label 1, or of one class; ``score``:
            what the model gives a class before it becomes a probability; ``target``: the target's own; ``log_target``:
            of ``ln(1 + target)``.
        of: the class that is explained, which is the predicted one; ``None`` for other kinds.
        scored: the row's score, where the contributions do not add up to it.
    """

    version: int
    base: float
    contributions: tuple[Contribution, ...]
    kind: Literal["shap", "permutation"] = "shap"
    unit: Unit = "log_odds"
    of: str | None = None
    scored: float | None = None

    @property
    def score(self) -> float:
        """The row's score, in the unit."""
        if self.scored is not None:
            return self.scored
        return self.base + sum(each.effect for each in self.contributions)

    @property
    def log_odds(self) -> float:
        """The score, where log-odds are the unit: before it becomes a probability."""
        return self.score

    @property
    def probability(self) -> float:
        """The score as a probability, where log-odds are the unit."""
        return probability(self.score)


def probability(log_odds: float) -> float:
    """The probability of a score in log-odds.

    >>> probability(0.0)
    0.5
    """
    return 1 / (1 + exp(-log_odds)) if log_odds >= 0 else exp(log_odds) / (1 + exp(log_odds))


def explain(task: TaskSpec, version: int, model: FittedModel, features: pa.RecordBatch) -> Explanation:
    """What each feature adds to the score of a row, by the package's own exact values.

    Args:
        task: whose features the model was fitted on.
        version: the model's number.
        model: the fitted model.
        features: one row, with the columns of the feature store.

    Raises:
        DataError: the package cannot say it (``model.explains``); :func:`permutation` can be asked instead.
    """
    if not model.explains:
        raise DataError(
            "the model's package cannot say what each feature adds",
            task=task.name,
            found=f"version {version}, made by {model.package}",
            do="ask for the effect of replacing each feature's value",
        )
    frame = scoring_frame(features, task.features)
    place, name = _explained(task, model, features)
    values = model.contributions(frame, of=place)[0]
    return Explanation(
        version=version,
        base=float(values[-1]),
        contributions=_sorted(task, features, values[:-1]),
        unit=_unit(task),
        of=name,
    )


def permutation(
    task: TaskSpec, version: int, model: FittedModel, features: pa.RecordBatch, sample: pa.RecordBatch
) -> Explanation:
    """How a row's score changes when one feature at a time gets the values of sample rows; any model can be asked.

    Costs one prediction per feature and sample row.

    Args:
        task: whose features the model was fitted on.
        version: the model's number.
        model: the fitted model.
        features: one row, with the columns of the feature store.
        sample: at least one row with the same columns, such as a few hundred of the batch.
    """
    if not sample.num_rows:
        raise DataError("no sample rows to take values from", task=task.name, expected="at least one")
    names = list(task.features.names)
    row, others = features.select(names), sample.select(names)
    scored = _scores(task, model, row)
    own = float(scored(row)[0])
    repeated = row.take(pa.array(np.zeros(others.num_rows, np.int64)))
    effects = []
    for place, name in enumerate(names):
        replaced = repeated.set_column(place, name, others.column(place).cast(repeated.schema.field(name).type))
        effects.append(own - float(np.mean(scored(replaced))))
    return Explanation(
        version=version,
        base=float(np.mean(scored(others))),
        contributions=_sorted(task, features, np.array(effects)),
        kind="permutation",
        unit="target" if kind_of(task).objective == "regression" else "log_odds",
        of=_explained(task, model, features)[1],
        scored=own,
    )


def _unit(task: TaskSpec) -> Unit:
    """The unit of a model's own contributions."""
    objective = kind_of(task).objective
    if objective == "regression":
        return "target" if task.target.transform is None else "log_target"
    return "score" if objective == "multiclass" else "log_odds"


def _explained(task: TaskSpec, model: FittedModel, features: pa.RecordBatch) -> tuple[int, str | None]:
    """The position and name of the predicted class; 0 and ``None`` where there are no classes."""
    if not model.classes:
        return 0, None
    place = int(np.argmax(model.predict(scoring_frame(features, task.features))[0]))
    return place, model.classes[place]


def _scores(task: TaskSpec, model: FittedModel, row: pa.RecordBatch) -> Callable[[pa.RecordBatch], NDArray[np.float64]]:
    """What gives the score of any rows: log-odds of label 1 or of the row's class, or the number in its own unit."""
    place, _ = _explained(task, model, row)

    def scores(rows: pa.RecordBatch) -> NDArray[np.float64]:
        output = predict(task, model, scoring_frame(rows, task.features)).output
        if kind_of(task).objective == "regression":
            return output
        chance = np.clip(output[:, place] if model.classes else output, _LEAST, 1 - _LEAST)
        return np.asarray(np.log(chance / (1 - chance)))

    return scores


def _sorted(task: TaskSpec, features: pa.RecordBatch, effects: NDArray[np.float64]) -> tuple[Contribution, ...]:
    row = features.to_pylist()[0]
    found = (
        Contribution(name, row[name], float(effect)) for name, effect in zip(task.features.names, effects, strict=True)
    )
    return tuple(sorted(found, key=lambda each: -abs(each.effect)))
