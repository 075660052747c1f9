"""Nested Arrow columns as JSON text: lists, structs and maps, whole columns at once."""

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from pipeline_assets.stores.marts.sql_types import is_nested, plain_type

_HEX_PAIRS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16)
# What JSON has no number for, as PostgreSQL spells it.
_NOT_FINITE = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}
_TO_ESCAPE = r'["\\\x00-\x1f]'
_NUL = "the character NUL (U+0000)"
_NO_DATE = "value out of range"


def plain(column: pa.Array) -> pa.Array:
    """The values themselves, without dictionary, run-end encoding or extension around them."""
    while column.type != plain_type(column.type):
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        elif pat.is_dictionary(column.type):
            column = column.dictionary_decode()
        else:
            column = pc.run_end_decode(column)
    return column


def json_texts(column: pa.Array) -> pa.Array:
    r"""Each value as JSON; null where the column is null.

    A map is an object, by the text of its keys; only a map whose keys are nested is a list of ``{"key", "value"}``.
    Numbers keep all digits; those that JSON lacks, NaN and the infinities, are text, as are dates and times (ISO 8601,
    instants in UTC) and binary (``"\\x00ff"``).

    Args:
        column: of any type that a mart can hold.

    Returns:
        Large strings, as many as the column has values.

    Raises:
        ValueError: a text holds NUL, or a date is outside of the calendar.
    """
    column = plain(column)
    kind = column.type
    if pat.is_map(kind):
        return _map_texts(column)
    if pat.is_struct(kind):
        return _struct_texts(column)
    if is_nested(kind):
        return _list_texts(column, json_texts(column.flatten()), "[", "]")
    return _plain_texts(column)


def iso_texts(column: pa.Array, between: str = "T") -> pa.Array:
    """Dates, times and timestamps as ISO 8601, with as many digits as their unit has.

    Args:
        column: of a temporal type.
        between: what separates date and time.

    Raises:
        ValueError: a value is outside of the calendar.
    """
    if pat.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    texts = column.cast(pa.large_string())
    if pc.any(pc.match_substring(texts, _NO_DATE)).as_py():
        raise ValueError("a date that no calendar has, its count is too large")
    return pc.replace_substring(texts, " ", between)


def hex_texts(column: pa.Array) -> pa.Array:
    """Binary as hexadecimal digits.

    Args:
        column: of large binary.
    """
    if len(column) == 0:
        return pa.array([], pa.large_string())
    ends, content = ends_and_content(column)
    return pa.LargeStringArray.from_buffers(
        len(column),
        pa.py_buffer((ends - ends[0]) * 2),
        pa.py_buffer(_HEX_PAIRS[content]),
        column.is_valid().buffers()[1],
    )


def ends_and_content(column: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Where the values of a column of large strings or binary end, after where the first begins; the bytes of all."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int64, len(column) + 1, column.offset * 8)
    return ends, np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]


def _plain_texts(column: pa.Array) -> pa.Array:
    kind = column.type
    if pat.is_string(kind) or pat.is_large_string(kind) or pat.is_string_view(kind):
        return _quoted(column.cast(pa.large_string()))
    if pat.is_floating(kind):
        return _float_texts(column)
    if pat.is_temporal(kind):
        return _joined('"', _shortest(iso_texts(column)), '"')
    if pat.is_null(kind) or pat.is_boolean(kind) or pat.is_integer(kind) or pat.is_decimal(kind):
        return column.cast(pa.large_string())
    return _joined('"\\\\x', hex_texts(column.cast(pa.large_binary())), '"')


def _float_texts(column: pa.Array) -> pa.Array:
    column = column.cast(pa.float32()) if pat.is_float16(column.type) else column
    texts = column.cast(pa.large_string())
    if pc.all(pc.is_finite(column)).as_py() is not False:
        return texts
    for arrows, ours in _NOT_FINITE.items():
        texts = pc.if_else(pc.equal(texts, arrows), pa.scalar(ours, pa.large_string()), texts)
    return texts


def _shortest(texts: pa.Array) -> pa.Array:
    """Without zeros at the end of a fraction of a second; an instant with its zone as an offset."""
    texts = pc.replace_substring_regex(texts, r"Z$", "+00:00")
    return pc.replace_substring_regex(texts, r"(:\d\d(?:\.\d*[1-9])?)\.?0*(\+|$)", r"\1\2")


def _quoted(texts: pa.Array) -> pa.Array:
    odd = pc.fill_null(pc.match_substring_regex(texts, _TO_ESCAPE), fill_value=False)
    quoted = _joined('"', texts, '"')
    if not pc.any(odd).as_py():
        return quoted
    values = texts.filter(odd).to_pylist()
    if any("\0" in value for value in values):
        raise ValueError(_NUL)
    escaped = [json.dumps(value, ensure_ascii=False) for value in values]
    return pc.replace_with_mask(quoted, odd, pa.array(escaped, pa.large_string()))


def _list_texts(column: pa.Array, items: pa.Array, opening: str, closing: str) -> pa.Array:
    """The column's lists, by the texts of all their items."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), _with_null(items))
    within = pc.binary_join(lists, pa.scalar(",", pa.large_string()))
    return _where_valid(column, _joined(opening, within, closing))


def _struct_texts(column: pa.Array) -> pa.Array:
    fields: list[str | pa.Array] = []
    for place, values in enumerate(column.flatten()):
        name = json.dumps(column.type.field(place).name, ensure_ascii=False)
        fields += [f"{',' if place else ''}{name}:", _with_null(json_texts(values))]
    if not fields:
        fields = [pa.array(["{}"] * len(column), pa.large_string())]
        return _where_valid(column, fields[0])
    return _where_valid(column, _joined("{", *fields, "}"))


def _map_texts(column: pa.Array) -> pa.Array:
    kind = column.type
    entry = pa.struct([pa.field("key", kind.key_type, nullable=False), pa.field("value", kind.item_type)])
    entries = column.cast(pa.large_list(entry))
    if is_nested(plain_type(kind.key_type)):
        return json_texts(entries)
    keys, values = entries.flatten().flatten()
    names = json_texts(keys)
    bare = pc.invert(pc.starts_with(names, '"'))
    names = pc.if_else(bare, _joined('"', names, '"'), names)
    return _list_texts(entries, _joined("", names, ":", _with_null(json_texts(values)), ""), "{", "}")


def _with_null(texts: pa.Array) -> pa.Array:
    return pc.fill_null(texts, pa.scalar("null", pa.large_string()))


def _where_valid(column: pa.Array, texts: pa.Array) -> pa.Array:
    if column.null_count == 0:
        return texts
    return pc.if_else(column.is_valid(), texts, pa.scalar(None, pa.large_string()))


def _joined(*parts: str | pa.Array) -> pa.Array:
    """Texts one after the other, null where one of them is."""
    scalars = [pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*scalars, pa.scalar("", pa.large_string()))
