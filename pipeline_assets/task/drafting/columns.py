"""Drafts the contract: type, nulls and stage of each column, with what was seen of its values as a comment."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from pipeline_assets.task import sql
from pipeline_assets.task.drafting.profile import (
    MOMENTS,
    NUMBERS,
    ColumnProfile,
    FileProfile,
    TargetProfile,
)
from pipeline_assets.task.drafting.scalars import flow, listed, scalar
from pipeline_assets.task.drafting.words import percent, shown
from pipeline_assets.task.spec import READERS_OWN, Stage, column_name_problem
from pipeline_assets.task.types import INTEGERS

_ALLOWED = 12  # so many values can be listed on a line
_EXAMPLES = 3
_DIGITS = 4  # of the bounds of numbers with decimals
_EXACT_IN_FLOAT64, _EXACT_CENTS = 2**53, 10**11


@dataclass(frozen=True)
class DraftedColumn:
    """One column of the contract.

    Attributes:
        comment: what was seen, with a rule that would hold new files to it.
    """

    name: str
    type: str
    nullable: bool
    stage: Stage | None
    comment: str

    @property
    def line(self) -> tuple[str, str, str]:
        """Key, value and comment."""
        pairs: dict[str, Any] = {"type": self.type}
        if self.nullable:
            pairs["nullable"] = True
        if self.stage is not None:
            pairs["stage"] = self.stage
        return scalar(self.name), flow(pairs), self.comment


def unusable(columns: Iterable[ColumnProfile], first: Iterable[str] = ()) -> dict[str, str]:
    """Why columns cannot be in a contract, by their names; those that can are not there.

    Args:
        columns: of a file.
        first: of columns whose names differ by case alone, these are in the contract; else the one that comes first.
    """
    taken = {name.lower(): name for name in first}
    found = {}
    for column in columns:
        reason = _unusable(column)
        other = taken.setdefault(column.name.lower(), column.name) if not reason else column.name
        if reason or other != column.name:
            found[column.name] = reason or f"differs from {other} by case alone, which SQL does not tell apart"
    return found


def _unusable(column: ColumnProfile) -> str:
    """Why a column alone cannot be in a contract; empty if it can."""
    name, low = column.name, column.name.lower()
    if column.type is None:
        return column.refused
    if low in READERS_OWN or low == "predicted_at" or low.startswith("choice_"):
        return "the pipeline has a column of this name itself"
    return column_name_problem(name) or ""


def contract_columns(
    train: FileProfile, predict: FileProfile | None, target: TargetProfile, bare: Mapping[str, str]
) -> tuple[DraftedColumn, ...]:
    """The contract of one or two files: the train file's columns in order, then those that only predict files have.

    Args:
        bare: each column as SQL, without quotes where it needs none.
    """
    bad = unusable(train.columns.values(), target.columns)
    drafted = [_column(one, predict, target, bare) for name, one in train.columns.items() if name not in bad]
    if predict is not None:
        rest = [one for name, one in predict.columns.items() if name not in train.columns]
        bad = unusable(rest, train.columns)
        drafted += [_only_predict(one, bare) for one in rest if one.name not in bad]
    return tuple(drafted)


def _column(
    column: ColumnProfile, predict: FileProfile | None, target: TargetProfile, bare: Mapping[str, str]
) -> DraftedColumn:
    other = predict.columns.get(column.name) if predict is not None else None
    kind, note = _common_type(column, other)
    stage: Stage | None = None
    comments = [note]
    if predict is None and column.name in target.columns:
        stage = "train"
        comments.append("files to predict lack it; or no stage, if they have it")
    elif predict is not None and other is None:
        stage = "train"
    nullable = column.nulls > 0 or (other is not None and other.nulls > 0) or column.name in target.columns
    seen = [column] if other is None else [column, other]
    comments += _seen(seen, kind, bare)
    return DraftedColumn(column.name, kind, nullable, stage, "; ".join(one for one in comments if one))


def _only_predict(column: ColumnProfile, bare: Mapping[str, str]) -> DraftedColumn:
    kind = column.type or column.found
    return DraftedColumn(column.name, kind, column.nulls > 0, "predict", "; ".join(_seen([column], kind, bare)))


def _common_type(train: ColumnProfile, predict: ColumnProfile | None) -> tuple[str, str]:
    """The contract type of a column in two files, and what a person should know of it."""
    mine = train.type or train.found
    theirs = mine if predict is None else predict.type or predict.found
    if predict is None or mine == theirs or predict.family == "null":
        return mine, ""
    if train.family == "null":
        return theirs, ""
    both = f"{mine} in the train file, {theirs} in the one to predict"
    if mine in INTEGERS and theirs in INTEGERS:
        return _wider(mine, theirs), both
    families = {train.family, predict.family}
    if "float" in families and families <= {"integer", "float", "decimal"} and _fits_float(train, predict):
        return "float64", both
    if {mine, theirs} == {"date", "timestamp"}:
        return "timestamp", both
    return mine, f"{both}: values that cannot be {mine} will be rejected"


def _wider(mine: str, theirs: str) -> str:
    """The narrowest type that holds all values of both."""
    signed = [name for name in INTEGERS if name.startswith("int")]
    if mine.startswith("int") == theirs.startswith("int"):
        return max(mine, theirs, key=lambda name: int(name.lstrip("uint")))
    bits = max(int(name.lstrip("uint")) * (2 if name.startswith("u") else 1) for name in (mine, theirs))
    return next((name for name in signed if int(name.removeprefix("int")) >= bits), "int64")


def _fits_float(*columns: ColumnProfile) -> bool:
    return all(
        column.family == "float"
        or column.low is None
        or max(abs(column.low), abs(column.high)) <= (_EXACT_IN_FLOAT64 if column.family == "integer" else _EXACT_CENTS)
        for column in columns
    )


def _seen(columns: Iterable[ColumnProfile], kind: str, bare: Mapping[str, str]) -> list[str]:
    """What was seen, in all files together; the rule is as it would stand in the YAML."""
    some = list(columns)
    first = some[0]
    rows, nulls = sum(one.rows for one in some), sum(one.nulls for one in some)
    said = []
    if nulls == rows:
        return ["null in every row"]
    if nulls:
        said.append(f"{percent(nulls / rows)} null")
    if odd := sum(one.odd for one in some):
        said.append(f"{odd:,} NaN or infinite")
    known = [one for one in some if one.low is not None]
    if known and first.family != "bool" and first.family in (*NUMBERS, *MOMENTS, "time"):
        low, high = _bounds(known)
        if low is None:
            return said
        name = bare[first.name]
        rule = f"{name} between {_literal(_rounded(low, up=False))} and {_literal(_rounded(high, up=True))}"
        said.append(f"always {shown(low)}" if low == high else f"check: {scalar(rule, in_flow=True)}")
    elif kind == "string":
        said += _texts(first)
    return said


def _bounds(columns: Sequence[ColumnProfile]) -> tuple[Any, Any]:
    """The smallest and the largest value in all files; ``None`` twice where they cannot be compared."""
    kinds = {type(bound) for one in columns for bound in (one.low, one.high)}
    # DuckDB gives moments that Python cannot hold as text; a date cannot be compared with a timestamp.
    if len(columns) > 1 and (str in kinds or (len(kinds) > 1 and not kinds <= {int, float, Decimal})):
        return None, None
    if str in kinds:
        return str(columns[0].low), str(columns[0].high)
    return min(one.low for one in columns), max(one.high for one in columns)


def _texts(column: ColumnProfile) -> list[str]:
    if not column.values:
        return [f"{column.many} texts"] if column.distinct else []
    values = [value for value, _ in column.values]
    if len(values) <= _ALLOWED and sum(len(value) for value in values) < 70 and all(map(str.isprintable, values)):  # noqa: PLR2004
        return [f"allowed: {listed(sorted(values))}"]
    some = ", ".join(shown(value) for value in values[:_EXAMPLES])
    return [f"{len(values):,} texts, such as {some}"]


def _rounded(value: Any, *, up: bool) -> Any:
    """A float with few digits, on the outer side of what was seen."""
    if not isinstance(value, float) or value == 0:
        return value
    digits = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    step = Decimal(1).scaleb(-digits)
    return float(Decimal(repr(value)).quantize(step, ROUND_CEILING if up else ROUND_FLOOR))


def _literal(value: Any) -> str:
    if isinstance(value, datetime | date):
        return sql.text(str(value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_IN_FLOAT64:
        return str(int(value))
    return sql.literal(value)
