"""What a choice is between and what it becomes: candidates, comparison, record of choice."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from pipeline_assets.ml.difference import Difference
from pipeline_assets.ml.intervals import Interval
from pipeline_assets.ml.prediction import HALF
from pipeline_assets.ml.reasons import Reason
from pipeline_assets.ml.split import SplitRule
from pipeline_assets.task.spec import Features, Stage

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
        intervals: of the task's metric by version; a version without one is absent.
        gain: of the challenger's gain over the champion, both on the same resamples; ``None`` where there is none.
    """

    challenger: int
    scores: Mapping[int, Mapping[str, float]]
    judged_on: JudgedOn | None = None
    intervals: Mapping[int, Interval] = field(default_factory=dict)
    gain: Interval | None = None


@dataclass(frozen=True)
class EvaluatedCandidate:
    """A candidate in a record of choice.

    Attributes:
        reason: why it cannot predict; ``None`` if it can.
        same_rows: its metric on the rows of the comparison; ``None`` if it was not compared.
        interval: of that metric.
        threshold: of a binary version.
        package: the trainer's name; ``None`` if unknown.
    """

    version: int
    run_id: str
    created: str
    metrics: dict[str, float]
    reason: Reason | None
    same_rows: float | None = None
    interval: Interval | None = None
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
            "interval": None if self.interval is None else [self.interval.low, self.interval.high],
            "eligible": self.eligible,
        }


@dataclass(frozen=True)
class Person:
    """Who decided instead of the task's policy, and why.

    Attributes:
        name: as they log in, or as they call themselves.
        words: their reason.
    """

    name: str
    words: str


# What chose: a run of a stage, or a person's order.
Order = Literal["rollback", "promote"]
ORDERS: tuple[Order, ...] = ("rollback", "promote")


@dataclass(frozen=True)
class Choice:
    """A record of choice.

    Attributes:
        stage: of the run that chose, or the order of the person who did.
        minimum_gain: that a challenger needs, in the metric's unit.
        winner: the version that predicts.
        previous: the version that had the alias before.
        gain: of the challenger over the champion on the same rows; ``None`` if they were not compared.
        because: the reason, as a code and its values.
        judged_on: the rows of the comparison, where there was one.
        gain_interval: of ``gain``.
        person: who decided, where a person did.
        difference: what the challenger's alias would change or has changed, where it was looked at.
    """

    task: str
    stage: Stage | Order
    policy: str
    metric: str
    minimum_gain: float
    candidates: tuple[EvaluatedCandidate, ...]
    winner: int
    previous: int | None
    gain: float | None
    because: Reason
    judged_on: JudgedOn | None = None
    gain_interval: Interval | None = None
    person: Person | None = None
    difference: Difference | None = None

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
            "gain_interval": None if self.gain_interval is None else [self.gain_interval.low, self.gain_interval.high],
            "person": None if self.person is None else asdict(self.person),
            "difference": None if self.difference is None else self.difference.to_json(),
        }
