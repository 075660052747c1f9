"""Which assets are late by their freshness policies, and since which batch that is known."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline_assets.alerts.message import Message, Problem


@dataclass(frozen=True)
class Watched:
    """An asset that has to be made again and again.

    Attributes:
        asset: its name below the task.
        within: the time in which it has to be made again.
        made: when it was last made, of any batch.
        batch: that batch.
    """

    task: str
    stage: str
    asset: str
    within: timedelta
    made: datetime
    batch: str | None

    @property
    def name(self) -> str:
        """``<task>/<asset>``."""
        return f"{self.task}/{self.asset}"

    def late(self, now: datetime) -> bool:
        """Whether the time is over."""
        return now - self.made >= self.within


def late_message(assets: Sequence[Watched], now: datetime) -> Message:
    """What is told of the late assets of one stage of one task."""
    problems = tuple(
        Problem(
            each.asset,
            f"last made {_spoken(now - each.made)} ago, of batch {each.batch}, at {each.made:%Y-%m-%d %H:%M} UTC;"
            f" it should be made every {_spoken(each.within)}",
        )
        for each in assets
    )
    return Message("late", problems, task=assets[0].task, stage=assets[0].stage)


def newly_late(watched: Sequence[Watched], told: Mapping[str, float], now: datetime) -> list[list[Watched]]:
    """The late assets of which nobody was told yet, one list per task and stage.

    Args:
        watched: all assets with a policy that were made at least once.
        told: by asset, when those that people were told of had been made.
    """
    by_stage: dict[tuple[str, str], list[Watched]] = {}
    for each in watched:
        if each.late(now) and told.get(each.name) != each.made.timestamp():
            by_stage.setdefault((each.task, each.stage), []).append(each)
    return list(by_stage.values())


def read_told(cursor: str | None) -> dict[str, float]:
    """What :func:`write_told` wrote; nothing before the first tick."""
    return {} if cursor is None else {str(name): float(made) for name, made in json.loads(cursor).items()}


def write_told(told: Mapping[str, float], watched: Sequence[Watched]) -> str:
    """The sensor's cursor; assets that nobody watches any more are left out."""
    names = {each.name for each in watched}
    return json.dumps({name: made for name, made in told.items() if name in names})


def moment(timestamp: float) -> datetime:
    """A time of Dagster's, in UTC."""
    return datetime.fromtimestamp(timestamp, UTC)


def _spoken(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    if hours < 2:  # noqa: PLR2004
        return f"{length.total_seconds() / 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"  # noqa: PLR2004
