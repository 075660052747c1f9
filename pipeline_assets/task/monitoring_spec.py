"""How the batches of a task are watched: the key ``monitoring`` of a task."""

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

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.warn is None or self.fail is None or "warn" not in self.model_fields_set:
            return self
        if self.warn > self.fail:
            raise ValueError(f"warn: {self.warn} is above fail: {self.fail}, so no batch would ever warn")
        return self


class Drift(DriftLimits):
    """The limits of all columns of a predict batch, and those of some.

    Attributes:
        features: limits of some features, by name; a limit that one does not give is that of all columns.
        scores: the same of score columns, such as ``probability``.
    """

    features: dict[str, DriftLimits] = Field(default_factory=dict)
    scores: dict[str, DriftLimits] = Field(default_factory=dict)

    def of_feature(self, name: str) -> DriftLimits:
        """The limits of a feature."""
        return self._own(self.features.get(name))

    def of_score(self, name: str) -> DriftLimits:
        """The limits of a score column."""
        return self._own(self.scores.get(name))

    @property
    def can_fail(self) -> bool:
        """Whether any column has a limit that fails a run."""
        return any(each.fail is not None for each in (self, *self.features.values(), *self.scores.values()))

    def _own(self, own: DriftLimits | None) -> DriftLimits:
        given = {} if own is None else {name: getattr(own, name) for name in own.model_fields_set}
        return DriftLimits.model_construct(**{"warn": self.warn, "fail": self.fail, **given})


class Monitoring(SpecModel):
    """What is measured of each batch, and from which value on a check warns or fails."""

    drift: Drift = Drift()


def drift_problems(drift: Drift, features: Iterable[str], scores: Iterable[str]) -> Iterator[Problem]:
    """Limits of columns that are not there."""
    for key, given, known in (("features", drift.features, [*features]), ("scores", drift.scores, [*scores])):
        for name in given:
            if name not in known:
                said = f"there is no such column; there are {', '.join(known)}{did_you_mean(name, known)}"
                yield Problem(("monitoring", "drift", key, name), said)
