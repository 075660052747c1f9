"""How a column of a file gets the type of the contract, and how to find values that do not have this type."""

from dataclasses import dataclass

from pipeline_assets.errors import ContractError
from pipeline_assets.task.spec import Column
from pipeline_assets.task.types import INTEGERS, contract_name, duckdb_type
from pipeline_assets.task.validation import NUMBER

# DuckDB's name for a column without a type: Arrow's null.
NO_TYPE = '"NULL"'


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
        target = duckdb_type(self.kind)
        return self.found in (target, NO_TYPE) or (self.found, target) == ("JSON", "VARCHAR")


def cast(name: str, column: Column, found: str) -> Cast:
    """How a column of one DuckDB type gets the contract's type.

    Raises:
        ContractError: no value of the found type could have the contract's type.
    """
    target = duckdb_type(column.type)
    if found not in (target, NO_TYPE):
        from_, to = _family(found), _family(target)
        if from_ is None or to is None or (from_ != to and "text" not in (from_, to)):
            raise ContractError(
                "a column cannot have its contract type", column=name, found=contract_name(found), expected=column.type
            )
    return Cast(found, column.type)


def _family(kind: str) -> str | None:
    """The group of types within which at least some values can be cast; ``None`` for types that cannot be cast."""
    if NUMBER.match(kind):
        return "number"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return "moment"
    if kind.startswith("TIME"):
        return "time"
    return {"VARCHAR": "text", "JSON": "text", "UUID": "uuid"}.get(kind)


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
