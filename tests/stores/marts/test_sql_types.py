import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts.sql_types import arrow_type, common_type, is_nested, plain_type, sql_type, sql_types


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.bool_(), "boolean"),
        (pa.int8(), "smallint"),
        (pa.uint8(), "smallint"),
        (pa.uint16(), "integer"),
        (pa.uint32(), "bigint"),
        (pa.uint64(), "numeric(20,0)"),
        (pa.float16(), "real"),
        (pa.float64(), "double precision"),
        (pa.decimal128(12, 2), "numeric(12,2)"),
        (pa.decimal128(3, 5), "numeric(5,5)"),  # 0.00123: before PostgreSQL 15 no scale is above its precision
        (pa.decimal128(3, -2), "numeric(5,0)"),  # 123 * 10**2
        (pa.string_view(), "text"),
        (pa.dictionary(pa.int8(), pa.large_string()), "text"),
        (pa.binary(16), "bytea"),
        (pa.uuid(), "bytea"),
        (pa.date64(), "date"),
        (pa.time32("s"), "time without time zone"),
        (pa.timestamp("ns"), "text"),
        (pa.timestamp("s", "Europe/Moscow"), "timestamp with time zone"),
        (pa.list_(pa.int8()), "text"),
        (pa.struct([("a", pa.int8())]), "text"),
        (pa.map_(pa.string(), pa.int8()), "text"),
        (pa.run_end_encoded(pa.int32(), pa.bool_()), "boolean"),
        (pa.null(), None),
    ],
    ids=str,
)
def test_every_arrow_type_has_an_sql_type(kind: pa.DataType, name: str | None) -> None:
    assert sql_type(kind) == name


@pytest.mark.parametrize(
    "kind", [pa.duration("s"), pa.month_day_nano_interval(), pa.dense_union([pa.field("a", pa.int8())])]
)
def test_a_type_that_none_holds_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(ValueError, match="no SQL type holds"):
        sql_type(kind)


def test_a_column_whose_type_no_mart_holds_is_named() -> None:
    assert sql_types(pa.schema([("n", pa.int8()), ("nothing", pa.null())])) == {"n": "smallint", "nothing": None}
    with pytest.raises(StoreError, match=r"(?s)column: +how_long.*found: +duration.*do: +cast"):
        sql_types(pa.schema([("how_long", pa.duration("s"))]))


def test_encodings_are_taken_off_however_many() -> None:
    assert plain_type(pa.run_end_encoded(pa.int32(), pa.dictionary(pa.int8(), pa.string()))) == pa.string()


def test_lists_of_every_sort_are_nested() -> None:
    assert all(map(is_nested, [pa.large_list(pa.int8()), pa.list_(pa.int8(), 2), pa.list_view(pa.int8())]))
    assert not is_nested(pa.string())


@pytest.mark.parametrize(
    ("kept", "new", "both"),
    [
        ("smallint", "bigint", "bigint"),
        ("bigint", "smallint", "bigint"),
        ("real", "double precision", "double precision"),
        ("real", "smallint", "real"),
        ("real", "integer", "double precision"),
        ("integer", "real", "double precision"),
        ("integer", "double precision", "double precision"),
        ("bigint", "double precision", None),
        ("numeric(4,2)", "double precision", None),
        ("bigint", "numeric(20,0)", "numeric(20,0)"),
        ("numeric(20,0)", "bigint", "numeric(20,0)"),
        ("numeric(4,2)", "numeric(6,1)", "numeric(7,2)"),
        ("integer", "numeric(4,2)", "numeric(12,2)"),
        ("numeric", "integer", None),
        ("integer", "text", "text"),
        ("numeric(4,2)", "text", "text"),
        ("date", "text", "text"),
        ("bytea", "text", None),
        ("real", "text", None),
        ("double precision", "text", None),
        ("timestamp with time zone", "text", None),
        ("text", "integer", None),
        ("boolean", "integer", None),
        ("date", "timestamp without time zone", None),
        ("timestamp without time zone", "timestamp with time zone", None),
        ("character varying(3)", "text", None),
    ],
)
def test_what_holds_two_types(kept: str, new: str, both: str | None) -> None:
    assert common_type(kept, new) == both


NUMBERS = st.sampled_from(
    ["smallint", "integer", "bigint", "real", "double precision", "numeric(20,0)", "numeric(5,2)", "numeric(38,10)"]
)


@given(NUMBERS, NUMBERS)
def test_what_holds_two_numbers_does_not_depend_on_their_order_and_holds_each(one: str, other: str) -> None:
    both = common_type(one, other)
    assert common_type(other, one) == both
    if both is not None:
        assert common_type(both, one) == common_type(both, other) == both


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("smallint", pa.int16()),
        ("numeric(38,2)", pa.decimal128(38, 2)),
        ("numeric(39,2)", pa.decimal256(39, 2)),
        ("numeric(77,2)", pa.string()),
        ("numeric", pa.string()),
        ("json", pa.string()),
        ("character varying(3)", pa.string()),
        ("timestamp with time zone", pa.timestamp("us", "UTC")),
    ],
)
def test_what_an_sql_type_is_read_as(name: str, kind: pa.DataType) -> None:
    assert arrow_type(name) == kind
