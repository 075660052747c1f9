"""How a frame of features becomes the matrix of an estimator: encoders that are fitted inside the artifact.

They are scikit-learn's own, so that whoever loads the model needs nothing of this package. Each feature has one column
of numbers for trees; linear models and the rest get scaled numbers and one column per category.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.trainers.sklearn_estimators import Family
from pipeline_assets.task.spec import Features

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

NUMERIC = "numeric"
EMPTY = "empty"
CATEGORICAL = "categorical"

_HISTOGRAM_CATEGORIES = 255  # limit of HistGradientBoosting; rarer categories share one code
_CATEGORIES = 1000
_RARE = 5  # a category of fewer rows shares its column with the other rare ones in one-hot encoding
_LARGEST = 1e30  # infinite numbers count as very large ones: float32, which trees use, holds it


def encoder(family: Family, estimator: Any, features: Features, empty: Collection[str] = ()) -> "ColumnTransformer":
    """The unfitted encoder of an estimator's input.

    Args:
        family: of the estimator.
        estimator: its tags say whether it takes missing numbers and sparse matrices.
        features: of the task; the frame has a column for each.
        empty: numeric features that are missing in all rows of the fit: HistGradientBoosting cannot take them.

    Returns:
        It gives float64 columns, first those of the numeric features, then those of the categorical ones. Categories
        that the fit has not seen become missing, the code -1, or the column of rare categories.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer

    tags = estimator.__sklearn_tags__().input_tags
    if family in ("linear", "other"):
        sparse = family == "linear" and bool(tags.sparse)
        numeric, categorical = _scaled(sparse=sparse and not features.categorical), _one_hot(sparse=sparse)
    else:
        missing = family != "trees" or bool(tags.allow_nan)
        numeric, categorical = _bounded(missing=missing), _codes(family, estimator, missing=missing)
    filled = [name for name in features.numeric if family == "histogram" and name in empty]
    groups = (
        (NUMERIC, numeric, [name for name in features.numeric if name not in filled]),
        (EMPTY, SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True), filled),
        (CATEGORICAL, categorical, list(features.categorical)),
    )
    return ColumnTransformer([group for group in groups if group[2]], sparse_threshold=1.0)


def sources(fitted: "ColumnTransformer") -> NDArray[np.int64]:
    """The position in ``features.names`` of the feature that each encoded column comes from."""
    position = {name: place for place, name in enumerate(fitted.feature_names_in_)}
    found: list[int] = []
    for group, transformer, names in fitted.transformers_:
        places = [position[name] for name in names] if group in (NUMERIC, EMPTY, CATEGORICAL) else []
        width = _widths(transformer) if group == CATEGORICAL else [1] * len(places)
        found += np.repeat(places, width).astype(int).tolist()
        indicator = _indicator(transformer) if group == NUMERIC else None
        if indicator is not None:
            found += [places[column] for column in indicator.features_]
    return np.array(found, dtype=np.int64)


def categorical_columns(features: Features) -> list[int]:
    """The encoded columns that are codes of categories, where each feature has one column."""
    return list(range(len(features.numeric), len(features.names)))


def _bounded(*, missing: bool) -> Any:
    """Numbers as they are, infinite ones bounded; without missing ones where the estimator takes none."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    bounds = {"a_min": -_LARGEST, "a_max": _LARGEST}
    bounded = FunctionTransformer(np.clip, kw_args=bounds, feature_names_out="one-to-one")
    if missing:
        return bounded
    return make_pipeline(bounded, SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True))


def _codes(family: Family, estimator: Any, *, missing: bool) -> Any:
    from sklearn.preprocessing import OrdinalEncoder

    most = min(_HISTOGRAM_CATEGORIES, estimator.max_bins) if family == "histogram" else _CATEGORIES
    return OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan if missing else -1,
        max_categories=None if family == "trees" else most,
    )


def _scaled(*, sparse: bool) -> Any:
    """Numbers of mean 0 and variance 1; missing and infinite ones at the mean, with a column that says so.

    A sparse matrix is multiplied row by row, so that a prediction does not depend on the rows beside it in the batch;
    a dense one is not.
    """
    from scipy.sparse import csr_matrix
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    nothing = {"nan": np.nan, "posinf": np.nan, "neginf": np.nan}
    steps: list[Any] = [
        FunctionTransformer(np.nan_to_num, kw_args=nothing, feature_names_out="one-to-one"),
        SimpleImputer(add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    ]
    return make_pipeline(*steps, *([FunctionTransformer(csr_matrix, accept_sparse=True)] if sparse else []))


def _one_hot(*, sparse: bool) -> Any:
    from sklearn.preprocessing import OneHotEncoder

    return OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=_RARE, max_categories=_CATEGORIES, sparse_output=sparse
    )


def _indicator(numeric: Any) -> Any:
    """The fitted indicator of missing numbers; ``None`` where there is none."""
    imputer = getattr(numeric, "named_steps", {}).get("simpleimputer")
    return None if imputer is None else imputer.indicator_


def _widths(categorical: Any) -> list[int]:
    """How many encoded columns each categorical feature has."""
    if not hasattr(categorical, "drop_idx_"):  # codes
        return [1] * len(categorical.categories_)
    rare = categorical.infrequent_categories_
    return [
        len(names) - (0 if few is None else len(few) - 1)
        for names, few in zip(categorical.categories_, rare, strict=True)
    ]
