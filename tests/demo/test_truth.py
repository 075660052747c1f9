"""The truth of the demo's months, and the comparison, by numbers worked out by hand."""

import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_assets.demo.flights import PREDICT, write
from pipeline_assets.demo.truth import Comparison, Scores, compare, truth
from pipeline_assets.errors import DataError, PipelineError

KEY = ["flight_date", "carrier", "flight", "origin"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write(folder)
    return folder


@pytest.mark.parametrize("month", PREDICT)
def test_truth_is_row_by_row_that_of_the_file(month: str, data: Path) -> None:
    file = pq.read_table(data / "flight_delays" / "predict" / f"{month}.parquet", columns=KEY)
    found = truth(month)
    assert found.column_names == ["row_number", *KEY, "label"]
    assert found.select(KEY).cast(file.schema).equals(file)
    assert found["row_number"].equals(pa.chunked_array([pa.array(range(file.num_rows))]))


# Counted in the package's flights.csv by other means: arr_delay over 15, NA, other.
@pytest.mark.parametrize(
    ("month", "late", "unknown", "on_time"),
    [("2013-10", 4798, 271, 23820), ("2013-11", 4680, 297, 22291), ("2013-12", 8812, 1115, 18208)],
)
def test_truth_counts_late_flights_and_those_without_a_label(month: str, late: int, unknown: int, on_time: int) -> None:
    label = truth(month)["label"]
    assert label.type == pa.int8()
    assert (pc.sum(label).as_py(), label.null_count) == (late, unknown)
    assert pc.sum(pc.equal(label, 0)).as_py() == on_time


def test_a_month_to_train_on_has_no_truth_here() -> None:
    with pytest.raises(PipelineError, match=r"found: +2013-09\n +available: 2013-10, 2013-11, 2013-12"):
        truth("2013-09")


def happened(*labels: int | None) -> pa.Table:
    return pa.table({"row_number": range(len(labels)), "label": pa.array(labels, pa.int8())})


def predicted(*rows: tuple[int, float, bool | None]) -> pa.Table:
    numbers, probability, decision = zip(*rows, strict=True)
    return pa.table({"row_number": numbers, "probability": probability, "decision": pa.array(decision, pa.bool_())})


# Late are 1 and 3; 2 was cancelled; 5 was not scored. Pairs of late and on time in the right order: 3 of 4.
HAPPENED = happened(0, 1, None, 1, 0, 1)
PREDICTED = [(0, 0.1, False), (1, 0.4, False), (2, 0.9, True), (3, 0.9, True), (4, 0.6, True)]
FOUND = Comparison(
    rows=5,
    labelled=4,
    unscored=1,
    late=0.5,
    decided=0.5,
    model=Scores(
        roc_auc=0.75,
        log_loss=pytest.approx(-sum(map(math.log, (0.9, 0.4, 0.9, 0.4))) / 4),  # type: ignore[arg-type] # compares as one
        precision=0.5,
        recall=0.5,
    ),
    baseline=Scores(
        roc_auc=0.5,
        log_loss=pytest.approx(-(math.log(0.25) + math.log(0.75)) / 2),  # type: ignore[arg-type] # compares as one
        precision=0.5,
        recall=0.5,
    ),
)


def test_a_comparison_by_hand() -> None:
    assert compare(predicted(*PREDICTED), HAPPENED, base_rate=0.25) == FOUND


@settings(max_examples=20)
@given(st.permutations(PREDICTED))
def test_the_order_of_predictions_does_not_matter(rows: list[tuple[int, float, bool | None]]) -> None:
    assert compare(predicted(*rows), HAPPENED, 0.25) == compare(predicted(*PREDICTED), HAPPENED, 0.25)


def test_a_decision_that_is_null_decides_for_nothing() -> None:
    rows = [(number, probability, decision or None) for number, probability, decision in PREDICTED]
    assert compare(predicted(*rows), HAPPENED, 0.25) == FOUND


def test_nothing_decided_has_no_precision() -> None:
    found = compare(predicted(*((row, probability, False) for row, probability, _ in PREDICTED)), HAPPENED, 0.25)
    assert (found.decided, found.model.precision, found.model.recall) == (0.0, None, 0.0)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([*PREDICTED, (6, 0.5, True)], id="a row that is no flight"),
        pytest.param([*PREDICTED, (4, 0.6, True)], id="a row twice"),
        pytest.param([*PREDICTED[1:], (6, 0.5, True)], id="another row in place of one"),
    ],
)
def test_predictions_of_other_flights_are_refused(rows: list[tuple[int, float, bool | None]]) -> None:
    with pytest.raises(DataError, match="not of these flights"):
        compare(predicted(*rows), HAPPENED, 0.25)


def test_flights_that_all_came_on_time_cannot_judge() -> None:
    with pytest.raises(DataError, match="one label only"):
        compare(predicted((0, 0.1, False), (1, 0.2, False)), happened(0, 0), 0.25)


def test_a_month_compared_by_its_key_is_the_month_compared_by_row() -> None:
    """Values as Python and a database give them: wider integers than the files have."""
    came_true = truth("2013-11")
    probability = np.random.default_rng(0).random(came_true.num_rows)
    scored: dict[str, Any] = {
        "row_number": came_true["row_number"],
        **{name: came_true[name] for name in KEY},
        "flight": came_true["flight"].cast(pa.int64()),
        "probability": probability,
        "decision": probability > 0.5,
    }
    table = pa.table(scored).take(np.random.default_rng(1).permutation(came_true.num_rows))
    by_row, by_key = compare(table, came_true, 0.26), compare(table, came_true, 0.26, on=KEY)
    assert by_key.model.log_loss == pytest.approx(by_row.model.log_loss)
    assert (by_key.rows, by_key.labelled, by_key.model.roc_auc) == (by_row.rows, by_row.labelled, by_row.model.roc_auc)
    assert by_row.model.roc_auc == pytest.approx(0.5, abs=0.02)
    assert came_true["flight_date"][0].as_py() == date(2013, 11, 1)
