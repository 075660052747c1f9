"""Facts of one column in a sample: what its texts spell, whether its numbers are whole, what it tells of the target."""

import re
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline_assets.task.drafting.profile import MOMENTS, Sample, Signal, family
from pipeline_assets.task.drafting.signal import of_codes, of_nulls, of_numbers

Spelled = Literal["number", "date", "timestamp", "timestamptz"]

_LOOKED_AT = 2_000  # different texts that are read for what they spell
_MISSING = frozenset(("", "?", "-", ".", "na", "n/a", "nan", "none", "null", "nil", "missing", "unknown", "нет данных"))
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_ZERO_FIRST = re.compile(r"\s*[+-]?0\d")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?")
_ZONED = re.compile(_TIMESTAMP.pattern + r"(Z|[+-]\d{2}(:?\d{2})?)")
_DAY = 86_400


def to_codes(column: pa.Array) -> npt.NDArray[np.int64]:
    """A number for each different value, the same for equal ones; null has one of its own."""
    coded = column.dictionary_encode()
    codes: npt.NDArray[np.int64] = (
        coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
    )
    return codes


def facts_of(column: pa.Array, found: str, labels: npt.NDArray[np.float64] | None) -> Sample:
    """Facts of a column.

    Args:
        column: of a sample, in the file's order: text, or numbers and moments (in seconds) as float64.
        found: its DuckDB type in the file.
        labels: of the same rows, shape (rows, outputs); ``None`` to leave out what the column tells of them.
    """
    sample = _text(column, labels) if family(found) == "text" else _number(column, found, labels)
    if labels is None or not column.null_count:
        return sample
    missing = of_nulls(column.is_null().to_numpy(zero_copy_only=False), labels)
    return replace(sample, signal=replace(sample.signal, missing=missing))


def _text(column: pa.Array, labels: npt.NDArray[np.float64] | None) -> Sample:
    rows = len(column) - column.null_count
    values = column.dictionary_encode().dictionary
    looked_at = values.slice(0, _LOOKED_AT).to_pylist()
    known = [text for text in looked_at if text.strip().lower() not in _MISSING]
    spells = _spelled(known)
    but = tuple(sorted(set(looked_at) - set(known))) if spells else ()
    signal = of_codes(to_codes(column), labels) if labels is not None else Signal()
    whole = zeros = False
    if spells == "number":
        zeros = any(_ZERO_FIRST.match(text) for text in known)
        whole = all(text.strip().lstrip("+-").isdecimal() for text in known)
        if labels is not None and not zeros:
            numbers = values.to_pylist()
            signal = of_numbers(np.array([*map(_as_number, numbers), np.nan])[to_codes(column)], labels)
    words = pc.mean(pc.count_substring_regex(column, r"\S+")).as_py() or 0.0 if rows else 0.0
    clock = spells in ("timestamp", "timestamptz") and any(text[11:19].strip("0:") for text in known)
    return Sample(rows, len(values), signal, whole=whole, spells=spells, but=but, zeros=zeros, words=words, clock=clock)


def _spelled(texts: list[str]) -> Spelled | None:
    kinds: tuple[tuple[re.Pattern[str], Spelled], ...] = (
        (_NUMBER, "number"), (_DATE, "date"), (_TIMESTAMP, "timestamp"), (_ZONED, "timestamptz"),
    )  # fmt: skip
    return next((kind for pattern, kind in kinds if texts and all(map(pattern.fullmatch, texts))), None)


def _as_number(text: str) -> float:
    return float(text) if _NUMBER.fullmatch(text) else np.nan


def _number(column: pa.Array, found: str, labels: npt.NDArray[np.float64] | None) -> Sample:
    values = column.to_numpy(zero_copy_only=False).astype(np.float64)
    finite = np.isfinite(values)
    known = values[finite]
    moment = family(found) in MOMENTS
    steps = np.diff(known)
    usable = np.where(finite, values, np.nan)
    return Sample(
        rows=len(column) - column.null_count,
        distinct=len(np.unique(known)),
        signal=of_numbers(usable, labels) if labels is not None and len(known) else Signal(),
        whole=bool(len(known)) and bool((known == np.floor(known)).all()),
        rising=len(known) > 2 and len(known) == len(values) and bool((steps > 0).all()),  # noqa: PLR2004
        sorted=float((steps >= 0).mean()) if len(steps) else 0.0,
        clock=moment and bool((known % _DAY != 0).any()),
    )
