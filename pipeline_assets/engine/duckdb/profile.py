"""Looks at a file before there is a task for it: facts of each column from one flat pass, and from a bounded sample."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from pipeline_assets.engine.duckdb.failures import computable, space_in, values_are_values
from pipeline_assets.engine.duckdb.key_spill import key_spill
from pipeline_assets.engine.duckdb.sampled import facts_of, to_codes
from pipeline_assets.engine.duckdb.scan import Scan, readable
from pipeline_assets.engine.duckdb.wanted import TARGET, Wanted
from pipeline_assets.task import sql
from pipeline_assets.task.contract import ROW, raw
from pipeline_assets.task.drafting import signal
from pipeline_assets.task.drafting.profile import (
    MOMENTS,
    NUMBERS,
    ColumnProfile,
    FileProfile,
    Sample,
    TargetProfile,
    family,
)
from pipeline_assets.task.drafting.rows import may_be_key
from pipeline_assets.task.drafting.target import TargetGuess
from pipeline_assets.task.types import contract_type_of

# The whole process stays below a gigabyte; Python, Arrow and the sample need the rest.
MEMORY = "400MB"
_COLUMNS_AT_ONCE = 50
SAMPLED_ROWS = 100_000
_FEWEST_SAMPLED = 10_000
_SAMPLED_CELLS = 10_000_000
# A multiple of the golden ratio spreads consecutive rows evenly over 0 .. 2**32, the same on every machine.
_SPREAD, _RANGE = 2_654_435_761, 2**32
_COUNTED = 200  # texts with about so many values have them counted
_COUNTED_TARGET = 2_000
_SKETCH_ERRS = 1.2
_TEXT = 100  # characters of a text that the sample keeps
_TEXTS_AT_ONCE = 10
_ORDER_ROWS, _ORDER_COLUMNS = 20_000, 30
_KEYS = 3  # columns that are looked at for repeated values
# Types of nanoseconds, and those that more functions take.
_MICROSECONDS = {"TIMESTAMP_NS": "TIMESTAMP", "TIMESTAMPTZ_NS": "TIMESTAMP WITH TIME ZONE", "TIME_NS": "TIME"}
_Item = TypeVar("_Item")


@dataclass
class Profiler:
    """Looks at one file, step by step.

    Args:
        view: of the file.
        paths: of its parts, for errors.
        source: its name, for comments.
        spill: folder for data that does not fit in memory.
    """

    view: Scan
    paths: Sequence[Path]
    source: str
    spill: Path

    def __post_init__(self) -> None:
        self.view.connection.execute(f"set memory_limit = '{MEMORY}'")

    def columns(self) -> dict[str, ColumnProfile]:
        """Facts of all columns from one pass over all rows, then the values of texts that have few."""
        found: dict[str, ColumnProfile] = {}
        for some in _parts(enumerate(self.view.columns.items())):
            asked = {name: (raw(place), kind) for place, (name, kind) in some}
            found |= self._flat(asked, "raw")
        found = {name: _with_type(one, self.view.schema.field(at).type) for at, (name, one) in enumerate(found.items())}
        texts = {
            raw(place): name
            for place, name in enumerate(self.view.columns)
            if found[name].family == "text" and 0 < (found[name].distinct or 0) <= _COUNTED
        }
        for few in _parts(texts.items()):
            (row,) = self._ask(f"select {', '.join(f'histogram({column}::VARCHAR)' for column, _ in few)} from raw")
            for (_, name), counts in zip(few, row, strict=True):
                found[name] = replace(found[name], values=_most_first(counts.items()), distinct=len(counts), exact=True)
        return found

    def target(self, want: Wanted) -> TargetProfile:
        """Facts of the target."""
        profile = self._flat({want.expression: (TARGET, want.found)}, want.source)[want.expression]
        counts: tuple[tuple[Any, int], ...] = ()
        if 0 < (profile.distinct or 0) <= _COUNTED_TARGET:
            rows = self._ask(
                f"select {TARGET}, count(*) from {want.source} where {_labelled(profile)} group by all order by all"
            )
            counts = _most_first(rows)
            profile = replace(profile, distinct=len(counts), exact=True)
        if family(want.found) in (*NUMBERS, "text") and profile.filled:
            sample = self._target_sample(want, profile)
            profile = _with_sample(profile, sample)
        name = want.columns[0] if want.expression == sql.name(want.columns[0]) else want.expression
        found = TargetProfile(name, want.columns, replace(profile, name=name), counts)
        if profile.family in NUMBERS and profile.family != "bool" and profile.filled:
            found = replace(found, **self._shape(want, profile))
        return found

    def _flat(self, asked: dict[str, tuple[str, str]], source: str) -> dict[str, ColumnProfile]:
        """Facts of some columns.

        Args:
            asked: SQL and DuckDB type of each column.
            source: what they are selected from.
        """
        wanted_facts = {name: _facts(column, kind) for name, (column, kind) in asked.items()}
        selected = ", ".join(fact for facts in wanted_facts.values() for fact in facts.values())
        (row,) = self._ask(f"select count(*), {selected} from {source}")
        rows, values = row[0], iter(row[1:])
        found = {}
        for name, (_, kind) in asked.items():
            told = {fact: next(values) for fact in wanted_facts[name]}
            nulls = rows - told.pop("filled")
            if "distinct" in told:
                told["distinct"] = min(told["distinct"], rows - nulls, _at_most(told, kind))
            found[name] = ColumnProfile(name=name, found=kind, rows=rows, nulls=nulls, **told)
        return found

    def _target_sample(self, want: Wanted, profile: ColumnProfile) -> Sample:
        batch = self._sample({TARGET: (TARGET, want.found)}, want, profile, SAMPLED_ROWS)
        return facts_of(batch.column(0), want.found, None)

    def _shape(self, want: Wanted, profile: ColumnProfile) -> dict[str, Any]:
        """Skewness of a target that is a number, and what its order tells of other columns."""
        places = {name: place for place, name in enumerate(self.view.columns)}
        others = [
            name
            for name, kind in self.view.columns.items()
            if name not in want.columns and family(kind) in NUMBERS and family(kind) != "bool"
        ][:_ORDER_COLUMNS]
        few = (profile.distinct or 0) <= _COUNTED
        asked = {TARGET: (TARGET, want.found)} | {
            name: (raw(places[name]), self.view.columns[name]) for name in (others if few else ())
        }
        table = self._sample(asked, want, profile, _ORDER_ROWS)
        target, *columns = (column.to_numpy(zero_copy_only=False).astype(np.float64) for column in table.columns)
        found: dict[str, Any] = {}
        if len(target) and target.min() >= 0:
            found["skew"] = (signal.skew(target), signal.skew(np.log1p(target)))
        if columns and len(target):
            found["order"] = signal.order_share(target, columns)
        return found

    def sampled(
        self, columns: dict[str, ColumnProfile], want: Wanted, target: TargetProfile, guess: TargetGuess
    ) -> FileProfile:
        """The file's profile, with what each column tells of the target in a sample of labelled rows."""
        asked = {
            name: (raw(place), kind)
            for place, (name, kind) in enumerate(self.view.columns.items())
            if name not in want.columns
            and columns[name].type is not None
            and columns[name].filled
            and family(kind) in (*NUMBERS, *MOMENTS, "time", "text")
        }
        most = min(SAMPLED_ROWS, max(_FEWEST_SAMPLED, _SAMPLED_CELLS // max(len(asked), 1)))
        found, rows = dict(columns), 0
        texts = {name: each for name, each in asked.items() if family(each[1]) == "text"}
        others = {name: each for name, each in asked.items() if name not in texts}
        for some in (*_parts(others.items()), *_parts(texts.items(), _TEXTS_AT_ONCE)):
            table = self._sample({**dict(some), TARGET: (TARGET, want.found)}, want, target.profile, most)
            rows = table.num_rows
            labels = _labels(table.column(table.num_columns - 1), want, guess)
            for (name, (_, kind)), column in zip(some, table.columns, strict=False):
                sample = facts_of(column, kind, labels)
                found[name] = _with_sample(found[name], sample)
        found = self._unique(found, want)
        return FileProfile(self.source, self.view.rows, found, rows)

    def _unique(self, columns: dict[str, ColumnProfile], want: Wanted) -> dict[str, ColumnProfile]:
        """The columns that may be keys, with whether they are unique: all rows are looked at, in bounded memory."""
        places = {name: place for place, name in enumerate(self.view.columns)}
        likely = [name for name, one in columns.items() if name not in want.columns and may_be_key(one)]
        likely = sorted(likely, key=lambda name: (len(name), name))[:_KEYS]
        for name in likely:
            with key_spill(self.spill) as keys:
                query = f"select hash({raw(places[name])}) as hash from raw"
                with self._errors():
                    for batch in self.view.stream(query):
                        keys.add(batch.column(0).to_numpy())
                unique = not len(keys.repeated())
            columns[name] = replace(columns[name], unique=unique)
        return columns

    def _sample(
        self, asked: dict[str, tuple[str, str]], want: Wanted, target: ColumnProfile, most: int
    ) -> pa.RecordBatch:
        """Columns of labelled rows, spread evenly over the file, in its order: numbers and moments as DOUBLE."""
        labelled = max(target.filled - target.odd, 1)
        share = min(1.0, most / labelled)
        spread = "" if share == 1 else f" and ({ROW} * {_SPREAD}) % {_RANGE} < {int(share * _RANGE)}"
        columns = ", ".join(
            f"{_as_sampled(column, kind)} as __{at}" for at, (column, kind) in enumerate(asked.values())
        )
        with self._errors():
            table = self.view.connection.sql(
                f"select {columns} from {want.source} where {_labelled(target)}{spread}"
            ).to_arrow_table()
        return table.combine_chunks().to_batches()[0] if table.num_rows else _empty(table.schema)

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        with self._errors():
            return self.view.connection.sql(query).fetchall()

    def _errors(self) -> AbstractContextManager[None]:
        return _reading(self.paths, self.spill)


@contextmanager
def _reading(paths: Sequence[Path], spill: Path) -> Iterator[None]:
    with computable("the look at the file", spill), readable(paths), space_in(spill), values_are_values(paths):
        yield


def _parts(values: Iterable[_Item], size: int = _COLUMNS_AT_ONCE) -> Iterator[list[_Item]]:
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


def _most_first(counts: Iterable[tuple[Any, int]]) -> tuple[tuple[Any, int], ...]:
    return tuple(sorted(counts, key=lambda each: (-each[1], str(each[0]))))


def _with_type(profile: ColumnProfile, came: pa.DataType) -> ColumnProfile:
    """The profile with the contract's type, or why there is none."""
    try:
        return replace(profile, type=contract_type_of(came, nanoseconds=profile.cut > 0))
    except ValueError as error:
        return replace(profile, refused=str(error))


def _at_most(told: dict[str, Any], kind: str) -> int:
    """How many different values there can be between the smallest and the largest."""
    whole = family(kind) == "integer" and told.get("low") is not None
    return int(told["high"] - told["low"] + 1) if whole else sys.maxsize


def _with_sample(profile: ColumnProfile, sample: Sample) -> ColumnProfile:
    """The profile with facts of the sample, which has the exact number of values if it has all rows whole.

    Long texts are cut and large numbers rounded there; then the sketch counts clearly more.
    """
    whole = _at_most({"low": profile.low, "high": profile.high}, profile.found) == sample.distinct or (
        sample.rows == profile.filled and (profile.distinct or 0) <= _SKETCH_ERRS * sample.distinct
    )
    if not profile.exact and whole:
        return replace(profile, sample=sample, distinct=sample.distinct, exact=True)
    return replace(profile, sample=sample)


def _facts(column: str, kind: str) -> dict[str, str]:
    """Aggregates of a column, by the names of :class:`ColumnProfile`; ``filled`` counts what is not null."""
    facts = {"filled": f"count({column})"}
    group = family(kind)
    if group in ("other", "null"):
        return facts
    facts["distinct"] = f"approx_count_distinct({column})"
    if group == "float":
        facts["low"] = f"min({column}) filter (isfinite({column}))"
        facts["high"] = f"max({column}) filter (isfinite({column}))"
        facts["odd"] = f"count_if(not isfinite({column}))"
    elif group != "text":
        facts["low"], facts["high"] = f"min({column})", f"max({column})"
    if kind in _MICROSECONDS:
        cut = f"{column}::{_MICROSECONDS[kind]}"
        facts["cut"] = f"count_if({cut}::{kind} <> {column})"
        facts["low"], facts["high"] = f"min({cut})", f"max({cut})"
    return facts


def _labelled(target: ColumnProfile) -> str:
    finite = f" and isfinite({TARGET})" if target.family == "float" else ""
    return f"{TARGET} is not null{finite}"


def _as_sampled(column: str, kind: str) -> str:
    group = family(kind)
    column = f"{column}::{_MICROSECONDS[kind]}" if kind in _MICROSECONDS else column
    if group == "text":
        return f"left({column}::VARCHAR, {_TEXT})"
    return f"epoch({column})::DOUBLE" if group in (*MOMENTS, "time") else f"{column}::DOUBLE"


def _labels(column: pa.Array, want: Wanted, guess: TargetGuess) -> Any:
    if guess.classes:
        return signal.labels(to_codes(column), classes=True)
    if family(want.found) == "text":
        with np.errstate(all="ignore"):
            numbers = np.array([_number(value) for value in column.to_pylist()])
        return signal.labels(numbers, classes=False)
    return signal.labels(column.to_numpy(zero_copy_only=False), classes=False)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)
