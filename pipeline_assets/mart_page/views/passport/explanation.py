"""Why a row got its score: what each feature adds to it, by the very version that gave it."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from math import exp

import pyarrow as pa

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.ml.selection import feature_columns
from pipeline_assets.ml.trainers.base import FittedModel
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.spec import TaskSpec

_KEPT = 8  # models; one of CatBoost's is a megabyte or a few


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to the score of a row.

    Attributes:
        value: as the model saw it; ``None`` is missing.
        log_odds: its exact SHAP value.
    """

    feature: str
    value: float | str | None
    log_odds: float


@dataclass(frozen=True)
class Explanation:
    """A score taken apart; base and contributions sum up to it, in log-odds.

    Attributes:
        version: of the model.
        base: the score of a row of which nothing is known.
        contributions: of every feature, the largest first, whichever way it goes.
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
    """Of a score in log-odds.

    >>> probability(0.0)
    0.5
    """
    return 1 / (1 + exp(-log_odds)) if log_odds >= 0 else exp(log_odds) / (1 + exp(log_odds))


class Models:
    """The versions that were asked for last, loaded once: what a version is never changes.

    Args:
        registry: where they are.
        kept: how many.
    """

    def __init__(self, registry: Registry, kept: int = _KEPT) -> None:
        self._registry, self._kept = registry, kept
        self._loaded: OrderedDict[tuple[str, int], FittedModel] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def explain(self, task: TaskSpec, version: int, features: pa.RecordBatch) -> Explanation:
        """What each feature adds to the score of a row.

        Args:
            task: whose version it is.
            version: its number.
            features: the row as the feature store has it, one row.

        Raises:
            DataError: the version was fitted on other features than the task has now.
            StoreError: the registry has no such version, or refuses.
            TransientError: the registry does not answer.
        """
        frame = scoring_frame(features, task.features)
        values = self._model(task, version).contributions(frame)[0]
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

    def _model(self, task: TaskSpec, version: int) -> FittedModel:
        key = (task.name, version)
        with self._one_at_a_time:
            if key not in self._loaded:
                self._check_features(task, version)
                self._loaded[key] = self._registry.load(task.name, version)
                if len(self._loaded) > self._kept:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def _check_features(self, task: TaskSpec, version: int) -> None:
        known = {each.version: each for each in self._registry.candidates(task.name)}
        if version not in known:
            raise DataError("the registry has no such version", task=task.name, found=version, available=known)
        fitted, now = known[version].features, feature_columns(task.features)
        if fitted != now:
            raise DataError(
                "the version was fitted on other features than the task has now",
                task=task.name,
                found=f"version {version}: {', '.join(name for name, _ in fitted or ())}",
                expected=", ".join(name for name, _ in now),
            )
