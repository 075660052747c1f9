"""The estimators that the trainer ``sklearn`` fits: found by import path, and the parameters that a task may give them.

``training.parameters.estimator`` is the path, such as ``sklearn.linear_model.LogisticRegression``; the other parameters
are the estimator's own. Estimators fall into families, which differ in what they take as input and how a fit stops.
"""

import difflib
import importlib
import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pipeline_assets.errors import TaskError

ESTIMATOR = "estimator"

# boosters: ``histogram`` (scikit-learn's own), ``lightgbm``, ``xgboost``; their stopping rows find the iterations.
# trees: forests and other trees of scikit-learn. linear: scikit-learn's linear models. other: anything else.
Family = Literal["histogram", "lightgbm", "xgboost", "trees", "linear", "other"]

DEFAULTS: Mapping[str, str] = {
    "binary": "sklearn.ensemble.HistGradientBoostingClassifier",
    "multiclass": "sklearn.ensemble.HistGradientBoostingClassifier",
    "regression": "sklearn.ensemble.HistGradientBoostingRegressor",
}
# The parameter with the number of iterations; a fit plans so many unless the task says otherwise, and stops early.
ITERATIONS: Mapping[Family, str] = {"histogram": "max_iter", "lightgbm": "n_estimators", "xgboost": "n_estimators"}
PLANNED_ITERATIONS = 1000
_EXTRAS = ("lightgbm", "xgboost")  # an extra of this package has the name of the package that it installs

_STOPPING = "training.early_stopping_rounds sets it"
_LOG = "leave it out: progress goes to the log of the run"
_FEATURES = "the task's features set it"
_REFUSED = {
    **dict.fromkeys(("random_state", "seed"), "training.seed sets it"),
    **dict.fromkeys(("n_jobs", "nthread", "num_threads"), "training.threads sets it"),
    **dict.fromkeys(("verbose", "verbosity", "silent"), _LOG),
    "warm_start": "leave it out: a fit starts from nothing, so that it can be repeated",
}
_REFUSED_BY: Mapping[Family, Mapping[str, str]] = {
    "histogram": {
        **dict.fromkeys(("early_stopping", "n_iter_no_change", "tol"), _STOPPING),
        "validation_fraction": "training.validation sets it",
        "scoring": "training.metric sets it",
        "categorical_features": _FEATURES,
    },
    "xgboost": {
        "early_stopping_rounds": _STOPPING,
        "eval_metric": "training.metric sets it",
        "callbacks": _LOG,
        **dict.fromkeys(("feature_types", "enable_categorical", "missing"), _FEATURES),
        "device": "leave it out: a fit can be repeated on the CPU only",
    },
}
# What LightGBM and XGBoost take beside the arguments of their classes.
_MORE: Mapping[Family, str] = {
    "lightgbm": "max_bin min_data_in_bin min_data_per_group max_cat_threshold max_cat_to_onehot cat_l2 cat_smooth "
    "extra_trees path_smooth feature_fraction_bynode max_delta_step linear_tree linear_lambda monotone_constraints "
    "monotone_constraints_method monotone_penalty interaction_constraints scale_pos_weight is_unbalance "
    "boost_from_average alpha fair_c poisson_max_delta_step tweedie_variance_power top_rate other_rate",
    "xgboost": "tweedie_variance_power huber_slope quantile_alpha max_cached_hist_node lambdarank_pair_method",
}


class _Missing(Exception):  # noqa: N818 - the sentence of a problem, which `problems` returns
    """Why there is no estimator of a path."""


def path_of(parameters: Mapping[str, Any], objective: str) -> str:
    """The estimator's path: the task's own, or the default for the objective."""
    return str(parameters.get(ESTIMATOR, DEFAULTS[objective]))


def own_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are the estimator's."""
    return {name: value for name, value in parameters.items() if name != ESTIMATOR}


def estimator_class(path: str) -> type[Any]:
    """The class of a path.

    Raises:
        TaskError: there is none, or the package is not installed.
    """
    try:
        return _class(path)
    except _Missing as missing:
        raise TaskError("there is no such estimator", found=path, expected=str(missing)) from missing


def family_of(estimator: type[Any]) -> Family:
    """The family of an estimator's class or of one that it inherits from."""
    for base in estimator.__mro__:
        package = base.__module__.partition(".")[0]
        if package == "lightgbm":
            return "lightgbm"
        if package == "xgboost":
            return "xgboost"
        if base.__module__.startswith("sklearn.ensemble._hist_gradient_boosting"):
            return "histogram"
        if base.__module__.startswith(("sklearn.tree", "sklearn.ensemble._forest", "sklearn.ensemble._gb")):
            return "trees"
        if base.__module__.startswith("sklearn.linear_model"):
            return "linear"
    return "other"


@cache
def parameter_names(path: str) -> frozenset[str]:
    """The names of the parameters that an estimator takes.

    Raises:
        TaskError: as :func:`estimator_class`.
    """
    found = estimator_class(path)
    arguments = inspect.signature(found).parameters.values()
    names = {each.name for each in arguments if each.kind is not inspect.Parameter.VAR_KEYWORD}
    if all(each.default is not inspect.Parameter.empty for each in arguments if each.name in names):
        names |= set(found().get_params(deep=False))
    return frozenset({*names, *_MORE.get(family_of(found), "").split()})


def fixed(path: str, seed: int, threads: int) -> dict[str, Any]:
    """Seed and threads, where the estimator takes them.

    Linear models get no threads: they calculate in one, and LogisticRegression warns of a parameter without effect.
    """
    values = {"random_state": seed}
    if family_of(estimator_class(path)) != "linear":
        values["n_jobs"] = threads
    return {name: value for name, value in values.items() if name in parameter_names(path)}


def problems(parameters: Mapping[str, Any], objective: str) -> dict[str, str]:
    """What is wrong with each parameter, by name, as far as it can be said without a fit.

    The estimator's package is imported only where a parameter has to be compared with it.
    """
    if not parameters:
        return {}
    path = parameters.get(ESTIMATOR, DEFAULTS[objective])
    if not isinstance(path, str):
        return {ESTIMATOR: "is no import path such as sklearn.ensemble.RandomForestClassifier"}
    try:
        found = _class(path)
    except _Missing as missing:
        return {ESTIMATOR: str(missing)}
    misfit = _misfit(found, objective)
    named = {ESTIMATOR: misfit} if misfit else {}
    for name, value in own_parameters(parameters).items():
        if sentence := _problem(path, name, value):
            named[name] = sentence
    return named


def _class(path: str) -> type[Any]:
    module, _, name = path.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as missing:
        if missing.name in _EXTRAS:
            raise _Missing(f"{path} is not installed; pip install 'pipeline-assets[{missing.name}]'") from missing
        raise _Missing(f"{path} cannot be imported: {missing}") from missing
    except (ImportError, ValueError) as error:
        raise _Missing(f"{path} cannot be imported: {error}") from error
    except AttributeError as error:
        public = [each for each in dir(importlib.import_module(module)) if not each.startswith("_")]
        raise _Missing(f"{module} has no {name}{_near(name, public)}") from error
    if not isinstance(found, type) or not hasattr(found, "fit") or not hasattr(found, "get_params"):
        raise _Missing(f"{path} is no scikit-learn estimator")
    return found


def _misfit(found: type[Any], objective: str) -> str | None:
    """Why an estimator does not fit a kind of target."""
    from sklearn.base import ClassifierMixin, RegressorMixin

    wanted, kind = (RegressorMixin, "regressor") if objective == "regression" else (ClassifierMixin, "classifier")
    if not issubclass(found, wanted):
        return f"{found.__name__} is no {kind}, which a target of kind {objective} needs"
    if objective != "regression" and "predict_proba" not in dir(found):
        return f"{found.__name__} gives no probabilities (it has no predict_proba), which the task's scores are"
    return None


def _problem(path: str, name: str, value: Any) -> str | None:
    family = family_of(_class(path))
    why = _REFUSED.get(name) or _REFUSED_BY.get(family, {}).get(name)
    if why is not None:
        return f"training.parameters may not set {name}: {why}"
    known = parameter_names(path)
    if name not in known:
        allowed = sorted(known - {*_REFUSED, *_REFUSED_BY.get(family, {})})
        return f"{path.rpartition('.')[2]} knows no such parameter{_near(name, allowed)}"
    whole = isinstance(value, int) and not isinstance(value, bool)
    if name == ITERATIONS.get(family) and not (whole and value >= 1):
        return f"training.parameters.{name} is no number of iterations: a whole number, at least 1"
    return None


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean: {near[0]}?" if near else ""
