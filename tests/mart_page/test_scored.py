"""Distributions of the scores of each kind, from marts as the pipeline's own schema makes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.predicted import Predicted
from pipeline_assets.mart_page.scored import Scores, main_column, scores
from pipeline_assets.task.spec import TaskSpec
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import START, cursor_of, put_output, put_scores
from tests.mart_page.kinds_of_orders import tasks

TASK = shop()


def test_scores_lie_as_numpy_says(marts: Marts) -> None:
    values = np.random.default_rng(0).beta(2, 5, 3_000)
    put_output(marts, TASK, "new", values.tolist(), run="r", day=1)
    made = [Predicted(batch, 1, "r", START) for batch in ("new", "gone")]
    with cursor_of(marts) as cursor:
        mart = catalog.mart(cursor, marts.schema, TASK, "predict_output")
        assert mart is not None
        (found,) = scores(cursor, TASK, mart, made)
    assert (found.rows, found.of, found.made.batch) == (3_000, 3_000, "new")
    assert found.quantiles == pytest.approx(np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]))
    assert found.decided == np.mean(values >= 0.5)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares[True] == np.mean(values >= 0.5)


def scored(marts: Marts, task: TaskSpec) -> tuple[Scores, str]:
    with cursor_of(marts) as cursor:
        mart = catalog.mart(cursor, marts.schema, task, "predict_output")
        assert mart is not None
        main = main_column(task, mart)
        (found,) = scores(cursor, task, mart, [Predicted("new", 1, "r", START)])
    assert main is not None
    return found, main.name


def test_classes_have_shares_the_largest_first(marts: Marts) -> None:
    task = tasks()["fates"]
    rows = [("kept", 0.6), ("lost", 0.5), ("kept", 0.7), ("kept", 0.9)]
    columns: dict[str, Sequence[Any]] = {
        "predicted_label": [name for name, _ in rows],
        "probability": [share for _, share in rows],
        "probabilities": [[(name, share), ("other", 1 - share)] for name, share in rows],
    }
    put_scores(marts, task, "new", columns)
    found, main = scored(marts, task)
    assert (main, found.quantiles) == ("predicted_label", ())
    assert list(found.shares.items()) == [("kept", 0.75), ("lost", 0.25)]


def test_numbers_have_quantiles_and_no_shares(marts: Marts) -> None:
    task = tasks()["refunds"]
    values = [float(value) for value in range(101)]
    put_scores(marts, task, "new", {"prediction": values, "decision": [value > 20 for value in values]})
    found, main = scored(marts, task)
    assert (main, found.shares) == ("prediction", {})
    assert found.quantiles == (5.0, 25.0, 50.0, 75.0, 95.0)
    assert found.decided == pytest.approx(80 / 101)
    assert found.values.type == pa.float64()
