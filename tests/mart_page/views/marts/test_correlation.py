from typing import Any

import pytest

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.views.marts import distribution, queries
from pipeline_assets.mart_page.views.marts.correlation import Against, correlation, measurable
from pipeline_assets.mart_page.views.marts.queries import Asked, Order
from tests.examples import orders
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import put_input, put_output
from tests.mart_page.views.marts.test_queries import COUNT, TASK, ask, asked, filled, mart

__all__ = ["filled"]


def score(there: Mart) -> Against:
    return Against(there, there.columns["probability"])


def test_a_column_of_the_input_beside_the_score_of_the_same_rows(filled: Marts) -> None:
    output = mart(filled, "predict_output")
    wanted = asked(filled, batch="b'; --")
    price = wanted.mart.columns["price"]
    assert ask(filled, correlation, wanted, price, score(output)) == pytest.approx(1.0)
    few = asked(filled, ("order_id", "is", "3"), batch="b'; --")
    assert ask(filled, correlation, few, price, score(output)) is None, "one row goes with nothing"
    assert ask(filled, correlation, asked(filled, batch="a"), price, score(output)) is None, "no row was predicted"
    every = ask(filled, correlation, asked(filled), price, score(output))
    assert every == pytest.approx(1.0), "rows of other batches have no score"


def test_truth_values_and_numbers_of_one_mart(filled: Marts) -> None:
    output = mart(filled, "predict_output")
    wanted = Asked(output, None, (), Order())
    assert ask(filled, correlation, wanted, output.columns["decision"], score(output)) == pytest.approx(0.866, abs=1e-3)


def test_infinities_and_nan_are_left_out(marts: Marts) -> None:
    put_input(marts, TASK, "predict", "b", orders(5, stage="predict"))
    put_output(marts, TASK, "b", [0.1, 0.2, float("inf"), float("nan"), 0.5], run="r", day=1)
    wanted = asked(marts, batch="b")
    found = ask(marts, correlation, wanted, wanted.mart.columns["price"], score(mart(marts, "predict_output")))
    assert found == pytest.approx(1.0)


def test_a_large_mart_is_looked_at_by_a_sample(filled: Marts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "_SAMPLED", 60)
    monkeypatch.setattr(queries, "COUNTED", 100)
    wanted = asked(filled)
    found = ask(filled, correlation, wanted, wanted.mart.columns["price"], score(mart(filled, "predict_output")))
    assert found is None or found == pytest.approx(1.0)
    assert COUNT > 60


@pytest.mark.parametrize(
    ("kind", "can"), [("integer", True), ("numeric(9,2)", True), ("boolean", True), ("text", False), ("date", False)]
)
def test_numbers_and_truth_values_can_be_correlated(kind: str, can: Any) -> None:
    assert measurable(Column("x", kind, "", "raw", key=False)) is can
