"""How the batches of a task are watched: the key ``monitoring`` of a task."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipeline_assets.task.drift_spec import Drift
from pipeline_assets.task.spec_model import SpecModel

_DURATION = re.compile(r"(\d+(?:\.\d+)?) (minute|hour|day|week)s?")
# Dagster's own limit.
_SHORTEST = timedelta(minutes=1)


def duration(text: str) -> timedelta:
    """The length of a text such as ``36 hours``: minutes, hours, days or weeks.

    Raises:
        ValueError: it is none, or shorter than a minute.

    >>> duration("1.5 days")
    datetime.timedelta(days=1, seconds=43200)
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("a time is a number and a unit: 90 minutes, 36 hours, 8 days, 5 weeks")
    length = timedelta(**{f"{found[2]}s": float(found[1])})
    if length < _SHORTEST:
        raise ValueError("a time is at least 1 minute")
    return length


def _checked(text: str) -> str:
    duration(text)
    return text


Duration = Annotated[str, AfterValidator(_checked)]


class Freshness(SpecModel):
    """How often a stage must run: its file checked and its outcome made, of whatever batch.

    Attributes:
        train: ``35 days``, for example; without it training is never late.
        predict: likewise.
    """

    train: Duration | None = None
    predict: Duration | None = None

    def within(self, stage: Literal["train", "predict"]) -> timedelta | None:
        """The time in which a stage must run again; ``None`` where it need not."""
        text = self.train if stage == "train" else self.predict
        return None if text is None else duration(text)


class Truth(SpecModel):
    """How good predictions must have been, once their labels are known.

    Attributes:
        fail: by metric, the worst value that passes; a worse one fails the check, such as ``{roc_auc: 0.6}``.
        warn: the same of the check that only warns.
        minimum_rows: a batch with fewer known labels is not compared with these values, and a segment with fewer has
            no metrics.
    """

    fail: dict[str, float] = Field(default_factory=dict)
    warn: dict[str, float] = Field(default_factory=dict)
    minimum_rows: int = Field(default=100, ge=1)


class Monitoring(SpecModel):
    """What is measured of each batch, and from which value on a check warns or fails."""

    drift: Drift = Drift()
    truth: Truth = Truth()
    freshness: Freshness = Freshness()
