from datetime import timedelta

import pytest
from dagster_runs.settings import DATE, read


def test_a_name_is_enough() -> None:
    (task,) = read(["returns"])
    assert (task.task, task.location, task.connection) == ("returns", "pipeline_assets", "dagster_default")
    for stage in (task.train, task.predict):
        assert (stage.schedule, stage.batch, stage.wait_for_file) == (None, DATE, False)
        assert stage.deadline == timedelta(hours=24)
    assert task.predict.after_train is False


def test_the_variable_holds_the_same_as_json() -> None:
    given = '["a", {"task": "b", "train": {"schedule": "@daily"}, "predict": {"after_train": true}}]'
    one, other = read(given)
    assert (one.task, other.task, other.train.schedule, other.predict.after_train) == ("a", "b", "@daily", True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"task": "a", "trian": {}}], r"0\.trian: Extra inputs are not permitted"),
        ([{"task": "a", "train": {"after_train": True}}], r"0\.train\.after_train: Extra inputs"),
        (["a", {"task": "b", "train": {"deadline_hours": 0}}], r"1\.train\.deadline_hours: .*greater than 0"),
        (["Not a name"], r"0\.task: .*\(given: Not a name\)"),
        ([{"task": "a", "predict": {"after_train": True, "schedule": "@daily"}}], "after_train and schedule exclude"),
        (["a", "a"], "names a twice"),
        ("[", "Expecting value"),
    ],
)
def test_mistakes_are_named_with_their_place(given: list[object] | str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(given)
