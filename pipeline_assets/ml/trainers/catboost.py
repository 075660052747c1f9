"""CatBoost behind the trainer's interface: categories as they are, early stopping, repeatable on the CPU."""

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers.base import Fit, OnProgress, Progress
from pipeline_assets.task.spec import Metric, TaskSpec

if TYPE_CHECKING:
    import pandas as pd
    from catboost import CatBoostClassifier, Pool

_ITERATIONS = ("iterations", "n_estimators", "num_boost_round", "num_trees")
_DEFAULT_ITERATIONS = 1000
_REPORTS = 20  # progress reports a fit, about

# The metric that stops the fit early. CatBoost leaves out the training side's AUC unless told otherwise: it
# costs a third of the fit's time. The log loss, free on both sides of every fit, shows overfitting as well.
_EVAL_METRIC: dict[Metric, str] = {
    "roc_auc": "AUC",
    "average_precision": "PRAUC",
    "log_loss": "Logloss",
    "brier_score": "BrierScore",
}
_SIDES = {"learn": "training", "validation": "validation"}
_BINARY_LOSSES = ("Logloss", "CrossEntropy", "Focal")

_SEED = "training.seed sets it"
_STOPPING = "training.early_stopping_rounds sets it"
_FEATURES = "the task's features set it"
_FILES = "leave it out: a fit writes no files, MLflow keeps what comes of it"
_CPU = "leave it out: a fit can be repeated on the CPU only"
_LOG = "leave it out: progress goes to the log of the run"
_TARGET = "the task's target sets it"
_REFUSED = {
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


@dataclass(frozen=True)
class CatBoostModel:
    """A fitted CatBoost classifier of label 1 against label 0."""

    native: "CatBoostClassifier"
    package: str = "catboost"

    def probability(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Probability of label 1, a value a row."""
        return np.ascontiguousarray(self.native.predict_proba(frame)[:, 1])

    def contributions(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Exact SHAP values in log-odds, shape (rows, features + 1), the base last (Lundberg et al. 2018)."""
        categorical = [self.native.feature_names_[index] for index in self.native.get_cat_feature_indices()]
        pool = _pool(frame, None, categorical)
        return np.asarray(self.native.get_feature_importance(pool, type="ShapValues"))


class CatBoostTrainer:
    """Fits CatBoost classifiers; see :class:`pipeline_assets.ml.trainers.base.Trainer`."""

    def check(self, task: TaskSpec) -> None:
        """Refuses what the task may not set, then lets CatBoost itself fit one tree to a few made-up rows."""
        import catboost

        _check_names(task)
        toy = _toy_rows(task)
        parameters = _parameters(task)
        parameters.update({name: 1 for name in _ITERATIONS if name in parameters})
        try:
            model = catboost.CatBoostClassifier(**parameters)
            model.fit(_pool_of(toy, task), eval_set=_pool_of(toy, task))
        except catboost.CatBoostError as error:
            raise _refusal(task, error) from error

    def fit(
        self,
        task: TaskSpec,
        training: LabelledRows,
        validation: LabelledRows,
        on_progress: OnProgress | None = None,
    ) -> Fit:
        """Fits with early stopping on the validation rows and keeps the best iteration."""
        import catboost

        self.check(task)
        parameters = _parameters(task)
        planned = next(int(parameters[name]) for name in _ITERATIONS if name in parameters)
        reports = None if on_progress is None else _Reports(on_progress, planned)
        try:
            model = catboost.CatBoostClassifier(**parameters)
            model.fit(
                _pool_of(training, task),
                eval_set=_pool_of(validation, task),
                early_stopping_rounds=task.training.early_stopping_rounds,
                callbacks=None if reports is None else [reports],
            )
        except catboost.CatBoostError as error:
            raise DataError("CatBoost cannot learn from these rows", task=task.name, found=_words(error)) from error
        if reports is not None and reports.raised is not None:
            raise reports.raised
        curves = {_SIDES[side]: scores for side, scores in model.get_evals_result().items()}
        importance = zip(model.feature_names_, model.get_feature_importance().tolist(), strict=True)
        return Fit(
            model=CatBoostModel(model),
            parameters={**model.get_all_params(), "thread_count": task.training.threads},
            curves=curves,
            importance=dict(sorted(importance, key=lambda item: -item[1])),
            iterations=len(next(iter(curves["validation"].values()))),
            best_iteration=model.best_iteration_,
        )

    def restore(self, native: Any) -> CatBoostModel:
        """The model around a classifier that MLflow loaded."""
        return CatBoostModel(native)


class _Reports:
    """CatBoost's callback: passes on every so many iterations, so that a log has lines, not pages."""

    def __init__(self, on_progress: OnProgress, iterations: int) -> None:
        self._on_progress = on_progress
        self._iterations = iterations
        self._every = max(1, iterations // _REPORTS)
        self.raised: BaseException | None = None

    def after_iteration(self, info: Any) -> bool:
        """Called by CatBoost; ``True`` lets the fit go on."""
        if info.iteration % self._every == 0 or info.iteration == self._iterations:
            scores = {
                f"{_SIDES[side]}/{name}": values[-1]
                for side, curves in info.metrics.items()
                for name, values in curves.items()
            }
            try:
                self._on_progress(Progress(info.iteration, self._iterations, scores))
            except BaseException as error:  # noqa: BLE001 - fit() raises it again: in CatBoost's C++ its kind is lost
                self.raised = error
        return self.raised is None


def _parameters(task: TaskSpec) -> dict[str, Any]:
    given = task.training.parameters
    iterations = {} if any(name in given for name in _ITERATIONS) else {"iterations": _DEFAULT_ITERATIONS}
    return {
        **iterations,
        **given,
        "eval_metric": _EVAL_METRIC[task.training.metric],
        "random_seed": task.training.seed,
        "thread_count": task.training.threads,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }


def _check_names(task: TaskSpec) -> None:
    """By name, before CatBoost is asked: it would take some of these, and the model could not be repeated."""
    import inspect

    import catboost

    given = task.training.parameters
    known = set(inspect.signature(catboost.CatBoostClassifier.__init__).parameters) - {"self"}
    for name in given:
        if name in _REFUSED:
            raise TaskError(f"training.parameters may not set {name}", task=task.name, do=_REFUSED[name])
        if name not in known:
            near = difflib.get_close_matches(name, known - set(_REFUSED), n=3, cutoff=0.5)
            raise TaskError(
                "CatBoost knows no such training parameter",
                task=task.name,
                found=name,
                available=near or None,
                do="see CatBoost's training parameters",
            )
    for name in _ITERATIONS:
        if not isinstance(given.get(name, 1), int) or given.get(name, 1) < 1:
            raise TaskError(
                f"training.parameters.{name} is no number of iterations",
                task=task.name,
                found=given[name],
                expected="a whole number, at least 1",
            )
    if str(given.get("task_type", "CPU")).upper() != "CPU":
        raise TaskError("training.parameters may not set task_type", task=task.name, do=_CPU)
    for name in ("loss_function", "objective"):
        loss = given.get(name)
        if loss is not None and str(loss).partition(":")[0] not in _BINARY_LOSSES:
            raise TaskError(
                f"{name} does not fit a target of kind {task.target.kind}",
                task=task.name,
                found=loss,
                available=_BINARY_LOSSES,
            )


def _toy_rows(task: TaskSpec) -> LabelledRows:
    """Made-up rows with the task's columns: enough to find out what CatBoost says to the parameters."""
    import pandas as pd

    count = 64
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {name: rng.normal(size=count) for name in task.features.numeric}
    letters = pd.Index(["a", "b", "c"])
    for name in task.features.categorical:
        columns[name] = pd.Categorical.from_codes(rng.integers(0, len(letters), count), letters)
    return LabelledRows(features=pd.DataFrame(columns), label=(np.arange(count) % 2).astype(np.int8))


def _pool_of(rows: LabelledRows, task: TaskSpec) -> "Pool":
    return _pool(rows.features, rows.label, list(task.features.categorical))


def _pool(frame: "pd.DataFrame", label: NDArray[np.int8] | None, categorical: list[str]) -> "Pool":
    import catboost

    return catboost.Pool(frame, label, cat_features=categorical)


def _refusal(task: TaskSpec, error: Exception) -> TaskError:
    words = _words(error)
    named = [name for name in task.training.parameters if re.search(rf"\b{re.escape(name)}\b", words)]
    given = {name: task.training.parameters[name] for name in named or task.training.parameters}
    return TaskError(
        "CatBoost refuses the training parameters",
        task=task.name,
        found=", ".join(f"{name}: {value}" for name, value in given.items()),
        expected=words,
    )


def _words(error: Exception) -> str:
    """CatBoost's message without the place in its source."""
    return re.sub(r"^\S+\.(?:cpp|h):\d+:\s*", "", str(error)).strip()
