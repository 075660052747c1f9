"""Parameters worth trying in a search, by family of estimator."""

from collections.abc import Mapping
from typing import Any

from pipeline_assets.ml.trainers.base import Options, Range, Space
from pipeline_assets.ml.trainers.sklearn_estimators import Family, estimator_class, family_of, parameter_names

_RATE = Range(0.02, 0.3, log=True)
_SMALL = 1000  # a leaf of few rows learns single rows by heart where there are few


def space_of(path: str, rows: int, given: Mapping[str, Any]) -> Space:
    """The parameters that a search may try for an estimator; those that the task gives are left out.

    Args:
        path: of the estimator.
        rows: that a trial learns from.
        given: ``training.parameters``.
    """
    known = parameter_names(path)
    space = {**_space(family_of(estimator_class(path)), rows), **_BY_NAME.get(path.rpartition(".")[2], {})}
    return {name: values for name, values in space.items() if name in known and name not in given}


def _space(family: Family, rows: int) -> dict[str, Range | Options]:
    leaf = Range(2, max(10, min(200, rows // 50)), log=True)
    leaves = Range(4, 31 if rows < _SMALL else 255, log=True)
    if family == "histogram":
        return {
            "learning_rate": _RATE,
            "max_leaf_nodes": leaves,
            "min_samples_leaf": leaf,
            "l2_regularization": Range(1e-3, 10.0, log=True),
            "max_features": Range(0.3, 1.0),
        }
    if family == "lightgbm":
        return {
            "learning_rate": _RATE,
            "num_leaves": leaves,
            "min_child_samples": leaf,
            "reg_lambda": Range(1e-3, 10.0, log=True),
            "colsample_bytree": Range(0.4, 1.0),
        }
    if family == "xgboost":
        return {
            "learning_rate": _RATE,
            "max_depth": Range(2, 10),
            "min_child_weight": Range(0.5, 50.0, log=True),
            "reg_lambda": Range(1e-2, 20.0, log=True),
            "subsample": Range(0.5, 1.0),
            "colsample_bytree": Range(0.4, 1.0),
        }
    if family == "trees":
        return {"min_samples_leaf": Range(1, 50, log=True), "max_features": Range(0.1, 1.0)}
    return {}


_BY_NAME: Mapping[str, Mapping[str, Range | Options]] = {
    "LogisticRegression": {"C": Range(1e-3, 100.0, log=True)},
    "Ridge": {"alpha": Range(1e-3, 1000.0, log=True)},
    "Lasso": {"alpha": Range(1e-4, 10.0, log=True)},
    "ElasticNet": {"alpha": Range(1e-4, 10.0, log=True), "l1_ratio": Range(0.05, 1.0)},
    "KNeighborsClassifier": {"n_neighbors": Range(3, 100, log=True), "weights": Options(("uniform", "distance"))},
    "KNeighborsRegressor": {"n_neighbors": Range(3, 100, log=True), "weights": Options(("uniform", "distance"))},
    "SGDClassifier": {"alpha": Range(1e-6, 1e-1, log=True)},
}
