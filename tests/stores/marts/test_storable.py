from typing import Any

import pyarrow as pa
import pytest

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts import storable as module
from pipeline_assets.stores.marts.storable import storable


def stored(column: pa.Array, **how: Any) -> pa.Array:
    ((one, _),) = storable(pa.record_batch([column], names=["value"]), **how)
    return one


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        (pa.array(["b", None, "b"]).dictionary_encode(), pa.array(["b", None, "b"])),
        (pa.array([0], pa.date64()), pa.array([0], pa.date32())),
        (pa.array([1], pa.time32("s")), pa.array([1_000_000], pa.time64("us"))),
        (pa.array([1], pa.timestamp("s", "Europe/Moscow")), pa.array([1_000_000], pa.timestamp("us", "UTC"))),
        (pa.array([1_001, None], pa.timestamp("ns")), pa.array(["1970-01-01 00:00:00.000001001", None])),
        (pa.array([1], pa.timestamp("ns", "Europe/Moscow")), pa.array(["1970-01-01 00:00:00.000000001Z"])),
        (pa.array([1], pa.time64("ns")), pa.array(["00:00:00.000000001"])),
        (pa.array([[1, None], None]), pa.array(["[1,null]", None])),
        (pa.array([b"ab"], pa.binary(2)), pa.array([b"ab"], pa.large_binary())),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_column_becomes_what_postgresql_keeps(column: pa.Array, kept: pa.Array) -> None:
    assert stored(column).to_pylist() == kept.to_pylist()


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array(["a", "b\0", "c"]), "the character NUL"),
        (pa.array(["a", "b\0"]).dictionary_encode(), "the character NUL"),
        (pa.array([["a"], ["b\0"]]), "the character NUL"),
        (pa.array([0, 2**60], pa.timestamp("s")), "1152921504606846976 of timestamp"),
        (pa.array([0, -1], pa.time64("us")), "-1 of time64"),
        (pa.array([0, 86_400], pa.time32("s")), "86400 of time32"),
        (pa.array([0, 2_932_897], pa.date32()), "2932897 of date32"),  # 10000-01-01
        (pa.array([0, -719_163], pa.date32()), "-719163 of date32"),  # the day before 0001-01-01
        (pa.array([0, -(10**17)], pa.timestamp("us", "UTC")), "-100000000000000000 of timestamp"),
        (pa.array([[0], [2**62]], pa.list_(pa.timestamp("s"))), "too large"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_value_that_cannot_be_stored_is_named_by_column_and_row(column: pa.Array, found: str) -> None:
    with pytest.raises(StoreError) as raised:
        stored(column, first_row=100)
    assert found in str(raised.value)
    assert "in the row 101" in str(raised.value)
    assert raised.value.facts["column"] == "value"


def test_the_row_is_named_by_its_key_where_there_is_one() -> None:
    batch = pa.record_batch({"batch": ["2013-10"] * 2, "row_number": [7, 8], "name": ["", "\0"]})
    with pytest.raises(StoreError, match="in the row batch = 2013-10 and row_number = 8"):
        storable(batch, ("batch", "row_number"))


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
def test_a_value_longer_than_a_gigabyte_is_refused(kind: pa.DataType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VALUE_BYTES", 10)
    limit = 10 if kind == pa.string() else 4  # two digits a byte
    stored(pa.array(["x" * limit] * 3, kind))
    with pytest.raises(StoreError, match=rf"(?s)column: +value.*{limit + 1} bytes, in the row 1.*at most {limit}"):
        stored(pa.array(["x", "x" * (limit + 1)], kind))
