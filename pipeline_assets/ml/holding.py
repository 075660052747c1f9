"""A person's decision over the champion: setting back, promoting, and the hold that no training breaks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipeline_assets.errors import SelectionError
from pipeline_assets.ml.choosing import able_version, choose, evaluate_candidates
from pipeline_assets.ml.reasons import Reason
from pipeline_assets.ml.selection import Candidate, Choice, Order, Person
from pipeline_assets.task.spec import TaskSpec


@dataclass(frozen=True)
class Hold:
    """A version that stays champion until someone promotes a version, whatever a training or a policy says.

    Attributes:
        since: when the person decided.
    """

    version: int
    person: Person
    since: datetime


@dataclass(frozen=True)
class Change:
    """A record of choice by which another version became champion.

    Attributes:
        back: whether a person set the champion back.
    """

    version: int
    previous: int | None
    back: bool = False


def under_hold(task: TaskSpec, choice: Choice, hold: Hold | None) -> Choice:
    """What becomes of a training's or a prediction's choice while a person holds a version.

    A training's choice stays on record as what it would have been. A hold of a version that was deleted from the
    registry has ended. The policy ``version`` knows no hold: there the task itself names the version.

    Raises:
        SelectionError: a prediction would have to use the held version, and it cannot predict any more.
    """
    if hold is None or task.selection.policy == "version":
        return choice
    held = next((each for each in choice.candidates if each.version == hold.version), None)
    if held is None:
        return choice
    since = f"{hold.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    of = {"winner": hold.version, "by": hold.person.name, "since": since, "words": hold.person.words}
    if choice.stage == "train":
        if choice.winner == hold.version == choice.previous:
            return choice
        because = Reason("held_against", **of, task=task.name, otherwise=choice.because)
        return replace(choice, winner=hold.version, because=because)
    if held.reason is not None:
        raise SelectionError(
            "the model version that a person holds as champion cannot predict",
            task=task.name,
            found=f"version {held.version}: {held.why_not}; {hold.person.name} holds it since {since}",
            available=[each.version for each in choice.candidates if each.eligible],
            do=f'pipeline-assets promote {task.name} VERSION --because "..." with one of these ends the hold',
        )
    return replace(choice, winner=hold.version, because=Reason("held", **of))


def decided(
    task: TaskSpec, candidates: Sequence[Candidate], version: int | None, order: Order, person: Person
) -> Choice:
    """A person's choice of the champion.

    ``rollback`` holds the version, under every policy but ``version``. ``promote`` ends the hold; under the policies
    ``best_metric`` and ``latest``, which choose again before each prediction, it can only name the version that the
    policy itself would choose.

    Args:
        version: the new champion.
        candidates: every registered version.

    Raises:
        SelectionError: the version cannot predict, or the policy would not keep to it; says what to do instead.
    """
    policy = task.selection.policy
    if policy == "version":
        raise SelectionError(
            f"the task names the version that predicts, so nobody can {order} it",
            task=task.name,
            found=f"selection: version {task.selection.version}",
            do="name the version under selection in the task, or choose another policy there",
        )
    evaluated = evaluate_candidates(task, candidates)
    able = able_version(task, evaluated, version, do=f"{order} one of the available versions")
    if order == "promote" and policy in ("best_metric", "latest"):
        _check_policy_agrees(task, candidates, able.version)
    holder = next((each.version for each in candidates if each.champion), None)
    return Choice(
        task=task.name,
        stage=order,
        policy=policy,
        metric=task.training.metric,
        minimum_gain=task.selection.minimum_gain,
        candidates=evaluated,
        winner=able.version,
        previous=holder,
        gain=None,
        because=_reason(order, able.version, holder, person),
        person=person,
    )


def _check_policy_agrees(task: TaskSpec, candidates: Sequence[Candidate], version: int) -> None:
    would = choose(task, candidates).winner
    if would != version:
        raise SelectionError(
            f"the policy {task.selection.policy} would not keep to this version: it chooses before each prediction",
            task=task.name,
            found=f"version {version}; the policy chooses version {would}",
            do=f"promote version {would} to end a hold; or hold version {version}: pipeline-assets rollback {task.name}"
            f' --version {version} --because "..."',
        )


def _reason(order: Order, version: int, holder: int | None, person: Person) -> Reason:
    of = {"winner": version, "by": person.name, "words": person.words}
    if order == "rollback":
        return (
            Reason("rolled_back", **of, previous=holder)
            if holder not in (None, version)
            else Reason("held_from_now", **of)
        )
    if holder is None:
        return Reason("promoted_first", **of)
    return Reason("confirmed", **of) if holder == version else Reason("promoted", **of, previous=holder)


def champion_before(task: TaskSpec, changes: Sequence[Change], present: int | None) -> int:
    """The champion before the present one.

    Setting back a second time goes further back, and not to the version that was set back first: a version from which
    someone set the champion back is no champion before any other.

    Args:
        changes: in the order of time.
        present: the champion.

    Raises:
        SelectionError: the history knows none.
    """
    line: list[int] = []
    for change in changes:
        if change.back and change.version in line:
            del line[line.index(change.version) + 1 :]
            continue
        if not line and change.previous is not None:
            line.append(change.previous)
        if change.version in line:  # champion again by a training or a person
            line.remove(change.version)
        line.append(change.version)
    before = line[: line.index(present)] if present in line else line
    if present is None or not before:
        raise SelectionError(
            "there was no champion before the present one",
            task=task.name,
            found="no champion" if present is None else f"version {present}, and no change of champion before it",
            do="name the version with --version",
        )
    return before[-1]
