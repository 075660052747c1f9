"""Models that explain predictions, loaded from the registry once for all sessions."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import pyarrow as pa

from pipeline_assets.errors import DataError
from pipeline_assets.ml.explanation import Explanation, explain, permutation
from pipeline_assets.ml.selection import feature_columns
from pipeline_assets.ml.trainers.base import FittedModel
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.spec import TaskSpec

_KEPT = 8  # models; one of CatBoost's takes a few megabytes


@dataclass(frozen=True)
class Inexplicable:
    """A model whose package cannot say what each feature adds; it can be asked by permutation."""

    package: str


class LoadedModels:
    """The versions used last; a version never changes, so each is loaded once.

    Args:
        registry: where the versions are.
        kept: how many stay in memory.
    """

    def __init__(self, registry: Registry, kept: int = _KEPT) -> None:
        self._registry, self._kept = registry, kept
        self._loaded: OrderedDict[tuple[str, int], FittedModel] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def explain(
        self, task: TaskSpec, version: int, features: pa.RecordBatch, sample: pa.RecordBatch | None = None
    ) -> Explanation | Inexplicable:
        """What each feature adds to the score of a row.

        Args:
            task: whose version it is.
            version: its number.
            features: one row, with the columns of the feature store.
            sample: rows with the same columns, for an explanation by permutation, which any model has.

        Raises:
            DataError: the version was fitted on other features than the task has now.
            StoreError: the registry has no such version, or refuses.
            TransientError: the registry does not answer.
        """
        model = self._model(task, version)
        if sample is not None:
            return permutation(task, version, model, features, sample)
        return explain(task, version, model, features) if model.explains else Inexplicable(model.package)

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
