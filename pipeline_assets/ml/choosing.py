"""Chooses the model version that predicts, by the task's algorithm."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline_assets.errors import SelectionError
from pipeline_assets.ml.difference import Difference
from pipeline_assets.ml.kinds.base import best, gain, kind_of, reaches
from pipeline_assets.ml.reasons import Reason
from pipeline_assets.ml.selection import (
    Candidate,
    Choice,
    Comparison,
    EvaluatedCandidate,
    FeatureColumns,
    feature_columns,
)
from pipeline_assets.task.fingerprints import Slice
from pipeline_assets.task.spec import TaskSpec

# A version predicts only if features and target are defined exactly as when it was fitted.
MUST_AGREE: tuple[Slice, ...] = ("features", "target")


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
    evaluated = evaluate_candidates(task, ordered, comparison)
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
        gain_interval=comparison.gain if comparison and difference is not None else None,
    )


def evaluate_candidates(
    task: TaskSpec, candidates: Sequence[Candidate], comparison: Comparison | None = None
) -> tuple[EvaluatedCandidate, ...]:
    """The candidates by version, each with the reason why it cannot predict, if it cannot."""
    scores = comparison.scores if comparison else {}
    intervals = comparison.intervals if comparison else {}
    return tuple(
        EvaluatedCandidate(
            version=each.version,
            run_id=each.run_id,
            created=each.created.isoformat(),
            metrics=dict(each.metrics),
            reason=_why_not(task, each),
            same_rows=scores.get(each.version, {}).get(task.training.metric),
            interval=intervals.get(each.version),
            threshold=each.threshold,
            package=each.package,
        )
        for each in sorted(candidates, key=lambda each: each.version)
    )


def weighed(task: TaskSpec, choice: Choice, difference: Difference) -> Choice:
    """The choice of a challenger with what its alias would change: too much of it leaves the alias to a person.

    Args:
        task: ``selection.max_flip_share`` says how much is too much.
        choice: that gives the alias to another version than the present champion.
        difference: of the two versions on a predict batch.
    """
    limit = task.selection.max_flip_share
    if limit is None or difference.share <= limit or choice.previous is None:
        return replace(choice, difference=difference)
    because = Reason(
        "flips_too_many",
        winner=choice.previous,
        challenger=choice.winner,
        flipped=difference.flipped,
        rows=difference.rows,
        share=100 * difference.share,
        batch=difference.batch,
        limit=100 * limit,
        task=task.name,
        otherwise=choice.because,
    )
    return replace(choice, winner=choice.previous, because=because, difference=difference)


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
    able = able_version(
        task, evaluated, task.selection.version, do="name one of these under selection, or choose another policy"
    )
    return able.version


def able_version(
    task: TaskSpec, evaluated: Sequence[EvaluatedCandidate], wanted: int | None, *, do: str
) -> EvaluatedCandidate:
    """The candidate of a number.

    Raises:
        SelectionError: there is none, or it cannot predict.
    """
    named = next((each for each in evaluated if each.version == wanted), None)
    if named is None:
        raise SelectionError(
            "there is no such model version",
            task=task.name,
            found=wanted,
            available=[each.version for each in evaluated],
            do=do,
        )
    if named.why_not is not None:
        raise SelectionError(
            "the model version cannot predict",
            task=task.name,
            found=f"version {named.version}: {named.why_not}",
            available=[each.version for each in evaluated if each.eligible],
            do=do,
        )
    return named
