"""The table of types in the documentation: each row of it is run, over real stores, and found to be true."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipeline_assets.engine.duckdb.accepted import RawBatch, load
from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.record import to_metadata
from pipeline_assets.engine.scoring import scoring
from pipeline_assets.errors import ContractError, StoreError
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.scoring import Scorer
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.stores.features.msgpack_codec import field_type
from pipeline_assets.stores.features.parquet import ParquetFeatureStore
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.stores.marts.tables import input_mart
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.contract import Contract
from pipeline_assets.task.preparation import features_query, input_mart_query
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.types import arrow_type, contract_type_of
from tests.examples import shop
from tests.fixtures.postgres import Marts, drop

DOCS = Path(__file__).parents[2] / "docs"
TEXTS = {"en": DOCS / "en" / "reference" / "types.md", "ru": DOCS / "reference" / "types.md"}
WORDS = {
    "none": "",
    "нет": "",
    "числовой или категориальный": "numeric or categorical",
    "категориальный": "categorical",
    "через выражение": "by an expression",
    "файл отклонён": "the file is refused",
    "как пришёл": "as it came",
}
REF = BatchRef("shop", "predict", "b")
D = Decimal
FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)
NS = 1_234_567_890_123_456_789


def _moments(kind: pa.DataType, *, fine: bool = False) -> pa.Array:
    if kind.unit == "ns":
        return pa.array([NS if fine else NS // 1000 * 1000, -NS // 1000 * 1000, None], kind)
    zone = UTC if kind.tz else None
    return pa.array([FIRST.replace(tzinfo=zone), LAST.replace(tzinfo=zone), None], kind)


def _integers(bits: int, *, signed: bool) -> pa.Array:
    kind = getattr(pa, f"{'' if signed else 'u'}int{bits}")()
    return pa.array([-(2 ** (bits - 1)) if signed else 0, 2 ** (bits - signed) - 1, None], kind)


# A value at either end of the type, and a missing one, by the first cell of a row.
VALUES: Mapping[str, pa.Array] = {
    "bool": pa.array([True, False, None]),
    **{f"int{bits}": _integers(bits, signed=True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": _integers(bits, signed=False) for bits in (8, 16, 32, 64)},
    "float16": pa.array([65504.0, 6e-8, None], pa.float16()),
    "float32": pa.array([3.4028235e38, 1e-45, None], pa.float32()),
    "float64": pa.array([1.7976931348623157e308, 5e-324, None]),
    "decimal128(5, 2)": pa.array([D("999.99"), D("-999.99"), None], pa.decimal128(5, 2)),
    "decimal128(38, 0)": pa.array([D("9" * 38), D("-" + "9" * 38), None], pa.decimal128(38, 0)),
    "decimal128(38, 38)": pa.array([D("0." + "9" * 38), D("1e-38"), None], pa.decimal128(38, 38)),
    "decimal256(38, 10)": pa.array([D("9" * 28), D("-1e-10"), None], pa.decimal256(38, 10)),
    "decimal256(39, 2)": pa.array([D("9" * 37), None, None], pa.decimal256(39, 2)),
    "date32": pa.array([date(1, 1, 1), date(9999, 12, 31), None]),
    "date64": pa.array([date(1, 1, 1), date(9999, 12, 31), None], pa.date64()),
    "time32[s]": pa.array([0, 86_399, None], pa.time32("s")),
    "time32[ms]": pa.array([0, 86_399_999, None], pa.time32("ms")),
    "time64[us]": pa.array([0, 86_399_999_999, None], pa.time64("us")),
    "time64[ns]": pa.array([0, 86_399_999_999_000, None], pa.time64("ns")),
    "time64[ns], with nanoseconds": pa.array([1, 86_399_999_999_999, None], pa.time64("ns")),
    **{f"timestamp[{unit}]": _moments(pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")},
    "timestamp[ns], with nanoseconds": _moments(pa.timestamp("ns"), fine=True),
    "INT96, as Spark 3 writes it": _moments(pa.timestamp("us")),
    "timestamp[ms, tz=UTC]": _moments(pa.timestamp("ms", "UTC")),
    "timestamp[us, tz=Europe/Moscow]": pa.array([0, 10**15, None], pa.timestamp("us", "Europe/Moscow")),
    "timestamp[ns, tz=UTC]": _moments(pa.timestamp("ns", "UTC")),
    "timestamp[ns, tz=UTC], with nanoseconds": _moments(pa.timestamp("ns", "UTC"), fine=True),
    "string": pa.array(["", 'Ёлка, "ж/д"\n🛫', None]),
    "large_string": pa.array(["", "Ёлка", None], pa.large_string()),
    "string_view": pa.array(["", "a text longer than twelve", None], pa.string_view()),
    "dictionary<string>": pa.array(["a", "b", None]).dictionary_encode(),
    "dictionary<int16>": pa.array([-1, 1, None], pa.int16()).dictionary_encode(),
    "binary": pa.array([b"", b"\x00\xff", None]),
    "large_binary": pa.array([b"", b"\x00\xff", None], pa.large_binary()),
    "binary_view": pa.array([b"", b"\x00\xff" * 9, None], pa.binary_view()),
    "fixed_size_binary[2]": pa.array([b"\x00\xff", b"ab", None], pa.binary(2)),
    "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"\0" * 16, b"\xff" * 16, None], pa.binary(16))),
    "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', "[]", None])),
    "null": pa.nulls(3),
    "list<float64>": pa.array([[1.5, None], [], None], pa.list_(pa.float64())),
    "large_list<large_string>": pa.array([["a", None], [], None], pa.large_list(pa.large_string())),
    "fixed_size_list<int64>[2]": pa.array([[1, 2], [3, None], None], pa.list_(pa.int64(), 2)),
    "struct<a: int64, b.c: string>": pa.array([{"a": 1, "b.c": "ж"}, {"a": None, "b.c": None}, None]),
    "map<string, float64>": pa.array([[("k", 1.5), ("ж", None)], [], None], pa.map_(pa.string(), pa.float64())),
    "list<struct<at: timestamp[us]>>": pa.array(
        [[{"at": FIRST}], [None], None], pa.list_(pa.struct([("at", pa.timestamp("us"))]))
    ),
    "duration[us]": pa.array([-1, 1, None], pa.duration("us")),
    "struct<a: int64, A: int64>": pa.array([{"a": 1, "A": 2}, None, None]),
}
NANOSECONDS = ", with nanoseconds"
# They need a file of their own: it is refused, or written by an option that concerns all columns.
ALONE = {"decimal256(39, 2)", "struct<a: int64, A: int64>", "INT96, as Spark 3 writes it"}


@dataclass(frozen=True)
class Row:
    """A row of the table, without backticks."""

    column: str
    contract: str
    feature: str
    mart: str
    tarantool: str
    output: str


def rows_of(language: str) -> list[Row]:
    """The table, in the words of the English one."""
    lines = [line for line in TEXTS[language].read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in lines]
    return [Row(*(WORDS.get(cell, cell) for cell in found)) for found in cells]


ROWS = {row.column: row for row in rows_of("en")}
RUN = [row for row in ROWS.values() if row.contract]


def task(contract: Mapping[str, str]) -> TaskSpec:
    """A task over an id and these columns."""
    return shop(
        key=None,
        checks=None,
        training=None,
        output=None,
        columns={
            "id": {"type": "int64"},
            **{name: {"type": kind, "nullable": True} for name, kind in contract.items()},
        },
        target={"expression": "id > 1"},
        features={"numeric": {"id": "id"}},
    )


@dataclass(frozen=True)
class Ran:
    """What a file became."""

    mart: pa.Table
    types: Mapping[str, str]
    output: pa.Table


def run(folder: Path, marts: Marts, columns: Mapping[str, pa.Array], spec: TaskSpec, **how: Any) -> Ran:
    """Checks a file, stores features and mart, and writes the output file with a model that says 0.5."""
    place = folder / "data" / "shop" / "predict" / "b.parquet"
    place.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": [0, 1, 2], **columns}), place, **how)
    files = LocalFiles(folder / "data")
    found = check(files, spec, REF, folder / "scratch", lambda _: None)
    with files.sink(Area.REJECTED, REF, found.rejected.schema) as sink:
        sink.metadata.update(to_metadata(found.manifest))
        for batch in found.rejected:
            sink.write(batch)
    assert found.manifest.accepted == 3, found.manifest.reasons
    raw = load(files, spec, REF, folder / "scratch")
    features = ParquetFeatureStore(folder / "features")
    features.replace(feature_table(spec, "predict"), "b", raw.stream(features_query))
    table = input_mart(spec, "predict")
    marts.store.replace(table, {"batch": "b"}, raw.stream(input_mart_query))
    query = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass"
    quoted = marts.schema.replace('"', '""')
    types = dict(marts.query(query, f'"{quoted}".{table.name}'))
    return Ran(marts.store.read(table.name, {"batch": "b"}).read_all(), types, _output(raw, features, spec, files))


def _output(raw: RawBatch, features: ParquetFeatureStore, spec: TaskSpec, files: LocalFiles) -> pa.Table:
    def scorer(contract: Contract) -> Scorer:
        return Scorer(contract, "b", lambda batch: Prediction(np.full(batch.num_rows, 0.5)), 1)

    with (
        scoring(raw, features.read(feature_table(spec, "predict"), "b"), scorer) as scored,
        files.sink(Area.OUTPUT, REF, scored.output_schema) as sink,
    ):
        for area, rows in scored.rows:
            if area is Area.OUTPUT:
                sink.write(rows)
    stored = files.read(Area.OUTPUT, REF)
    assert stored is not None
    return stored.batches().read_all()


@pytest.fixture(scope="module")
def names() -> Mapping[str, str]:
    """The columns of the file that all rows share: names are short, because marts shorten long ones."""
    return {row.column: f"c{place}" for place, row in enumerate(RUN)}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, embedded_server: Path, names: Mapping[str, str]) -> Iterator[Ran]:
    """What the columns become that may share a file, and INT96."""
    marts = Marts(embedded_server, "types_table")
    together = {row.column: row for row in RUN if row.column not in ALONE}
    spec = task({names[column]: row.contract for column, row in together.items()})
    shared = run(tmp_path_factory.mktemp("t"), marts, {names[column]: VALUES[column] for column in together}, spec)
    drop(marts)
    (spark,) = (column for column in ALONE if column.startswith("INT96"))
    spec = task({names[spark]: ROWS[spark].contract})
    own = {names[spark]: VALUES[spark]}
    alone = run(tmp_path_factory.mktemp("t"), marts, own, spec, use_deprecated_int96_timestamps=True)
    place = names[spark]
    yield Ran(
        shared.mart.append_column(place, alone.mart[place]),
        {**shared.types, place: alone.types[place]},
        shared.output.append_column(place, alone.output[place]),
    )
    drop(marts)


def test_the_table_has_a_row_for_every_case_in_both_languages() -> None:
    assert list(ROWS) == list(VALUES)
    assert rows_of("ru") == rows_of("en")


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.column)
def test_the_contracts_type_is_found_by_the_columns(row: Row) -> None:
    kind, fine = VALUES[row.column].type, row.column.endswith(NANOSECONDS)
    if row.contract:
        assert contract_type_of(kind, nanoseconds=fine) == row.contract
        return
    with pytest.raises(ValueError, match="write it as|need names"):
        contract_type_of(kind)


def _takes(row: Row, group: str) -> bool:
    columns = {"id": {"type": "int64"}, "x": {"type": row.contract}}
    try:
        shop(key=None, checks=None, training=None, output=None, columns=columns, target={"expression": "id > 1"},
             features={group: {"x": "x"}})  # fmt: skip
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("row", RUN, ids=lambda row: row.column)
def test_a_feature_is_of_the_groups_that_the_table_says(row: Row) -> None:
    groups = [group for group in ("numeric", "categorical") if _takes(row, group)]
    assert (" or ".join(groups) or "by an expression") == row.feature


@pytest.mark.parametrize("row", RUN, ids=lambda row: row.column)
def test_a_mart_holds_every_value_in_the_type_that_the_table_says(row: Row, ran: Ran, names: Mapping[str, str]) -> None:
    place, kind = names[row.column], arrow_type(row.contract)
    found = ran.mart[place].combine_chunks()
    assert ran.types[place] == row.mart
    if pa.types.is_nested(kind):
        texts = [None if text is None else json.loads(text) for text in found.to_pylist()]
        assert texts == [_as_json(value, VALUES[row.column].type) for value in VALUES[row.column].to_pylist()]
    elif row.column == "uuid":
        assert found.to_pylist() == [None if value is None else str(value) for value in VALUES["uuid"].to_pylist()]
    else:
        assert _cast(found, kind).equals(_cast(VALUES[row.column], kind))


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if pa.types.is_string(column.type) and pa.types.is_time(kind):
        return pa.array([f"1970-01-01 {text}" if text else None for text in column.to_pylist()]).cast(
            pa.timestamp("ns")
        ).cast(kind)  # fmt: skip
    return column.cast(kind)


def _as_json(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_map(kind) and value is not None:
        return dict(value)
    return json.loads(json.dumps(value, default=lambda moment: moment.isoformat()))


@pytest.mark.parametrize("row", RUN, ids=lambda row: row.column)
def test_tarantool_has_a_field_for_it_or_refuses(row: Row) -> None:
    column = pa.field("x", arrow_type(row.contract))
    if row.tarantool:
        assert field_type(column) == row.tarantool
        return
    with pytest.raises(StoreError, match="no field"):
        field_type(column)


@pytest.mark.parametrize("row", RUN, ids=lambda row: row.column)
def test_the_output_file_has_every_value_in_the_type_that_the_table_says(
    row: Row, ran: Ran, names: Mapping[str, str]
) -> None:
    given, found = VALUES[row.column], ran.output[names[row.column]].combine_chunks()
    if row.output == "as it came":
        assert found.type == given.type
    else:
        assert found.type == _arrow(row.output)
    assert repr(found.to_pylist()) == repr(given.to_pylist())


def _arrow(name: str) -> pa.DataType:
    """The Arrow type of a cell."""
    sized: dict[str, Callable[[str], pa.DataType]] = {
        "time32": pa.time32,
        "timestamp": pa.timestamp,
        "decimal128": lambda digits: pa.decimal128(*map(int, digits.split(","))),
    }
    found = re.fullmatch(r"(\w+)[\[(](.+)[\])]", name)
    if found and found[1] in sized:
        return sized[found[1]](found[2])
    return pa.date32() if name == "date32" else arrow_type(name)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if not row.contract], ids=lambda row: row.column)
def test_what_the_contract_has_no_type_for_passes_untouched_or_the_file_is_refused(
    row: Row, tmp_path: Path, marts: Marts
) -> None:
    columns = {"x": VALUES[row.column]}
    if row.output == "as it came":
        assert run(tmp_path, marts, columns, task({})).output["x"].combine_chunks().equals(columns["x"])
        return
    assert row.output == "the file is refused"
    with pytest.raises(ContractError, match="cannot be read without changing") as refused:
        run(tmp_path, marts, columns, task({}))
    assert refused.value.facts["column"] == "x"
