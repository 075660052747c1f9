"""Chooses the model version that predicts, by the task's algorithm, and records each choice."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from pipeline_assets.errors import SelectionError
from pipeline_assets.ml.kinds.base import best, gain, kind_of, reaches
from pipeline_assets.ml.prediction import HALF
from pipeline_assets.ml.reasons import Reason
from pipeline_assets.ml.split import SplitRule
from pipeline_assets.task.fingerprints import Slice
from pipeline_assets.task.spec import Features, Stage, TaskSpec

# A version predicts only if features and target are defined exactly as when it was fitted.
MUST_AGREE: tuple[Slice, ...] = ("features", "target")

FeatureKind = Literal["numeric", "categorical"]
FeatureColumns = tuple[tuple[str, FeatureKind], ...]


def feature_columns(features: Features) -> FeatureColumns:
    """Names and kinds of the features in the order of the model's input: a version must have the same."""
    return (
        *((name, "numeric") for name in features.numeric),
        *((name, "categorical") for name in features.categorical),
    )


@dataclass(frozen=True)
class Candidate:
    """A registered version, from the registry.

    Attributes:
        version: its number; later is newer.
        run_id: the MLflow run that made it.
        ready: its registration was finished.
        features: the columns it was fitted on; ``None`` if unknown.
        metrics: on its own validation rows.
        created: when, with a time zone.
        champion: whether it has the alias.
        fingerprints: of the task that made it, by slice; ``None`` if unknown.
        split: the rule that divided its batch; ``None`` if unknown.
        dagster_run: the Dagster run that made it; ``None`` if unknown.
        package: the trainer's name; ``None`` if unknown.
        threshold: of a binary version; 0.5 for those of former code.
    """

    version: int
    run_id: str
    ready: bool
    features: FeatureColumns | None
    metrics: Mapping[str, float]
    created: datetime
    champion: bool = False
    fingerprints: Mapping[str, str] | None = None
    split: SplitRule | None = None
    dagster_run: str | None = None
    package: str | None = None
    threshold: float = HALF


@dataclass(frozen=True)
class JudgedOn:
    """The rows on which champion and challenger were compared.

    Attributes:
        rows: how many.
        learned: how many of them fitted or stopped the champion, or may have done so.
        sentence: what they are, for the record of choice.
    """

    rows: int
    learned: int
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """Scores on the same set of rows.

    Attributes:
        challenger: the version just trained.
        scores: metrics by version: the challenger's and, if the champion can predict, the champion's.
        judged_on: the rows; ``None`` where there was no champion to compare with.
    """

    challenger: int
    scores: Mapping[int, Mapping[str, float]]
    judged_on: JudgedOn | None = None


@dataclass(frozen=True)
class EvaluatedCandidate:
    """A candidate in a record of choice.

    Attributes:
        reason: why it cannot predict; ``None`` if it can.
        same_rows: its metric on the rows of the comparison; ``None`` if it was not compared.
        threshold: of a binary version.
        package: the trainer's name; ``None`` if unknown.
    """

    version: int
    run_id: str
    created: str
    metrics: dict[str, float]
    reason: Reason | None
    same_rows: float | None = None
    threshold: float = HALF
    package: str | None = None

    @property
    def eligible(self) -> bool:
        """Whether it can predict."""
        return self.reason is None

    @property
    def why_not(self) -> str | None:
        """Why it cannot predict, as a sentence; ``None`` if it can."""
        return None if self.reason is None else self.reason.sentence

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "version": self.version,
            "package": self.package,
            "run_id": self.run_id,
            "created": self.created,
            "metrics": self.metrics,
            "why_not": self.why_not,
            "why_not_reason": None if self.reason is None else self.reason.to_json(),
            "same_rows": self.same_rows,
            "eligible": self.eligible,
        }


@dataclass(frozen=True)
class Choice:
    """A record of choice.

    Attributes:
        stage: of the run that chose.
        minimum_gain: that a challenger needs, in the metric's unit.
        winner: the version that predicts.
        previous: the version that had the alias before.
        gain: of the challenger over the champion on the same rows; ``None`` if they were not compared.
        because: the reason, as a code and its values.
        judged_on: the rows of the comparison, where there was one.
    """

    task: str
    stage: Stage
    policy: str
    metric: str
    minimum_gain: float
    candidates: tuple[EvaluatedCandidate, ...]
    winner: int
    previous: int | None
    gain: float | None
    because: Reason
    judged_on: JudgedOn | None = None

    @property
    def threshold(self) -> float:
        """The winner's, if it is binary."""
        return next(each.threshold for each in self.candidates if each.version == self.winner)

    @property
    def reason(self) -> str:
        """The reason as one English sentence."""
        return self.because.sentence

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "task": self.task,
            "stage": self.stage,
            "policy": self.policy,
            "metric": self.metric,
            "minimum_gain": self.minimum_gain,
            "candidates": [each.to_json() for each in self.candidates],
            "winner": self.winner,
            "previous": self.previous,
            "gain": self.gain,
            "reason": self.reason,
            "reason_code": self.because.code,
            "reason_values": self.because.to_json()["values"],
            "judged_on": None if self.judged_on is None else asdict(self.judged_on),
        }


def fitting_champion(task: TaskSpec, candidates: Sequence[Candidate]) -> Candidate | None:
    """The version that has the alias, if it can predict: challengers are compared with it."""
    return next((each for each in candidates if each.champion and _why_not(task, each) is None), None)


def choose(task: TaskSpec, candidates: Sequence[Candidate], comparison: Comparison | None = None) -> Choice:
    """Chooses the version that predicts.

    Args:
        task: its ``selection`` and ``limits`` say how.
        candidates: every registered version, whether or not it can predict.
        comparison: of challenger and champion at the end of a training; ``None`` when predicting.

    Raises:
        SelectionError: no version can predict, or the one that the task names cannot.
    """
    ordered = sorted(candidates, key=lambda each: each.version)
    holder = next((each for each in ordered if each.champion), None)
    metric = task.training.metric
    evaluated = tuple(
        EvaluatedCandidate(
            version=each.version,
            run_id=each.run_id,
            created=each.created.isoformat(),
            metrics=dict(each.metrics),
            reason=_why_not(task, each),
            same_rows=comparison.scores.get(each.version, {}).get(metric) if comparison else None,
            threshold=each.threshold,
            package=each.package,
        )
        for each in ordered
    )
    _check_any(task, evaluated)
    policy = task.selection.policy
    difference = None
    if policy == "champion" and comparison:
        winner, difference, because = _challenge(task, evaluated, holder, comparison)
    elif policy == "champion":
        winner, because = _champion_or_newest(evaluated, holder)
    elif policy == "best_metric":
        winner, because = _best(task, evaluated)
    elif policy == "latest":
        winner = _newest(evaluated)
        because = Reason("newest", winner=winner)
    else:
        winner = _named(task, evaluated)
        because = Reason("named", winner=winner)
    return Choice(
        task=task.name,
        stage="train" if comparison else "predict",
        policy=policy,
        metric=metric,
        minimum_gain=task.selection.minimum_gain,
        candidates=evaluated,
        winner=winner,
        previous=holder.version if holder else None,
        gain=difference,
        because=because,
        judged_on=comparison.judged_on if comparison else None,
    )


def _why_not(task: TaskSpec, candidate: Candidate) -> Reason | None:
    """Why a version cannot predict for the present task; ``None`` if it can."""
    if not candidate.ready:
        return Reason("unfinished")
    if candidate.features is None or candidate.fingerprints is None:
        return Reason("no_fingerprints", task=task.name)
    if differences := _differences(candidate.features, feature_columns(task.features)):
        return Reason("other_features", differences=differences)
    for which in MUST_AGREE:
        found, expected = candidate.fingerprints.get(which), task.fingerprint(which)
        if found != expected:
            return Reason("other_fingerprint", slice=which, found=found, expected=expected, task=task.name)
    return _below(task, candidate)


def _below(task: TaskSpec, candidate: Candidate) -> Reason | None:
    """Why a version with the right features and target is not good enough; ``None`` if it is."""
    metric, limit, kind = task.training.metric, task.limits.metric, kind_of(task)
    value = candidate.metrics.get(metric)
    if value is None and (limit is not None or task.selection.policy == "best_metric"):
        return Reason("no_metric", metric=metric)
    if value is not None and limit is not None and not reaches(kind, metric, value, limit):
        return Reason("below_limit", metric=metric, value=value, limit=limit)
    return None


def _differences(was_columns: FeatureColumns, wanted: FeatureColumns) -> str | None:
    if was_columns == wanted:
        return None
    was, now = dict(was_columns), dict(wanted)
    parts = []
    if lacking := [name for name in now if name not in was]:
        parts.append(f"not fitted on {', '.join(lacking)}")
    if gone := [name for name in was if name not in now]:
        parts.append(f"fitted on {', '.join(gone)}, which the task no longer has")
    parts += [f"{name} was {was[name]} and is {now[name]}" for name in now if was.get(name, now[name]) != now[name]]
    return "; ".join(parts) or "another order"


def _check_any(task: TaskSpec, evaluated: Sequence[EvaluatedCandidate]) -> None:
    if any(each.eligible for each in evaluated):
        return
    listed = "; ".join(f"version {each.version}: {each.why_not}" for each in evaluated)
    raise SelectionError(
        f"no model version of {task.name} can predict",
        task=task.name,
        found=listed or "no version registered",
        expected="a version whose training finished, with the task's features and target, and above its limit",
        do=f"materialise {task.name}/model, or run the job {task.name}_train",
    )


def _newest(evaluated: Sequence[EvaluatedCandidate]) -> int:
    return max(each.version for each in evaluated if each.eligible)


def _challenge(
    task: TaskSpec, evaluated: Sequence[EvaluatedCandidate], holder: Candidate | None, comparison: Comparison
) -> tuple[int, float | None, Reason]:
    by_version = {each.version: each for each in evaluated}
    challenger = by_version[comparison.challenger]
    champion = None if holder is None else by_version[holder.version]
    if champion is None or champion.reason is not None:
        winner, because = _without_champion(evaluated, challenger, champion)
        return winner, None, because
    if champion.version == challenger.version:
        return champion.version, None, Reason("champion", winner=champion.version)
    both = {"winner": champion.version, "challenger": challenger.version}
    if challenger.reason is not None:
        return champion.version, None, Reason("challenger_unfit", **both, why_not=challenger.reason)
    metric, wanted = task.training.metric, task.selection.minimum_gain
    new, old = comparison.scores[challenger.version][metric], comparison.scores[champion.version][metric]
    difference = gain(kind_of(task), metric, new, old)
    on = comparison.judged_on.sentence if comparison.judged_on else "the same validation rows"
    against = {"metric": metric, "new": new, "old": old, "on": on}
    if difference <= 0:
        return champion.version, difference, Reason("no_better", **both, **against)
    if difference < wanted:
        return champion.version, difference, Reason("gain_too_small", **both, **against, minimum_gain=wanted)
    because = Reason("better", winner=challenger.version, previous=champion.version, **against)
    return challenger.version, difference, because


def _without_champion(
    evaluated: Sequence[EvaluatedCandidate], challenger: EvaluatedCandidate, before: EvaluatedCandidate | None
) -> tuple[int, Reason]:
    """Which version becomes champion if the present champion cannot predict or there is none."""
    was = {} if before is None else {"previous": before.version, "why_not": before.reason}
    if challenger.reason is None:
        code = "first_champion" if before is None else "champion_unfit"
        return challenger.version, Reason(code, winner=challenger.version, **was)
    newest = _newest(evaluated)
    code = "challenger_unfit_no_champion" if before is None else "challenger_and_champion_unfit"
    also = {"challenger": challenger.version, "challenger_why_not": challenger.reason}
    return newest, Reason(code, winner=newest, **was, **also)


def _champion_or_newest(evaluated: Sequence[EvaluatedCandidate], holder: Candidate | None) -> tuple[int, Reason]:
    if holder is None:
        winner = _newest(evaluated)
        return winner, Reason("no_champion", winner=winner)
    champion = next(each for each in evaluated if each.version == holder.version)
    if champion.reason is None:
        return champion.version, Reason("champion", winner=champion.version)
    winner = _newest(evaluated)
    return winner, Reason("champion_cannot", winner=winner, previous=champion.version, why_not=champion.reason)


def _best(task: TaskSpec, evaluated: Sequence[EvaluatedCandidate]) -> tuple[int, Reason]:
    metric = task.training.metric
    values = {each.version: each.metrics[metric] for each in evaluated if each.eligible}
    winner = best(kind_of(task), metric, values)
    return winner, Reason("best", winner=winner, metric=metric, value=values[winner], count=len(values))


def _named(task: TaskSpec, evaluated: Sequence[EvaluatedCandidate]) -> int:
    wanted = task.selection.version
    named = next((each for each in evaluated if each.version == wanted), None)
    if named is None:
        raise SelectionError(
            "there is no such model version",
            task=task.name,
            found=wanted,
            available=[each.version for each in evaluated],
            do="name one of these under selection, or choose another policy",
        )
    if named.why_not is not None:
        raise SelectionError(
            "the model version that the task names cannot predict",
            task=task.name,
            found=f"version {named.version}: {named.why_not}",
            available=[each.version for each in evaluated if each.eligible],
            do="name one of these under selection, or choose another policy",
        )
    return named.version
