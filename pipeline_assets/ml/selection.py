"""Which model version predicts, by the algorithm the task states, and the record of each choice."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from pipeline_assets.errors import SelectionError
from pipeline_assets.ml.metrics import GREATER_IS_BETTER, gain, reaches
from pipeline_assets.task.spec import Features, Metric, Stage, TaskSpec

FeatureKind = Literal["numeric", "categorical"]
FeatureColumns = tuple[tuple[str, FeatureKind], ...]


def feature_columns(features: Features) -> FeatureColumns:
    """What a version's columns must equal: names and kinds in the order that the model sees them."""
    return (
        *((name, "numeric") for name in features.numeric),
        *((name, "categorical") for name in features.categorical),
    )


@dataclass(frozen=True)
class Candidate:
    """A registered version, as the registry knows it.

    Attributes:
        version: its number; later is newer.
        run_id: the MLflow run that made it.
        ready: its making was finished.
        features: the columns it was fitted on; ``None`` where the version does not say.
        metrics: on its own validation rows.
        created: when, with a time zone.
        champion: it holds the alias.
        fingerprints: of the slices of the task that it was made under, by slice; ``None`` where the version does
            not say.
    """

    version: int
    run_id: str
    ready: bool
    features: FeatureColumns | None
    metrics: Mapping[str, float]
    created: datetime
    champion: bool = False
    fingerprints: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Comparison:
    """Scores on one and the same set of rows: those that judged the challenger.

    Attributes:
        challenger: the version just trained.
        scores: metrics by version: the challenger's and, if one fits, the champion's.
    """

    challenger: int
    scores: Mapping[int, Mapping[Metric, float]]


@dataclass(frozen=True)
class EvaluatedCandidate:
    """A candidate in a record of choice.

    Attributes:
        why_not: why it cannot predict; ``None`` where it can.
        same_rows: its metric on the challenger's validation rows, where it was compared.
    """

    version: int
    run_id: str
    created: str
    metrics: dict[str, float]
    why_not: str | None
    same_rows: float | None = None

    @property
    def eligible(self) -> bool:
        """It can predict."""
        return self.why_not is None


@dataclass(frozen=True)
class Choice:
    """A record of choice.

    Attributes:
        stage: of the run that chose.
        minimum_gain: asked of a challenger, in the metric's unit.
        winner: the version that predicts.
        previous: the version that held the alias before.
        gain: the challenger's over the champion on the same rows; ``None`` where they were not compared.
        reason: one sentence.
    """

    task: str
    stage: Stage
    policy: str
    metric: Metric
    minimum_gain: float
    candidates: tuple[EvaluatedCandidate, ...]
    winner: int
    previous: int | None
    gain: float | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        data = asdict(self)
        for shown, judged in zip(data["candidates"], self.candidates, strict=True):
            shown["eligible"] = judged.eligible
        data["candidates"] = list(data["candidates"])
        return data


def fitting_champion(task: TaskSpec, candidates: Sequence[Candidate]) -> Candidate | None:
    """The version that holds the alias, if it can predict: the one that a challenger is compared with."""
    return next((each for each in candidates if each.champion and _why_not(task, each) is None), None)


def choose(task: TaskSpec, candidates: Sequence[Candidate], comparison: Comparison | None = None) -> Choice:
    """Chooses the version that predicts.

    Args:
        task: whose ``selection`` and ``limits`` say how.
        candidates: every registered version, fit or not.
        comparison: at the end of a training, the challenger beside the champion; ``None`` when predicting.

    Raises:
        SelectionError: no version can predict, or not the one that the task names.
    """
    ordered = sorted(candidates, key=lambda each: each.version)
    holder = next((each for each in ordered if each.champion), None)
    metric = task.training.metric
    judged = tuple(
        EvaluatedCandidate(
            version=each.version,
            run_id=each.run_id,
            created=each.created.isoformat(),
            metrics=dict(each.metrics),
            why_not=_why_not(task, each),
            same_rows=comparison.scores.get(each.version, {}).get(metric) if comparison else None,
        )
        for each in ordered
    )
    _check_any(task, judged)
    policy = task.selection.policy
    difference = None
    if policy == "champion" and comparison:
        winner, difference, reason = _challenge(task, judged, holder, comparison)
    elif policy == "champion":
        winner, reason = _reigning(judged, holder)
    elif policy == "best_metric":
        winner, reason = _best(task, judged)
    elif policy == "latest":
        winner = _newest(judged)
        reason = f"version {winner} is the newest that can predict"
    else:
        winner = _pinned(task, judged)
        reason = f"version {winner} is the one that the task names"
    return Choice(
        task=task.name,
        stage="train" if comparison else "predict",
        policy=policy,
        metric=metric,
        minimum_gain=task.selection.minimum_gain,
        candidates=judged,
        winner=winner,
        previous=holder.version if holder else None,
        gain=difference,
        reason=reason,
    )


def _why_not(task: TaskSpec, candidate: Candidate) -> str | None:
    """Why a version cannot predict for the task as it is now."""
    if not candidate.ready:
        return "its training did not finish"
    differences = _differences(candidate.features, feature_columns(task.features))
    if differences:
        return differences
    metric, limit = task.training.metric, task.limits.metric
    value = candidate.metrics.get(metric)
    if value is None and (limit is not None or task.selection.policy == "best_metric"):
        return f"it has no {metric}"
    if value is not None and limit is not None and not reaches(metric, value, limit):
        return f"its {metric} {value:.4f} does not reach the limit {limit:g}"
    return None


def _differences(found: FeatureColumns | None, wanted: FeatureColumns) -> str | None:
    if found is None:
        return "it does not say which features it takes"
    if found == wanted:
        return None
    was, now = dict(found), dict(wanted)
    parts = []
    if lacking := [name for name in now if name not in was]:
        parts.append(f"not fitted on {', '.join(lacking)}")
    if gone := [name for name in was if name not in now]:
        parts.append(f"fitted on {', '.join(gone)}, which the task no longer has")
    parts += [f"{name} was {was[name]} and is {now[name]}" for name in now if was.get(name, now[name]) != now[name]]
    return f"its features differ: {'; '.join(parts) or 'another order'}"


def _check_any(task: TaskSpec, judged: Sequence[EvaluatedCandidate]) -> None:
    if any(each.eligible for each in judged):
        return
    listed = "; ".join(f"version {each.version}: {each.why_not}" for each in judged)
    raise SelectionError(
        f"no model version of {task.name} can predict",
        task=task.name,
        found=listed or "no version registered",
        expected="a version whose training finished, with the task's features and above its limit",
        do=f"materialise {task.name}/model, or run the job {task.name}_train",
    )


def _newest(judged: Sequence[EvaluatedCandidate]) -> int:
    return max(each.version for each in judged if each.eligible)


def _challenge(
    task: TaskSpec, judged: Sequence[EvaluatedCandidate], holder: Candidate | None, comparison: Comparison
) -> tuple[int, float | None, str]:
    by_version = {each.version: each for each in judged}
    challenger = by_version[comparison.challenger]
    if holder is None:
        return _succession(judged, challenger, "no version was champion before")
    champion = by_version[holder.version]
    if champion.why_not is not None:
        before = f"the champion before, version {champion.version}, cannot predict ({champion.why_not})"
        return _succession(judged, challenger, before)
    stays = f"version {champion.version} stays champion: version {challenger.version}"
    if challenger.why_not is not None:
        return champion.version, None, f"{stays} cannot predict ({challenger.why_not})"
    metric, wanted = task.training.metric, task.selection.minimum_gain
    new, old = comparison.scores[challenger.version][metric], comparison.scores[champion.version][metric]
    difference = gain(metric, new, old)
    against = f"{metric} {new:.4f} against {old:.4f} on the same validation rows"
    if difference <= 0:
        return champion.version, difference, f"{stays} is no better, {against}"
    if difference < wanted:
        return champion.version, difference, f"{stays} is better by less than {wanted:g}, {against}"
    reason = f"version {challenger.version} becomes champion: it is better than {champion.version}, {against}"
    return challenger.version, difference, reason


def _succession(
    judged: Sequence[EvaluatedCandidate], challenger: EvaluatedCandidate, before: str
) -> tuple[int, None, str]:
    """Who follows where there is no champion to compare with."""
    if challenger.why_not is None:
        return challenger.version, None, f"version {challenger.version} becomes champion: {before}"
    newest = _newest(judged)
    neither = f"version {challenger.version}, just trained, cannot predict ({challenger.why_not})"
    return newest, None, f"version {newest} becomes champion: {before}, and {neither}"


def _reigning(judged: Sequence[EvaluatedCandidate], holder: Candidate | None) -> tuple[int, str]:
    if holder is None:
        winner = _newest(judged)
        return winner, f"no version is champion, and version {winner} is the newest that can predict"
    champion = next(each for each in judged if each.version == holder.version)
    if champion.eligible:
        return champion.version, f"version {champion.version} is champion"
    winner = _newest(judged)
    return winner, (
        f"the champion, version {champion.version}, cannot predict ({champion.why_not}),"
        f" and version {winner} is the newest that can"
    )


def _best(task: TaskSpec, judged: Sequence[EvaluatedCandidate]) -> tuple[int, str]:
    metric = task.training.metric
    sign = 1 if GREATER_IS_BETTER[metric] else -1
    able = [each for each in judged if each.eligible]
    best = max(able, key=lambda each: (sign * each.metrics[metric], each.version))
    value = f"{metric} {best.metrics[metric]:.4f}"
    return best.version, f"version {best.version} has the best {value} of {len(able)} that can predict"


def _pinned(task: TaskSpec, judged: Sequence[EvaluatedCandidate]) -> int:
    wanted = task.selection.version
    named = next((each for each in judged if each.version == wanted), None)
    if named is None:
        raise SelectionError(
            "there is no such model version",
            task=task.name,
            found=wanted,
            available=[each.version for each in judged],
            do="name one of these under selection, or choose another policy",
        )
    if named.why_not is not None:
        raise SelectionError(
            "the model version that the task names cannot predict",
            task=task.name,
            found=f"version {named.version}: {named.why_not}",
            available=[each.version for each in judged if each.eligible],
            do="name one of these under selection, or choose another policy",
        )
    return named.version
