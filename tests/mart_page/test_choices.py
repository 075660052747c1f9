from pipeline_assets.mart_page.choices import Record, record
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import choice, cursor_of, put_choices, put_output

TASK = shop()


def ask(marts: Marts) -> Record:
    with cursor_of(marts) as cursor:
        return record(cursor, marts.schema, TASK)


def test_before_the_first_training_there_is_no_record(marts: Marts) -> None:
    assert ask(marts) == Record()


def test_the_record_says_which_training_made_which_version_champion(marts: Marts) -> None:
    put_choices(
        marts,
        TASK,
        [
            choice("first", "train", 1, day=1, previous_version=None),
            choice("worse", "train", 1, day=2),
            choice("better", "train", 3, day=3, previous_version=1, gain=0.02),
            choice("predicting", "predict", 3, day=4, batch="2026-02"),
        ],
    )
    found = ask(marts)
    assert [each.run_id for each in found.trainings] == ["better", "worse", "first"]
    assert found.batches == ()
    put_output(marts, TASK, "2026-02", [0.5], run="predicting", day=4)
    found = ask(marts)
    assert [(each.batch, each.run_id) for each in found.batches] == [("2026-02", "predicting")]
    crowned = {version: found.crowned(version) for version in (1, 2, 3)}
    assert {version: each and each.run_id for version, each in crowned.items()} == {1: "first", 2: None, 3: "better"}
    worse = found.of_run("worse")
    assert worse is not None
    assert worse.model_version == 1
    assert found.of_run(None) is None
