"""Tests of the skew proof over files of every shape: parts, small row groups, rejected rows, values of many types."""

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.engine.duckdb.accepted import load
from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.record import record_of, to_metadata
from pipeline_assets.ml.split import SplitRule
from pipeline_assets.monitoring.skew import Skew, skew
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.stores.features.parquet import ParquetFeatureStore
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.preparation import features_query
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask
from tests.examples import orders, shop, with_column

ROWS = 600


class Prepared:
    """A train batch that was checked and prepared, without Dagster."""

    def __init__(self, root: Path, task: TaskSpec) -> None:
        self.task, self.scratch = task, root / "scratch"
        self.files, self.features = LocalFiles(root / "data"), ParquetFeatureStore(root / "features")
        self.ref = BatchRef(task.name, "train", "jan")
        self.folder = root / "data" / task.name / "train"
        self.folder.mkdir(parents=True)

    def prepare(self) -> None:
        checked = check(self.files, self.task, self.ref, self.scratch, lambda _: None)
        with self.files.sink(Area.REJECTED, self.ref, checked.rejected.schema) as sink:
            sink.metadata.update(to_metadata(checked.manifest))
            for batch in checked.rejected:
                sink.write(batch)
        raw = load(self.files, self.task, self.ref, self.scratch)
        self.features.replace(feature_table(self.task, "train"), "jan", raw.stream(features_query))

    def asked(self, seed: str = "feb 1", task: TaskSpec | None = None) -> Skew:
        sha256 = record_of(self.files, self.ref).manifest.sha256
        split = SplitRule("share", "jan", sha256, (), 0, 0.2, 0.2)
        return skew(self.files, self.features, task or self.task, split, self.scratch, seed=seed)


def test_parts_small_row_groups_and_rejected_rows(tmp_path: Path) -> None:
    place = Prepared(tmp_path, shop())
    table = orders(ROWS)
    prices = [-1.0 if row % 3 == 0 else price for row, price in enumerate(table["price"].to_pylist())]
    table = with_column(table, "price", prices)
    (place.folder / "jan").mkdir()
    pq.write_table(table.slice(0, 250), place.folder / "jan" / "part-0.parquet", row_group_size=16)
    pq.write_table(table.slice(250), place.folder / "jan" / "part-1.parquet", row_group_size=100)
    place.prepare()

    found = [place.asked(f"feb {seed}") for seed in range(8)]

    assert [each.problem + each.not_asked for each in found] == [""] * 8
    assert all(20 < each.rows < 200 for each in found)
    assert place.asked("feb 3") == found[3]
    assert len({each.rows for each in found}) > 1
    assert not list(place.scratch.glob("skew-*"))


def test_values_of_many_types_take_both_paths_alike(tmp_path: Path) -> None:
    rng, moment = np.random.default_rng(1), dt.datetime(2026, 1, 2, 3, 4, 5, 678901)
    columns: dict[str, tuple[str, Any]] = {
        "flag": ("bool", pa.array([row % 3 == 0 for row in range(ROWS)])),
        "small": ("int8", pa.array([row % 100 for row in range(ROWS)], pa.int8())),
        "large": ("uint64", pa.array([2**63 + row for row in range(ROWS)], pa.uint64())),
        "single": ("float32", pa.array(rng.random(ROWS), pa.float32())),
        "double": ("float64", pa.array([float("nan") if row % 7 == 0 else row / 3 for row in range(ROWS)])),
        "money": ("decimal(18,4)", pa.array([Decimal(row) / 4 for row in range(ROWS)], pa.decimal128(18, 4))),
        "day": ("date", pa.array([moment.date() + dt.timedelta(row) for row in range(ROWS)])),
        "moment": (
            "timestamp",
            pa.array([moment + dt.timedelta(hours=row) for row in range(ROWS)], pa.timestamp("us")),
        ),
        "fine": ("timestamp", pa.array([moment] * ROWS, pa.timestamp("ns"))),
        "zoned": ("timestamptz", pa.array([moment] * ROWS, pa.timestamp("us", "UTC"))),
        "clock": ("time", pa.array([dt.time(1, 2, 3, row) for row in range(ROWS)])),
        "code": ("string", pa.array([f"ключ {row % 9}" for row in range(ROWS)]).dictionary_encode()),
        "id": ("string", pa.array([str(uuid.UUID(int=row)) for row in range(ROWS)], pa.large_string())),
    }
    task = CheckedTask.model_validate(
        {
            "name": "types",
            "columns": {name: {"type": kind} for name, (kind, _) in columns.items()},
            "target": {"expression": "flag"},
            "features": {
                "numeric": {"single": "single", "double": "double", "money": "money"},
                "categorical": {f"text_{name}": f"cast({name} as varchar)" for name in columns},
            },
            "output": {"where": "probability > 0.5"},
        }
    )
    place = Prepared(tmp_path, task)
    pq.write_table(pa.table({name: values for name, (_, values) in columns.items()}), place.folder / "jan.parquet")
    place.prepare()

    found = place.asked()

    assert (found.problem, found.not_asked) == ("", "")
    assert found.rows > 60


def test_moments_of_spark_far_from_now_are_no_skew(tmp_path: Path) -> None:
    changes = {"ordered_on": {"type": "timestamp"}}
    columns = {**shop().model_dump(mode="json")["columns"], **changes}
    place = Prepared(tmp_path, shop(columns=columns))
    moments = pa.array(
        [dt.datetime(2026 if row % 2 else 9999, 1, 1 + row % 28) for row in range(ROWS)], pa.timestamp("us")
    )
    table = with_column(orders(ROWS), "ordered_on", moments.to_pylist(), pa.timestamp("us"))
    pq.write_table(table, place.folder / "jan.parquet", use_deprecated_int96_timestamps=True)
    place.prepare()
    found = place.asked()
    assert (found.problem, found.not_asked) == ("", "")


def test_what_predict_refuses_is_a_problem(tmp_path: Path) -> None:
    place = Prepared(tmp_path, shop())
    pq.write_table(orders(ROWS), place.folder / "jan.parquet")
    place.prepare()
    assert place.asked().problem == ""

    other = shop(columns={**shop().model_dump(mode="json")["columns"], "shop": {"type": "string", "stage": "predict"}})
    assert "training rows have no shop, which the contract of predict asks for" in place.asked(task=other).not_asked


@pytest.mark.parametrize("name", ["price", "country"])
def test_a_stored_feature_of_another_value_is_named_with_its_row(tmp_path: Path, name: str) -> None:
    place = Prepared(tmp_path, shop())
    pq.write_table(orders(ROWS), place.folder / "jan.parquet")
    place.prepare()
    table = feature_table(place.task, "train")
    rows = place.features.read(table, "jan").read_all()
    value: Any = 0.5 if name == "price" else "XX"
    place.features.replace(table, "jan", with_column(rows, name, [value] * ROWS).cast(table.schema).to_reader())

    found = place.asked()

    assert found.columns == (name,)
    assert f", feature {name}: " in found.problem
    assert f"{value!r} stored" in found.problem
