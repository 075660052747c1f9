"""From which distance on the drift of a predict batch warns or fails: the key ``monitoring.drift`` of a task."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline_assets.task.names import did_you_mean
from pipeline_assets.task.spec_model import Problem, SpecModel

# From here on drift warns by default: as far as numbers are that have moved by half of their standard deviation.
WARN = 0.2

_Distance = Annotated[float, Field(gt=0, le=1)]


class DriftLimits(SpecModel):
    """From which Jensen-Shannon distance on a check warns, and from which on it fails the run; null is never."""

    warn: _Distance | None = WARN
    fail: _Distance | None = None


class Drift(DriftLimits):
    """The limits of all columns of a predict batch, and those of some.

    Attributes:
        features: limits of some features, by name; one that is not given is that of all columns.
        scores: the same of score columns, such as ``probability``.
    """

    features: dict[str, DriftLimits] = Field(default_factory=dict)
    scores: dict[str, DriftLimits] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _given_to_each(self) -> Self:
        shared = {"warn": self.warn, "fail": self.fail}
        for columns in (self.features, self.scores):
            for name, own in columns.items():
                given = {key: getattr(own, key) for key in own.model_fields_set}
                columns[name] = own.model_copy(update={**shared, **given})
        return self

    def of_feature(self, name: str) -> DriftLimits:
        """The limits of a feature."""
        return self.features.get(name, self)

    def of_score(self, name: str) -> DriftLimits:
        """The limits of a score column."""
        return self.scores.get(name, self)

    @property
    def can_fail(self) -> bool:
        """Whether any column has a limit that fails a run."""
        return any(each.fail is not None for each in (self, *self.features.values(), *self.scores.values()))


def drift_problems(drift: Drift, features: Iterable[str], scores: Iterable[str]) -> Iterator[Problem]:
    """Limits of columns that are not there."""
    for key, given, known in (("features", drift.features, [*features]), ("scores", drift.scores, [*scores])):
        for name in given:
            if name not in known:
                said = f"there is no such column; there are {', '.join(known)}{did_you_mean(name, known)}"
                yield Problem(("monitoring", "drift", key, name), said)
