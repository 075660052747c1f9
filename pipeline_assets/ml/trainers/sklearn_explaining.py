"""What a feature does in a fitted pipeline of scikit-learn: its contribution to a score, and its importance."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.trainers.sklearn_estimators import Family, family_of

if TYPE_CHECKING:
    import pandas as pd

_SAMPLE = 5000
_REPEATS, _MANY_FEATURES = 3, 100  # of many features each is shuffled once: a wide table would take minutes
_TINY = 1e-15
# Linear models whose score is the sum of weighted columns: log-odds, or the label itself.
_ADDITIVE = frozenset(
    {
        *("LogisticRegression", "LogisticRegressionCV", "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV"),
        *("ElasticNet", "ElasticNetCV", "BayesianRidge", "ARDRegression", "HuberRegressor", "QuantileRegressor"),
    }
)

# Objectives of LightGBM and XGBoost whose score is the logarithm of the prediction.
_LOGARITHMIC = ("poisson", "gamma", "tweedie")


def explains(estimator: Any) -> bool:
    """Whether :func:`contributions` can explain a fitted estimator."""
    family = family_of(type(estimator))
    if family == "linear":
        return type(estimator).__name__ in _ADDITIVE
    parameters = estimator.get_params(deep=False)
    logarithmic = any(word in str(parameters.get("objective")) for word in _LOGARITHMIC)
    return family in ("lightgbm", "xgboost") and parameters.get("booster") != "gblinear" and not logarithmic


def contributions(estimator: Any, values: Any, means: NDArray[np.float64] | None, of: int) -> NDArray[np.float64]:
    """What each encoded column adds to a row's score, shape (rows, columns + 1); the last one is the base.

    Args:
        estimator: that :func:`explains` knows.
        values: encoded rows.
        means: of the encoded columns of the rows that a linear model learned from.
        of: position of the class, where there are more than two; otherwise the score is that of the second class.
    """
    family = family_of(type(estimator))
    if family == "lightgbm":
        shares = np.asarray(estimator.predict(values, pred_contrib=True), dtype=np.float64)
        several = shares.shape[1] != values.shape[1] + 1
        return _of_class(shares.reshape(len(shares), -1, values.shape[1] + 1), of) if several else shares
    if family == "xgboost":
        import xgboost

        types = estimator.feature_types
        matrix = xgboost.DMatrix(values, feature_types=types, enable_categorical=True)
        shares = np.asarray(estimator.get_booster().predict(matrix, pred_contribs=True), dtype=np.float64)
        return _of_class(shares, of) if shares.ndim > 2 else shares  # noqa: PLR2004 - rows, classes, columns
    return _linear(estimator, values, means, of)


def importance(
    family: Family, estimator: Any, values: Any, sources: NDArray[np.int64], features: int
) -> NDArray[np.float64] | None:
    """The importance of each feature as the estimator has it, not below 0; ``None`` where it has none.

    Args:
        family: of the estimator.
        estimator: fitted.
        values: encoded rows that it learned from.
        sources: for each encoded column, the position of its feature.
        features: how many there are.
    """
    if family == "lightgbm":
        columns = np.asarray(estimator.booster_.feature_importance(importance_type="gain"))
    elif hasattr(estimator, "feature_importances_"):
        columns = np.asarray(estimator.feature_importances_)
    elif hasattr(estimator, "coef_") and np.ndim(estimator.coef_) > 0:
        mean = np.asarray(values.mean(axis=0)).ravel()
        square = np.asarray((values.multiply(values) if hasattr(values, "multiply") else values**2).mean(axis=0))
        spread = np.sqrt(np.maximum(square.ravel() - mean**2, 0))
        columns = np.abs(np.atleast_2d(estimator.coef_)).mean(axis=0) * spread
    else:
        return None
    return np.bincount(sources, weights=np.nan_to_num(columns), minlength=features).astype(np.float64)


def permutation_importance(
    loss: Callable[["pd.DataFrame", NDArray[np.int64]], float], frame: "pd.DataFrame", seed: int
) -> NDArray[np.float64]:
    """By how much the loss grows where one feature is shuffled, not below 0; on a sample of the rows.

    Args:
        loss: of some rows of the frame, which come with their positions.
        frame: rows that the model has not learned from.
        seed: of the shuffles.
    """
    positions = np.unique(np.linspace(0, len(frame) - 1, min(_SAMPLE, len(frame))).astype(np.int64))
    sample = frame.iloc[positions]
    rng = np.random.default_rng(seed)
    plain = loss(sample, positions)
    grown = []
    for name in frame.columns:
        losses = []
        for _ in range(_REPEATS if frame.shape[1] < _MANY_FEATURES else 1):
            shuffled = sample[name].take(rng.permutation(len(sample))).set_axis(sample.index)
            losses.append(loss(sample.assign(**{name: shuffled}), positions))
        grown.append(max(0.0, float(np.mean(losses)) - plain))
    return np.array(grown)


def shares(names: tuple[str, ...], values: NDArray[np.float64]) -> dict[str, float]:
    """Values as percent of their sum by name, largest first; equal ones where there is no sum."""
    total = float(values.sum())
    percent = values * (100 / total) if total > 0 else np.full(len(names), 100 / len(names))
    return dict(sorted(zip(names, percent.tolist(), strict=True), key=lambda item: -item[1]))


def loss_of(label: NDArray[Any], output: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
    """Log loss of probabilities, or root of the mean squared error where labels are floating.

    Args:
        label: one per row: 0 or 1, positions of columns of ``output``, or numbers.
        output: shape (rows,) or (rows, classes).
        weight: one per row, or ``None``.
    """
    if np.issubdtype(label.dtype, np.floating):
        return float(np.sqrt(np.average((label - output) ** 2, weights=weight)))
    own = output[np.arange(len(label)), label] if output.ndim > 1 else np.where(label == 1, output, 1 - output)
    return float(-np.average(np.log(np.clip(own, _TINY, 1)), weights=weight))


def by_feature(columns: NDArray[np.float64], sources: NDArray[np.int64], features: int) -> NDArray[np.float64]:
    """Contributions of encoded columns, the base last, summed by feature: shape (rows, features + 1)."""
    summed = np.zeros((len(columns), features + 1))
    np.add.at(summed.T, sources, columns[:, :-1].T)
    summed[:, -1] = columns[:, -1]
    return summed


def _of_class(values: NDArray[np.float64], of: int) -> NDArray[np.float64]:
    return np.ascontiguousarray(values[:, of])


def _linear(estimator: Any, values: Any, means: NDArray[np.float64] | None, of: int) -> NDArray[np.float64]:
    weights = np.atleast_2d(estimator.coef_)
    base = np.atleast_1d(estimator.intercept_)
    own = weights[of] if len(weights) > 1 else weights[0]
    dense = np.asarray(values.todense()) if hasattr(values, "todense") else np.asarray(values)
    middle = np.zeros(dense.shape[1]) if means is None else means
    constant = (base[of] if len(base) > 1 else base[0]) + float(own @ middle)
    return np.column_stack([(dense - middle) * own, np.full(len(dense), constant)])
