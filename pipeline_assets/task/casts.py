"""How a column of a file gets the type of the contract, and how to find values that do not have this type."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.types as pat

from pipeline_assets.errors import ContractError
from pipeline_assets.task.spec import Column
from pipeline_assets.task.types import INTEGERS, arrow_type, contract_name, duckdb_type, type_of_duckdb

# What every store can keep, and calendars have: the first and the last value of a type, and what the others are.
_YEARS = "outside of the years 1 to 9999"
LIMITS = {
    "date": ("DATE '0001-01-01'", "DATE '9999-12-31'", _YEARS),
    "timestamp": ("TIMESTAMP '0001-01-01'", "TIMESTAMP '9999-12-31 23:59:59.999999'", _YEARS),
    "timestamptz": ("TIMESTAMPTZ '0001-01-01 00:00:00Z'", "TIMESTAMPTZ '9999-12-31 23:59:59.999999Z'", _YEARS),
    "time": ("TIME '00:00:00'", "TIME '23:59:59.999999'", "no time of day"),
    "time_ns": ("TIME_NS '00:00:00'", "TIME_NS '23:59:59.999999999'", "no time of day"),
}


@dataclass(frozen=True)
class Cast:
    """How a column gets its contract type.

    Attributes:
        found: its DuckDB type in the file.
        kind: the contract type.
    """

    found: str
    kind: str

    def typed(self, source: str) -> str:
        """SQL over the raw column; null where the value does not have the type."""
        cast = "cast" if self._always_fits else "try_cast"
        return f"{cast}({source} as {duckdb_type(self.kind)})"

    def lossy(self, raw: str, typed: str) -> str | None:
        """SQL that is true where the value does not have the type; ``None`` if every value has it.

        Args:
            raw: SQL of the raw value.
            typed: SQL of the value from :meth:`typed`.
        """
        if self._always_fits:
            return None
        if self.found in ("VARCHAR", "JSON"):
            return f"({raw} is not null and not {_spells(self.kind, raw, typed)})"
        return f"({raw} is distinct from try_cast({typed} as {self.found}))"

    @property
    def _always_fits(self) -> bool:
        found, target = type_of_duckdb(self.found), arrow_type(self.kind)
        return found in (target, pa.null()) or (found, target) == (pa.json_(), pa.string())


def cast(name: str, column: Column, found: str) -> Cast:
    """How a column of one DuckDB type gets the contract's type.

    Raises:
        ContractError: no value of the found type could have the contract's type.
    """
    kind = type_of_duckdb(found)
    if kind is None or not _castable(kind, arrow_type(column.type)):
        raise ContractError(
            "a column cannot have its contract type", column=name, found=contract_name(found), expected=column.type
        )
    return Cast(found, column.type)


def _castable(found: pa.DataType, target: pa.DataType) -> bool:
    """Whether at least some values of a type can be cast to another: between plain types of one group, or text."""
    if pat.is_null(found) or found == target:
        return True
    if pat.is_nested(found) or pat.is_nested(target):
        return found.id == target.id and _castable_within(found, target)
    groups = {_group(found), _group(target)}
    return None not in groups and (len(groups) == 1 or "text" in groups)


def _castable_within(found: pa.DataType, target: pa.DataType) -> bool:
    if pat.is_map(found):
        return _castable(found.key_type, target.key_type) and _castable(found.item_type, target.item_type)
    if pat.is_list(found):
        return _castable(found.value_type, target.value_type)
    types = {found.field(place).name: found.field(place).type for place in range(found.num_fields)}
    wanted = {target.field(place).name: target.field(place).type for place in range(target.num_fields)}
    # A field that only one of them has would be lost, or made up.
    return types.keys() == wanted.keys() and all(_castable(types[name], wanted[name]) for name in types)


def _group(kind: pa.DataType) -> str | None:
    """The group of types within which at least some values can be cast; ``None`` for types that cannot be cast."""
    if pat.is_boolean(kind) or pat.is_integer(kind) or pat.is_floating(kind) or pat.is_decimal(kind):
        return "number"
    if pat.is_date(kind) or pat.is_timestamp(kind):
        return "moment"
    if pat.is_time(kind):
        return "time"
    return {pa.string(): "text", pa.json_(): "text", pa.uuid(): "uuid"}.get(kind)


def _spells(kind: str, raw: str, typed: str) -> str:
    """SQL that is true if text spells exactly the value it is cast to; DuckDB's cast alone would round 1.5 to 2."""
    if kind in INTEGERS:
        return f"coalesce({typed} is not null and regexp_full_match(trim({raw}), '[+-]?[0-9]+'), false)"
    if kind.startswith("decimal"):
        scale = int(kind.rstrip(") ").rsplit(",", 1)[1])
        digits = f"'[+-]?[0-9]*([.][0-9]{{0,{scale}}}0*)?'"
        return f"coalesce({typed} is not null and regexp_full_match(trim({raw}), {digits}), false)"
    if kind == "date":
        return f"coalesce(try_cast({raw} as TIMESTAMP) = {typed}::TIMESTAMP, false)"
    return f"({typed} is not null)"
