"""Why a row got its score: what each feature adds to it, by the version that scored it."""

from dataclasses import dataclass
from math import exp

import pyarrow as pa

from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.ml.trainers.base import FittedModel
from pipeline_assets.task.spec import TaskSpec


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to the score of a row.

    Attributes:
        value: the model's input; ``None`` is missing.
        log_odds: its exact SHAP value.
    """

    feature: str
    value: float | str | None
    log_odds: float


@dataclass(frozen=True)
class Explanation:
    """A score as the sum of a base and of the features' contributions, in log-odds.

    Attributes:
        version: of the model.
        base: the expected score, before any feature is known.
        contributions: of every feature, the largest absolute value first.
    """

    version: int
    base: float
    contributions: tuple[Contribution, ...]

    @property
    def log_odds(self) -> float:
        """The score before it becomes a probability."""
        return self.base + sum(each.log_odds for each in self.contributions)

    @property
    def probability(self) -> float:
        """The score."""
        return probability(self.log_odds)


def probability(log_odds: float) -> float:
    """The probability of a score in log-odds.

    >>> probability(0.0)
    0.5
    """
    return 1 / (1 + exp(-log_odds)) if log_odds >= 0 else exp(log_odds) / (1 + exp(log_odds))


def explain(task: TaskSpec, version: int, model: FittedModel, features: pa.RecordBatch) -> Explanation:
    """What each feature adds to the score of a row.

    Args:
        task: whose features the model was fitted on.
        version: the model's number.
        model: the fitted model.
        features: one row, with the columns of the feature store.
    """
    values = model.contributions(scoring_frame(features, task.features))[0]
    row = features.to_pylist()[0]
    contributions = (
        Contribution(name, row[name], float(value))
        for name, value in zip(task.features.names, values[:-1], strict=True)
    )
    return Explanation(
        version=version,
        base=float(values[-1]),
        contributions=tuple(sorted(contributions, key=lambda each: -abs(each.log_odds))),
    )
