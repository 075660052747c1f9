from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.views.batches.queries import Truth, truth
from pipeline_assets.monitoring.truth import evaluation
from pipeline_assets.task.spec import TaskSpec
from tests.examples import orders, shop, with_column
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import cursor_of, put_input, put_output, put_scores
from tests.mart_page.kinds_of_orders import tasks

TASK = shop()


def put_train(marts: Marts, batch: str, numbers: Sequence[int], labels: Sequence[int | None]) -> None:
    rows = with_column(orders(len(numbers)), "order_id", list(numbers), pa.int64())
    put_input(marts, TASK, "train", batch, with_column(rows, "label", list(labels), pa.int8()))


def known(marts: Marts, batch: str, task: TaskSpec = TASK) -> Truth | None:
    with cursor_of(marts) as cursor:
        output, inputs, trains = (
            catalog.mart(cursor, marts.schema, task, which)
            for which in ("predict_output", "predict_input", "train_input")
        )
        assert output
        assert inputs
        assert trains
        return truth(cursor, batch, output=output, inputs=inputs, trains=trains)


def test_the_latest_label_of_the_same_key_is_the_truth(marts: Marts) -> None:
    put_input(marts, TASK, "predict", "p", orders(5, stage="predict"))
    put_output(marts, TASK, "p", [0.1, 0.2, 0.6, 0.7, 0.8], run="r", day=1)
    put_train(marts, "2026-01", [1, 2, 9], [0, 1, 1])
    put_train(marts, "2026-02", [2, 3, 4], [0, 1, None])
    found = known(marts, "p")
    assert found is not None
    assert list(found.labels) == [0, 0, 1]
    assert list(found.scores["probability"]) == [0.2, 0.6, 0.7]
    assert list(found.decision) == [False, True, True]
    assert (found.batches, found.partly) == (("2026-01", "2026-02"), False)


def test_scores_of_classes_come_as_probabilities_by_class(marts: Marts) -> None:
    task = tasks()["fates"]
    put_input(marts, task, "predict", "p", orders(2, stage="predict"))
    shares = [[("kept", 0.6), ("<b>lost</b>", 0.4)], [("kept", 0.1), ("<b>lost</b>", 0.9)]]
    columns: dict[str, Sequence[Any]] = {
        "predicted_label": ["kept", "<b>lost</b>"],
        "probability": [0.6, 0.9],
        "probabilities": shares,
    }
    put_scores(marts, task, "p", columns)
    rows = with_column(orders(2, stage="predict"), "label", ["kept", "returned"], pa.string())
    put_input(marts, task, "train", "t", rows)
    found = known(marts, "p", task)
    assert found is not None
    assert list(found.labels) == ["kept", "returned"]
    assert found.scores["probabilities"] == [dict(each) for each in shares]
    # The class "returned" is one that the model does not know.
    metrics = evaluation(task, found.labels, found.scores).metrics
    assert metrics["accuracy"] == 0.5


def test_without_labels_of_these_rows_there_is_no_truth(marts: Marts) -> None:
    put_input(marts, TASK, "predict", "p", orders(2, stage="predict"))
    put_output(marts, TASK, "p", [0.1, 0.2], run="r", day=1)
    put_train(marts, "t", [0, 50], [None, 1])
    assert known(marts, "p") is None
