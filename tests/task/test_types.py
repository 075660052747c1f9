"""Contract types: each name gives an Arrow type and a DuckDB type and comes back from both."""

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.task.types import arrow_type, contract_name, contract_type_of, duckdb_type

PLAIN = (
    "string", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
    "date", "time", "time_ns", "timestamp", "timestamp_ns", "timestamptz", "timestamptz_ns", "binary",
)  # fmt: skip
_FIELD_NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)


def _decimals() -> st.SearchStrategy[str]:
    digits = st.integers(1, 38)
    return digits.flatmap(lambda p: st.integers(0, p).map(lambda s: f"decimal({p}, {s})"))


def _written(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _structs(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    fields = st.lists(st.tuples(_FIELD_NAMES, inner), min_size=1, max_size=3, unique_by=lambda field: field[0].lower())
    return fields.map(lambda found: f"struct<{', '.join(f'{_written(name)}: {kind}' for name, kind in found)}>")


TYPES = st.recursive(
    st.sampled_from(PLAIN) | _decimals(),
    lambda inner: (
        inner.map(lambda kind: f"list<{kind}>")
        | st.tuples(st.sampled_from(["string", "int64", "date"]), inner).map(lambda two: f"map<{two[0]}, {two[1]}>")
        | _structs(inner)
    ),
    max_leaves=6,
)


@given(TYPES)
def test_a_type_comes_back_from_arrow_and_from_duckdb(name: str) -> None:
    kind = arrow_type(name)
    again = contract_type_of(kind, nanoseconds=True)
    assert arrow_type(again) == kind
    assert contract_name(duckdb_type(name)) == again
    ((found,),) = duckdb.execute(f"select typeof(null::{duckdb_type(name)})").fetchall()
    assert contract_name(found) == again


@given(st.text(st.sampled_from('list<>struct map,:()"[] intdecimal46, 1')))
def test_what_is_no_type_is_refused_with_a_sentence(text: str) -> None:
    said = ""
    try:
        arrow_type(text)
    except ValueError as error:
        said = str(error)
    assert said.startswith("no type ") or arrow_type(text)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("int46", "did you mean int64?"),
        ("list<int46>", "did you mean int64?"),
        ("list<int64", "> is missing before its end"),
        ("struct<a int64>", ": is missing before int64"),
        ("struct<>", "a field's name is missing before >"),
        ("struct<a: int64, A: int64>", "two of its fields are called A"),
        ("decimal(39, 2)", "1 to 38 digits"),
        ("decimal(2, 3)", "no more digits after the point"),
        ("int64 int64", "it goes on with int64"),
        ("list", "list<type>"),
    ],
)
def test_a_wrong_type_is_told_what_is_wrong(name: str, said: str) -> None:
    with pytest.raises(ValueError, match="no type") as refused:
        arrow_type(name)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.null(), "string"),
        (pa.string_view(), "string"),
        (pa.dictionary(pa.int8(), pa.int16()), "int16"),
        (pa.float16(), "float32"),
        (pa.uuid(), "string"),
        (pa.json_(), "string"),
        (pa.bool8(), "int8"),
        (pa.binary(4), "binary"),
        (pa.binary_view(), "binary"),
        (pa.date64(), "date"),
        (pa.time32("s"), "time"),
        (pa.time64("ns"), "time"),
        (pa.timestamp("s"), "timestamp"),
        (pa.timestamp("ms", "Europe/Berlin"), "timestamptz"),
        (pa.timestamp("ns", "Europe/Berlin"), "timestamptz"),
        (pa.decimal32(5, 2), "decimal(5, 2)"),
        (pa.decimal256(38, 10), "decimal(38, 10)"),
        (pa.list_(pa.int8(), 2), "list<int8>"),
        (pa.large_list(pa.null()), "list<string>"),
        (pa.struct([("a.b", pa.float16()), ("c", pa.list_(pa.date64()))]), 'struct<"a.b": float32, c: list<date>>'),
        (pa.map_(pa.string(), pa.large_binary()), "map<string, binary>"),
    ],
)
def test_every_parquet_type_has_a_contract_type(kind: pa.DataType, name: str) -> None:
    assert contract_type_of(kind) == name


def test_times_with_digits_below_the_microsecond_have_types_of_their_own() -> None:
    kinds = [pa.time64("ns"), pa.timestamp("ns"), pa.timestamp("ns", "Asia/Tokyo"), pa.list_(pa.timestamp("ns"))]
    found = [contract_type_of(kind, nanoseconds=True) for kind in kinds]
    assert found == ["time_ns", "timestamp_ns", "timestamptz_ns", "list<timestamp_ns>"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (pa.decimal256(39, 2), "write it as text"),
        (pa.duration("us"), "write it as a number of its unit"),
        (pa.month_day_nano_interval(), "write it as a number of its unit"),
        (pa.struct([]), "need names"),
        (pa.struct([("a", pa.int8()), ("A", pa.int8())]), "whatever the case"),
        (pa.list_(pa.duration("s")), "duration"),
    ],
)
def test_a_type_without_contract_type_says_what_to_write(kind: pa.DataType, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        contract_type_of(kind)
