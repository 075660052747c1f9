"""Tests of the verdict: which differences count, what may explain them, and where the first one is."""

from dataclasses import replace

import pyarrow as pa

from pipeline_assets.monitoring.column_hashes import ColumnHashes
from pipeline_assets.monitoring.environment import Environment
from pipeline_assets.monitoring.reproduction import (
    Difference,
    Verdict,
    excuses_of,
    first_other,
    first_other_value,
    judgement,
)
from pipeline_assets.monitoring.version_record import VersionRecord

HASHES = ColumnHashes(130, {"row_number": ("a", "b", "c"), "price": ("d", "e", "f")}, 64)
RECORD = VersionRecord(
    environment=Environment("Linux x86_64", "3.11.7"),
    fingerprints={},
    accepted=130,
    rejected=0,
    features=HASHES,
    metrics={"roc_auc": 0.7},
    iterations=3,
    threshold=0.5,
    trials=({"depth": 4, "roc_auc": 0.7}, {"depth": 6, "roc_auc": 0.8}),
    stopped_by_time=False,
    on_cpu=True,
    predictions_sha256="",
)
CLOSE = Difference("predictions", "prediction", 3, "0.1", "0.1000000001", tolerable=True)
FAR = Difference("metrics", "roc_auc", None, "0.7", "0.8")


def test_the_verdict_counts_what_is_beyond_the_tolerance() -> None:
    assert judgement([], ["other CPU flags"])[0] == Verdict.IDENTICAL
    verdict, because = judgement([CLOSE], [])
    assert verdict == Verdict.WITHIN_TOLERANCE
    assert because.startswith("no number differs by more than 1e-06 of its size; the first that differs is at")
    assert because.endswith("(step predictions, column prediction, row 3): 0.1 here, 0.1000000001 at training")
    verdict, because = judgement([CLOSE, FAR], [])
    assert (verdict, because) == (
        Verdict.DIFFERENT,
        "the first difference is at (step metrics, column roc_auc): 0.7 here, 0.8 at training",
    )
    verdict, because = judgement([FAR], ["other CPU flags here: without avx"])
    assert verdict == Verdict.CANNOT_BE_ASKED
    assert because.startswith("other CPU flags here: without avx; the first difference is at (step metrics")


def test_a_gpu_and_a_search_that_time_ended_explain_a_difference() -> None:
    assert excuses_of(RECORD, RECORD, {}) == []
    assert excuses_of(replace(RECORD, on_cpu=False), RECORD, {}) == [
        "the fit ran on a GPU, which does not repeat its numbers"
    ]
    shorter = replace(RECORD, trials=RECORD.trials[:1], stopped_by_time=True)
    assert excuses_of(RECORD, shorter, {}) == ["a time limit ended the search, after 1 trials here and 2 at training"]
    assert excuses_of(None, RECORD, None) == ["the version does not say what it was trained on"]


def test_hashes_show_the_first_block_and_in_it_the_first_column() -> None:
    other = replace(HASHES, columns={"row_number": ("a", "b", "x"), "price": ("d", "x", "x")})
    assert first_other(HASHES, other) == ("price", 1)
    assert first_other(HASHES, replace(HASHES, rows=131)) == ("number of rows", None)
    assert first_other(HASHES, replace(HASHES, columns={"row_number": ("a", "b", "c")})) == ("price", None)


def test_values_show_the_first_row_however_the_streams_are_cut() -> None:
    one = pa.table({"row_number": range(10), "price": [float(row) for row in range(10)], "note": ["a"] * 10})
    prices = [float(row) for row in range(10)]
    prices[7] += 1e-9
    other = one.set_column(1, "price", pa.array(prices))
    found = first_other_value(one.to_reader(3), other.to_reader(4))
    assert found is not None
    assert (found.column, found.row, found.tolerable) == ("price", 7, True)
    found = first_other_value(
        one.to_reader(3), other.set_column(2, "note", pa.array(["a"] * 4 + ["b"] * 6)).to_reader(4)
    )
    assert found is not None
    assert (found.column, found.row, found.tolerable) == ("note", 4, False)
    assert first_other_value(one.to_reader(3), one.to_reader(10)) is None
