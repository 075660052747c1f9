from dagster_runs.run import Run, own


def run(name: str, status: str, cleared: int = 0, created: float | None = None) -> Run:
    return Run(name, status, float(ord(name)) if created is None else created, cleared)


def test_nothing_was_launched() -> None:
    assert own([], 0, 0) is None
    assert own([], 3, 1) is None


def test_any_run_of_the_present_life_is_its_own() -> None:
    for status in ("NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING", "SUCCESS", "FAILURE", "CANCELED"):
        found = run("a", status, cleared=2)
        assert own([run("b", "SUCCESS", cleared=1), found], 2, 0) is found


def test_of_doubles_the_oldest_that_goes_on_counts_and_then_the_one_that_succeeded() -> None:
    first, double = run("a", "STARTED"), run("b", "QUEUED")
    assert own([double, first], 0, 0) is first
    first, double = run("a", "SUCCESS"), run("b", "CANCELED")
    assert own([double, first], 0, 0) is first
    assert own([run("a", "CANCELED"), run("b", "FAILURE")], 0, 0) == run("b", "FAILURE")


def test_of_an_earlier_life_only_what_goes_on_or_succeeded_unseen() -> None:
    going = run("a", "STARTED", cleared=0)
    assert own([going], 1, 1) is going
    success = run("a", "SUCCESS", cleared=0)
    assert own([success], 1, since=0) is success
    assert own([success], 1, since=1) is None
    for status in ("FAILURE", "CANCELED"):
        assert own([run("a", status)], 1, 0) is None
    # A success, and then a life that failed: it was to be done again, and still is.
    assert own([success, run("b", "FAILURE", cleared=1)], 2, 0) is None


def test_a_run_that_nobody_submitted_is_lost_after_a_while() -> None:
    assert not run("a", "NOT_STARTED", created=1000).lost(1010)
    assert run("a", "NOT_STARTED", created=1000).lost(1200)
    assert not run("a", "QUEUED", created=1000).lost(100000)


def test_from_graphql() -> None:
    answer = {
        "runId": "a", "status": "STARTED", "creationTime": 5.5,
        "tags": [{"key": "airflow/cleared", "value": "3"}, {"key": "x", "value": "y"}],
    }  # fmt: skip
    assert Run.of(answer) == Run("a", "STARTED", 5.5, 3)
    assert Run.of({**answer, "tags": []}).cleared == 0
