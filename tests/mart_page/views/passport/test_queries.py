import pyarrow as pa
import pytest

from pipeline_assets.mart_page.views.passport.queries import MartRows, mart_rows
from pipeline_assets.task.batch import BatchRef
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import choice, cursor_of, put_choices, put_input, put_output

TASK = shop()
BATCH = "a'; drop table x; --"


def ask(marts: Marts, batch: str, row: int, stage: str = "predict") -> MartRows:
    with cursor_of(marts) as cursor:
        return mart_rows(cursor, marts.schema, TASK, BatchRef("shop", stage, batch), row)  # type: ignore[arg-type]  # of text


def test_a_prediction_comes_with_the_choice_of_its_run_and_with_what_made_the_version_champion(marts: Marts) -> None:
    put_output(marts, TASK, BATCH, [0.1, 0.9], run="predicting", day=4)
    put_choices(
        marts,
        TASK,
        [
            choice("first", "train", 1, day=1, previous_version=None),
            choice("other", "train", 2, day=2, previous_version=1),
            choice("back", "train", 1, day=3, previous_version=2, gain=0.01),
            choice("predicting", "predict", 1, day=4),
            choice("predicting", "train", 1, day=4),
            choice("later", "train", 1, day=9, previous_version=2),
        ],
    )
    found = ask(marts, BATCH, 1)
    assert found.prediction is not None
    assert found.prediction.scores == {"probability": 0.9, "predicted_label": True}
    assert (found.prediction.decision, found.prediction.run_id) == (True, "predicting")
    assert found.choice is not None
    assert (found.choice.run_id, found.choice.stage) == ("predicting", "predict")
    (looked,) = found.choice.candidates
    assert (looked.version, looked.metrics, looked.why_not, looked.same_rows) == (1, {"roc_auc": 0.7}, None, 0.6)
    assert found.crowning is not None
    assert (found.crowning.run_id, found.crowning.gain) == ("back", 0.01)


@pytest.mark.parametrize(("batch", "row"), [(BATCH, 2), (BATCH, -1), ("2026-01", 0), ("", 10**17)])
def test_a_row_that_was_not_predicted_has_no_prediction(marts: Marts, batch: str, row: int) -> None:
    put_output(marts, TASK, BATCH, [0.1, 0.9], run="predicting", day=4)
    assert ask(marts, batch, row) == MartRows()


def test_before_the_first_run_there_is_nothing_to_tell(marts: Marts) -> None:
    assert ask(marts, BATCH, 0) == MartRows()
    assert ask(marts, BATCH, 0, "train") == MartRows()


def test_a_training_row_has_its_label(marts: Marts) -> None:
    rows = pa.table({"order_id": [0, 1, 2], "country": ["<script>alert(1)</script>"] * 3, "label": [1, 0, None]})
    put_input(marts, TASK, "train", BATCH, rows)
    assert [ask(marts, BATCH, row, "train").label for row in range(4)] == [1, 0, None, None]
