"""A model of scikit-learn: a pipeline of an encoder and an estimator, as it was fitted or as MLflow loaded it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import packages_distributions, version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.trainers import sklearn_explaining as explaining
from pipeline_assets.ml.trainers.sklearn_encoding import sources

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

MEANS = "encoded_means_"  # an attribute of a linear model's pipeline: the means of the columns that it learned from
_TWO = 2
_KNOWN = {"sklearn": "scikit-learn", "lightgbm": "lightgbm", "xgboost": "xgboost"}


@dataclass(frozen=True)
class SklearnModel:
    """A fitted pipeline; for ``multiclass`` it speaks the target's own words.

    Attributes:
        native: takes a plain frame with the features' columns, numbers and text, in any order.
    """

    native: "Pipeline"
    classes: tuple[str, ...] = ()
    package: str = "sklearn"
    flavor: str = "sklearn"

    @property
    def save_options(self) -> Mapping[str, Any]:
        """Pickle: of the formats that MLflow has for scikit-learn, the one that takes every estimator."""
        packages = ("mlflow", "numpy", "pandas", "scikit-learn", *_distributions(type(self._estimator)))
        return {
            "serialization_format": "pickle",
            "pip_requirements": [f"{name}=={version(name)}" for name in dict.fromkeys(packages)],
        }

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Probability of label 1; of every class; or a regressor's numbers."""
        if not hasattr(self.native, "predict_proba"):
            return np.asarray(self.native.predict(frame), dtype=np.float64)
        probabilities = np.asarray(self.native.predict_proba(frame), dtype=np.float64)
        return np.ascontiguousarray(probabilities if self.classes else probabilities[:, 1])

    @property
    def explains(self) -> bool:
        """Whether the estimator is LightGBM's, XGBoost's, or a linear one of scikit-learn."""
        return explaining.explains(self._estimator)

    def contributions(self, frame: "pd.DataFrame", of: int = 0) -> NDArray[np.float64]:
        """SHAP values of trees (Lundberg et al. 2018); of a linear model, weight times distance from the mean."""
        values = self.native[:-1].transform(frame)
        means = getattr(self.native, MEANS, None)
        columns = explaining.contributions(self._estimator, values, means, of)
        if len(self.classes) == _TWO:  # one score tells the two classes apart; each has half of it
            columns = columns / (_TWO if of else -_TWO)
        origin = self._sources
        return explaining.by_feature(columns, origin, int(origin.max()) + 1)

    @cached_property
    def _sources(self) -> NDArray[np.int64]:
        return sources(self.native[0])

    @property
    def _estimator(self) -> Any:
        """The estimator itself, without the voter that gives XGBoost's classes their names."""
        last = self.native[-1]
        return last.estimators_[0] if hasattr(last, "le_") and hasattr(last, "estimators_") else last


def _distributions(estimator: type[Any]) -> list[str]:
    """The installed distributions that an estimator comes from: none for code that lies beside the task."""
    module = estimator.__module__.partition(".")[0]
    return [_KNOWN[module]] if module in _KNOWN else packages_distributions().get(module, [])
