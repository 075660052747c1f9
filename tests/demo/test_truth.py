"""The truth of the demo's months against the flights and the files to predict."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline_assets.demo.flights import PREDICT, write
from pipeline_assets.demo.truth import truth, write_truth
from pipeline_assets.errors import PipelineError

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
    assert found.column_names == [*KEY, "arr_delay"]
    assert found.select(KEY).cast(file.schema).equals(file)


# Counted in the package's flights.csv by other means: arr_delay over 15, NA, other.
@pytest.mark.parametrize(
    ("month", "late", "unknown", "on_time"),
    [("2013-10", 4798, 271, 23820), ("2013-11", 4680, 297, 22291), ("2013-12", 8812, 1115, 18208)],
)
def test_truth_counts_late_flights_and_those_without_a_label(month: str, late: int, unknown: int, on_time: int) -> None:
    delay = truth(month)["arr_delay"]
    assert delay.type == pa.int32()
    assert (pc.sum(pc.greater(delay, 15)).as_py(), delay.null_count) == (late, unknown)
    assert pc.sum(pc.less_equal(delay, 15)).as_py() == on_time


def test_a_month_to_train_on_has_no_truth_here() -> None:
    with pytest.raises(PipelineError, match=r"found: +2013-09\n +available: 2013-10, 2013-11, 2013-12"):
        truth("2013-09")


def test_the_file_is_the_same_each_time(tmp_path: Path) -> None:
    first = write_truth("2013-11", tmp_path).read_bytes()
    assert write_truth("2013-11", tmp_path).read_bytes() == first
