from datetime import timedelta

import pytest
from pydantic import ValidationError

from pipeline_assets.task.monitoring_spec import Freshness, duration
from tests.examples import shop


def test_a_stage_is_late_after_the_time_that_the_task_gives() -> None:
    task = shop(monitoring={"freshness": {"predict": "36 hours"}})
    assert task.monitoring.freshness.within("predict") == timedelta(hours=36)
    assert task.monitoring.freshness.within("train") is None
    assert type(task).model_validate(task.model_dump(mode="json")) == task


@pytest.mark.parametrize(
    ("text", "length"), [("1 minute", {"minutes": 1}), ("8 days", {"days": 8}), ("1.5 weeks", {"weeks": 1.5})]
)
def test_times_are_in_minutes_hours_days_or_weeks(text: str, length: dict[str, float]) -> None:
    assert duration(text) == timedelta(**length)


@pytest.mark.parametrize("text", ["36", "36h", "soon", "-1 days", "0.5 minutes"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValidationError, match=r"a time is (a number and a unit: 90 minutes|at least 1 minute)"):
        Freshness(train=text)


def test_how_a_task_is_watched_is_in_no_fingerprint() -> None:
    watched = shop(monitoring={"freshness": {"train": "8 days"}})
    for which in ("contract", "features", "target", "training", "selection", "output"):
        assert watched.fingerprint(which) == shop().fingerprint(which)
