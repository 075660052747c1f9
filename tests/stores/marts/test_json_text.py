import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.stores.marts.json_text import json_texts, plain

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ROW = pa.struct([
    ("a.b", pa.list_(pa.string())),
    ('"ж"', pa.list_(pa.int64(), 2)),
    ("deep", pa.large_list(pa.struct([("x", pa.float64()), ("y", pa.map_(pa.string(), pa.bool_()))]))),
    ("m", pa.map_(pa.string(), pa.list_(pa.float64()))),
])  # fmt: skip
ROWS = st.fixed_dictionaries({
    "a.b": st.none() | st.lists(st.none() | WORDS),
    '"ж"': st.none() | st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2),
    "deep": st.none() | st.lists(
        st.none() | st.fixed_dictionaries({
            "x": st.none() | NUMBERS, "y": st.none() | st.dictionaries(WORDS, st.none() | st.booleans()),
        }),
    ),
    "m": st.none() | st.dictionaries(WORDS, st.none() | st.lists(NUMBERS)),
})  # fmt: skip


@given(st.lists(st.none() | ROWS, max_size=5), st.integers(0, 3), st.integers(0, 4))
def test_nested_values_are_the_json_that_everyone_reads(values: list[Any], start: int, count: int) -> None:
    column = pa.array(values, ROW)[start : start + count]
    texts = json_texts(column).to_pylist()
    assert [None if text is None else json.loads(text) for text in texts] == values[start : start + count]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([[math.nan, math.inf, -math.inf, 1.0, 0.1, 1e300]]), '["NaN","Infinity","-Infinity",1,0.1,1e+300]'),
        (pa.array([[0.1, math.nan]], pa.list_(pa.float32())), '[0.1,"NaN"]'),
        (pa.array([[Decimal("1.10"), None]]), "[1.10,null]"),
        (pa.array([[2**64 - 1]], pa.list_(pa.uint64())), "[18446744073709551615]"),
        (pa.array([[b"\x00\xff", b"", None]]), r'["\\x00ff","\\x",null]'),
        (pa.array([[date(2013, 1, 1), None]]), '["2013-01-01",null]'),
        (pa.array([[time(6, 10), time(6, 10, 20, 500_000)]]), '["06:10:00","06:10:20.5"]'),
        (pa.array([[datetime(2013, 1, 1, tzinfo=UTC)]]), '["2013-01-01T00:00:00+00:00"]'),
        (pa.array([[0]], pa.list_(pa.timestamp("us", "Europe/Moscow"))), '["1970-01-01T00:00:00+00:00"]'),
        (pa.array([[1_000_000_001]], pa.list_(pa.timestamp("ns"))), '["1970-01-01T00:00:01.000000001"]'),
        (pa.array([[("a", None)]], pa.map_(pa.string(), pa.int8())), '{"a":null}'),
        (pa.array([[]], pa.map_(pa.string(), pa.int8())), "{}"),
        (pa.array([[(1, "a"), (2, 'b"')]], pa.map_(pa.int64(), pa.string())), '{"1":"a","2":"b\\""}'),
        (pa.array([[(date(2013, 1, 1), 1)]], pa.map_(pa.date32(), pa.int8())), '{"2013-01-01":1}'),
        (pa.array([[({"x": 1}, 2)]], pa.map_(pa.struct([("x", pa.int8())]), pa.int8())),
         '[{"key":{"x":1},"value":2}]'),
        (pa.array([{"ж": {"b": []}}]), '{"ж":{"b":[]}}'),
        (pa.array([[None]], pa.list_(pa.null())), "[null]"),
        (pa.array([[["a"], None]], pa.list_(pa.list_view(pa.dictionary(pa.int8(), pa.string())))), '[["a"],null]'),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)  # fmt: skip
def test_what_json_lacks_is_text(column: pa.Array, text: str) -> None:
    assert json_texts(column).to_pylist() == [text]
    assert json.loads(text) is not None


def test_the_values_under_any_encoding() -> None:
    once = pa.array(["a", None]).dictionary_encode()
    twice = pa.ExtensionArray.from_storage(pa.opaque(once.type, "t", "v"), once)
    assert plain(twice).equals(pa.array(["a", None]))
