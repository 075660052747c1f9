"""Makes Arrow columns storable: whole columns in the types that PostgreSQL keeps, each value exact or refused."""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts.json_text import ends_and_content, iso_texts, json_texts, plain
from pipeline_assets.stores.marts.sql_types import is_nested, sql_type

# PostgreSQL's limit for one value.
MAX_VALUE_BYTES = 2**30 - 1

_FIRST_DAY = dt.date(1, 1, 1)
_LAST_DAY = dt.date(9999, 12, 31)

Refuse = Callable[[int, str, str], NoReturn]  # row, found, expected


def storable(batch: pa.RecordBatch, key: Sequence[str] = (), first_row: int = 0) -> list[tuple[pa.Array, Refuse]]:
    """The columns of a batch as PostgreSQL keeps them, without encodings around their values.

    Times have microseconds, or are text; nested values become JSON text, see
    :mod:`pipeline_assets.stores.marts.json_text`. Numbers keep their types.

    Args:
        batch: columns of types that :func:`pipeline_assets.stores.marts.sql_types.sql_types` knows.
        key: columns that name a row in an error.
        first_row: number of the batch's first row in its stream; errors name rows by it where the key cannot.

    Returns:
        Each column, and what raises the error of one of its values: given row, what was found, what was expected.

    Raises:
        StoreError: a value that PostgreSQL cannot hold: NUL in a text, a text or binary too long, digits below the
            microsecond, a year outside 1 to 9999.
    """

    def refuse(column: str, row: int, found: str, expected: str) -> NoReturn:
        named = [f"{name} = {batch.column(name)[row]}" for name in key if name in batch.schema.names]
        raise StoreError(
            "a value cannot be stored",
            column=column,
            found=f"{found}, in the row {' and '.join(named) or first_row + row}",
            expected=expected,
        )

    refusals = [partial(refuse, name) for name in batch.schema.names]
    return [(_storable(column, refusal), refusal) for column, refusal in zip(batch.columns, refusals, strict=True)]


def _storable(column: pa.Array, refuse: Refuse) -> pa.Array:
    column = plain(column)
    kind = column.type
    if is_nested(kind):
        return _text(_json(column, refuse), refuse)
    if sql_type(kind) == "text":
        return iso_texts(column, between=" ") if pat.is_temporal(kind) else _text(column, refuse)
    if pat.is_temporal(kind):
        return _moment(column, refuse)
    if sql_type(kind) == "bytea":
        return _binary(column, refuse)
    return column


def _first(mask: pa.Array) -> int | None:
    """The first row where a mask is true."""
    row = pc.index(mask, value=True).as_py()
    return None if row < 0 else row


def _text(column: pa.Array, refuse: Refuse) -> pa.Array:
    column = column.cast(pa.large_string())
    if len(column) == 0:
        return column
    # Looking at all bytes at once takes a tenth of looking at values; those under a null may hold anything.
    suspect = not ends_and_content(column)[1].all()
    row = _first(pc.match_substring(column, "\0")) if suspect else None
    if row is not None:
        refuse(row, "the character NUL (U+0000)", "text without it: PostgreSQL has no such character")
    _refuse_long(column, MAX_VALUE_BYTES, refuse)
    return column


def _refuse_long(column: pa.Array, limit: int, refuse: Refuse) -> None:
    if column.nbytes <= limit:
        return
    lengths = pc.binary_length(column)
    row = _first(pc.greater(lengths, limit))
    if row is not None:
        refuse(row, f"{lengths[row]} bytes", f"at most {limit}, PostgreSQL's limit")


def _moment(column: pa.Array, refuse: Refuse) -> pa.Array:
    kind = column.type
    bounds: tuple[object, object]
    if pat.is_date(kind):
        stored = pa.date32()
        bounds = (_FIRST_DAY, _LAST_DAY)
    elif pat.is_time(kind):
        stored = pa.time64("us")
        bounds = (dt.time.min, dt.time.max)
    else:
        stored = pa.timestamp("us", "UTC" if kind.tz else None)
        zone = dt.UTC if kind.tz else None
        bounds = (
            dt.datetime.combine(_FIRST_DAY, dt.time.min, zone),
            dt.datetime.combine(_LAST_DAY, dt.time.max, zone),
        )
    try:
        moments = column.cast(stored)
    except pa.ArrowInvalid:
        # The value has digits below the microsecond, or too many seconds for a count of microseconds.
        row = next(row for row in range(len(column)) if not _casts(column[row : row + 1], stored))
        expected = "whole microseconds, as PostgreSQL keeps time, of the years 1 to 9999"
        refuse(row, f"{_counted(column, row)} of {kind}", expected)
    low, high = (pa.scalar(bound, stored) for bound in bounds)
    outside = _first(pc.or_(pc.less(moments, low), pc.greater(moments, high)))
    if outside is not None:
        expected = "a time of day" if pat.is_time(kind) else "a year from 1 to 9999"
        refuse(outside, f"{_counted(column, outside)} of {kind}", expected)
    return moments


def _counted(column: pa.Array, row: int) -> pa.Scalar:
    """A date or time as its number of days, seconds or parts of them: shown where it has no calendar date."""
    return column[row : row + 1].view(pa.int32() if column.type.bit_width == 32 else pa.int64())[0]  # noqa: PLR2004


def _casts(column: pa.Array, kind: pa.DataType) -> bool:
    try:
        column.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _binary(column: pa.Array, refuse: Refuse) -> pa.Array:
    # Half of the limit: PostgreSQL writes binary as two digits a byte, and could not give back a longer one.
    column = column.cast(pa.large_binary())
    _refuse_long(column, (MAX_VALUE_BYTES - 2) // 2, refuse)
    return column


def _json(column: pa.Array, refuse: Refuse) -> pa.Array:
    try:
        return json_texts(column)
    except ValueError as error:
        row = next(row for row in range(len(column)) if not _has_json(column[row : row + 1]))
        refuse(row, str(error), "a nested value that JSON can say")


def _has_json(column: pa.Array) -> bool:
    try:
        json_texts(column)
    except ValueError:
        return False
    return True
