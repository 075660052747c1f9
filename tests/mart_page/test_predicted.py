from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.predicted import Predicted, predicted
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import choice, cursor_of, put_choices, put_output

TASK = shop()


def ask(marts: Marts, latest: int) -> list[Predicted]:
    with cursor_of(marts) as cursor:
        output = catalog.mart(cursor, marts.schema, TASK, "predict_output")
        choices = catalog.mart(cursor, marts.schema, TASK, "model_choices")
        assert output is not None
        assert choices is not None
        return predicted(cursor, output, choices, latest)


def test_batches_are_those_that_are_in_the_mart_by_the_run_that_wrote_them_last(marts: Marts) -> None:
    put_choices(
        marts,
        TASK,
        [
            choice("one", "predict", 1, day=1, batch="b"),
            choice("two", "predict", 1, day=2, batch="a"),
            choice("again", "predict", 1, day=3, batch="b"),
            choice("failed", "predict", 1, day=4, batch="c"),
            choice("training", "train", 1, day=5, batch="t"),
        ],
    )
    put_output(marts, TASK, "a", [0.1] * 3, run="two", day=2)
    put_output(marts, TASK, "b", [0.1] * 3, run="again", day=3)
    assert [(each.batch, each.run_id, each.model_version) for each in ask(marts, 200)] == [
        ("a", "two", 1), ("b", "again", 1)
    ]  # fmt: skip
    assert [each.batch for each in ask(marts, 2)] == ["b"]
