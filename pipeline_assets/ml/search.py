"""A search for a trainer's parameters: fits that the task's metric judges on rows that they have not learned from.

The rows that evaluate the version take no part in it: the stopping rows judge.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline_assets.errors import DataError, PipelineError, TaskError, needs_extra
from pipeline_assets.ml.kinds.base import kind_of, reaches
from pipeline_assets.ml.trainers.base import Options, Range, Searchable, Space, trainer
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.training_spec import Search

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_MINUTE = 60.0
_DIGITS = 4  # of a number that is tried: more would only look exact
_RANDOM = 10  # at most so many trials are drawn at random, before the others follow what is known


@dataclass(frozen=True)
class Trial:
    """One fit of a search.

    Attributes:
        number: from 1. The first trial has the parameters of the task alone.
        of: trials planned.
        parameters: those that the search chose for it.
        metric: of the task.
        value: of the metric on the stopping rows; ``None`` where the fit failed.
        iterations: of the model.
        seconds: that it took.
        problem: why the fit failed.
    """

    number: int
    of: int
    parameters: Mapping[str, Any]
    metric: str
    value: float | None = None
    iterations: int | None = None
    seconds: float = 0.0
    problem: str | None = None


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Attributes:
        best: the trial with the best value; of equal ones, the first.
        trials: all of them in order.
    """

    best: Trial
    trials: tuple[Trial, ...]

    def task(self, task: TaskSpec) -> TaskSpec:
        """The task with the parameters of the best trial."""
        return _with(task, self.best.parameters)


OnTrial = Callable[[Trial], None]


# Fits a task on the training rows: the value of its metric on the stopping rows, and the number of iterations.
Attempt = Callable[[TaskSpec], tuple[float, int]]


def search(task: TaskSpec, how: Search, rows: int, attempt: Attempt, on_trial: OnTrial | None = None) -> Found:
    """Tries parameters; the same task and rows give the same trials, unless the time is up before.

    Args:
        task: parameters that it gives are those of every trial.
        how: the task's ``training.search``.
        rows: number of rows that a trial learns from.
        attempt: one fit with the parameters of the task that it gets.
        on_trial: called after each trial.

    Raises:
        TaskError: the trainer has no parameters to search, or the task gives all of them.
        DataError: no trial could be fitted.
        SettingsError: Optuna is not installed.
    """
    study = _Study(_space(task, rows), task, how)
    trials: list[Trial] = []
    end = None if how.timeout_minutes is None else time.monotonic() + how.timeout_minutes * _MINUTE
    for number in range(1, how.trials + 1):
        if trials and end is not None and time.monotonic() > end:
            break
        parameters = study.next() if trials else {}
        trial = _tried(task, attempt, Trial(number, how.trials, parameters, task.training.metric))
        study.learn(trial)
        trials.append(trial)
        if on_trial is not None:
            on_trial(trial)
    return Found(_best(task, trials), tuple(trials))


class _Study:
    """What to try next: the tree-structured Parzen estimator of Optuna (Bergstra et al. 2011)."""

    def __init__(self, space: Space, task: TaskSpec, how: Search) -> None:
        with needs_extra("search", "training.search"):
            import optuna
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        greater = kind_of(task).metrics[task.training.metric]
        random = max(1, min(_RANDOM, how.trials // 2))
        sampler = optuna.samplers.TPESampler(seed=task.training.seed, n_startup_trials=random)
        self._study = optuna.create_study(direction="maximize" if greater else "minimize", sampler=sampler)
        self._distributions = {name: _distribution(values) for name, values in space.items()}
        self._asked: Any = None

    def next(self) -> dict[str, Any]:
        """Parameters for the next trial."""
        self._asked = self._study.ask(self._distributions)
        return {name: _short(value) for name, value in self._asked.params.items()}

    def learn(self, trial: Trial) -> None:
        """Takes the outcome of the parameters that were given last."""
        from optuna.trial import TrialState

        if self._asked is None:
            return
        if trial.value is None:
            self._study.tell(self._asked, state=TrialState.FAIL)
        else:
            self._study.tell(self._asked, trial.value)
        self._asked = None


def _space(task: TaskSpec, rows: int) -> Space:
    package = trainer(task.training.package)
    space = package.space(task, rows) if isinstance(package, Searchable) else {}
    if not space:
        raise TaskError(
            "training.search finds no parameters to try",
            task=task.name,
            found=f"package {task.training.package} with training.parameters: {dict(task.training.parameters)}",
            do="remove training.search, or parameters that it could try",
        )
    return space


def _tried(task: TaskSpec, attempt: Attempt, trial: Trial) -> Trial:
    begun = time.monotonic()
    try:
        value, iterations = attempt(_with(task, trial.parameters))
    except PipelineError as error:
        return replace(trial, seconds=time.monotonic() - begun, problem=str(error))
    return replace(trial, value=value, iterations=iterations, seconds=time.monotonic() - begun)


def _best(task: TaskSpec, trials: list[Trial]) -> Trial:
    best: Trial | None = None
    kind, metric = kind_of(task), task.training.metric
    for trial in trials:
        if trial.value is None:
            continue
        if best is None or best.value is None or not reaches(kind, metric, best.value, trial.value):
            best = trial
    if best is None:
        raise DataError(
            "no trial of the search could be fitted",
            task=task.name,
            found=f"{len(trials)} trials; the first: {trials[0].problem}",
        )
    return best


def _with(task: TaskSpec, parameters: Mapping[str, Any]) -> TaskSpec:
    training = task.training.model_copy(update={"parameters": {**task.training.parameters, **parameters}})
    return task.model_copy(update={"training": training})


def _distribution(values: Range | Options) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Options):
        return CategoricalDistribution(values.values)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _short(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
