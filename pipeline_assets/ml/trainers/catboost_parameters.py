"""CatBoost's training parameters, and which of them the task may not set. Does not import CatBoost."""

import difflib
from collections.abc import Mapping
from typing import Any

from pipeline_assets.ml.trainers.base import Range, Space

ITERATIONS = ("iterations", "n_estimators", "num_boost_round", "num_trees")
LEARNING_RATES = ("learning_rate", "eta")
LOSS_NAMES = ("loss_function", "objective")
LOSSES: Mapping[str, tuple[str, ...]] = {
    "binary": ("Logloss", "CrossEntropy", "Focal"),
    "multiclass": ("MultiClass",),
    "regression": (
        *("RMSE", "MAE", "Quantile", "MAPE", "Lq", "Huber", "Expectile", "LogCosh"),
        # Their model is the logarithm of the prediction.
        *("Poisson", "Tweedie"),
    ),
}
EXPONENTIAL = ("Poisson", "Tweedie")

# Parameters of CatBoostClassifier, listed here because importing CatBoost takes seconds; a test compares them.
_NAMES = (
    "iterations learning_rate depth l2_leaf_reg model_size_reg rsm loss_function border_count feature_border_type "
    "per_float_feature_quantization input_borders output_borders fold_permutation_block od_pval od_wait od_type "
    "nan_mode counter_calc_method leaf_estimation_iterations leaf_estimation_method thread_count random_seed "
    "use_best_model best_model_min_trees verbose silent logging_level metric_period ctr_leaf_count_limit "
    "store_all_simple_ctr max_ctr_complexity has_time allow_const_label target_border classes_count class_weights "
    "auto_class_weights class_names one_hot_max_size random_strength random_score_type name ignored_features "
    "train_dir custom_loss custom_metric eval_metric bagging_temperature save_snapshot snapshot_file "
    "snapshot_interval fold_len_multiplier used_ram_limit gpu_ram_part pinned_memory_size allow_writing_files "
    "final_ctr_computation_mode approx_on_full_history boosting_type simple_ctr combinations_ctr per_feature_ctr "
    "ctr_description ctr_target_border_count task_type device_config devices bootstrap_type subsample mvs_reg "
    "sampling_unit sampling_frequency dev_score_calc_obj_block_size dev_efb_max_buckets "
    "sparse_features_conflict_fraction max_depth n_estimators num_boost_round num_trees colsample_bylevel "
    "random_state reg_lambda objective eta max_bin scale_pos_weight gpu_cat_features_storage data_partition "
    "metadata early_stopping_rounds cat_features grow_policy min_data_in_leaf min_child_samples max_leaves "
    "num_leaves score_function leaf_estimation_backtracking ctr_history_unit monotone_constraints feature_weights "
    "penalties_coefficient first_feature_use_penalties per_object_feature_penalties model_shrink_rate "
    "model_shrink_mode langevin diffusion_temperature posterior_sampling boost_from_average text_features "
    "tokenizers dictionaries feature_calcers text_processing embedding_features callback eval_fraction "
    "fixed_binary_splits "
)
KNOWN = frozenset(_NAMES.split())

_SEED = "training.seed sets it"
_STOPPING = "training.early_stopping_rounds sets it"
_FEATURES = "the task's features set it"
_FILES = "leave it out: a fit writes no files, MLflow keeps what comes of it"
_CPU = "leave it out: a fit can be repeated on the CPU only"
_LOG = "leave it out: progress goes to the log of the run"
_TARGET = "the task's target sets it"
REFUSED = {
    "random_seed": _SEED,
    "random_state": _SEED,
    "thread_count": "training.threads sets it",
    "eval_metric": "training.metric sets it",
    "eval_fraction": "training.validation sets it",
    "early_stopping_rounds": _STOPPING,
    "od_type": _STOPPING,
    "od_wait": _STOPPING,
    "od_pval": _STOPPING,
    "use_best_model": "leave it out: the model is always that of its best iteration",
    "cat_features": _FEATURES,
    "text_features": _FEATURES,
    "embedding_features": _FEATURES,
    "class_names": _TARGET,
    "classes_count": _TARGET,
    "target_border": _TARGET,
    "allow_const_label": _TARGET,
    "allow_writing_files": _FILES,
    "train_dir": _FILES,
    "save_snapshot": _FILES,
    "snapshot_file": _FILES,
    "snapshot_interval": _FILES,
    "input_borders": _FILES,
    "output_borders": _FILES,
    "devices": _CPU,
    "device_config": _CPU,
    "verbose": _LOG,
    "silent": _LOG,
    "logging_level": _LOG,
    "metric_period": _LOG,
    "callback": _LOG,
}


# What CatBoostRegressor does not have.
CLASSES_ONLY = frozenset({"class_weights", "auto_class_weights", "scale_pos_weight", "custom_loss"})


def loss_of(parameters: Mapping[str, Any], objective: str) -> str:
    """The loss function that a fit has, with its own parameters as in ``Huber:delta=2``."""
    return str(next((parameters[name] for name in LOSS_NAMES if name in parameters), LOSSES[objective][0]))


def problems(parameters: Mapping[str, Any], objective: str) -> dict[str, str]:
    """What is wrong with each parameter, by name, as far as it can be checked without CatBoost.

    CatBoost itself accepts some of the refused ones, but then a training could not be repeated exactly.
    """
    found = {}
    for name, value in parameters.items():
        if sentence := _problem(name, value, objective):
            found[name] = sentence
    return found


def _problem(name: str, value: Any, objective: str) -> str | None:
    if name in REFUSED:
        return f"training.parameters may not set {name}: {REFUSED[name]}"
    if name not in KNOWN:
        near = difflib.get_close_matches(name, KNOWN - set(REFUSED), n=1, cutoff=0.5)
        hint = f"; did you mean: {near[0]}?" if near else ""
        return f"CatBoost knows no such training parameter{hint}"
    if name in CLASSES_ONLY and objective == "regression":
        return f"training.parameters may not set {name}: a target of kind regression has no classes"
    return _value_problem(name, value, objective)


def _value_problem(name: str, value: Any, objective: str) -> str | None:
    if name in ITERATIONS and (not isinstance(value, int) or value < 1):
        return f"training.parameters.{name} is no number of iterations: a whole number, at least 1"
    if name == "task_type" and str(value).upper() != "CPU":
        return f"training.parameters may not set task_type: {_CPU}"
    if name in LOSS_NAMES and str(value).partition(":")[0] not in LOSSES[objective]:
        return f"{name} does not fit a target of kind {objective}; there are {', '.join(LOSSES[objective])}"
    return None


# Parameters worth trying, with their other names: a task that gives one of them has chosen.
_SEARCHED: Mapping[tuple[str, ...], Range] = {
    ("depth", "max_depth"): Range(3, 10),
    LEARNING_RATES: Range(0.02, 0.3, log=True),
    ("l2_leaf_reg", "reg_lambda"): Range(1.0, 30.0, log=True),
    ("random_strength",): Range(0.1, 10.0, log=True),
    ("rsm", "colsample_bylevel"): Range(0.4, 1.0),
}


def space(given: Mapping[str, Any]) -> Space:
    """The parameters that a search may try beside those that the task gives."""
    return {names[0]: values for names, values in _SEARCHED.items() if not set(names) & set(given)}
