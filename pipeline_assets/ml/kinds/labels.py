"""What kinds share in making a label of the target's value: which types can be one, and numbers that are none."""

import re
from collections.abc import Mapping
from typing import Any

from pipeline_assets.task import sql
from pipeline_assets.task.expressions import casts
from pipeline_assets.task.spec import Target

_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


def is_nested(duckdb_type: str) -> bool:
    """Whether values of a DuckDB type have parts."""
    return duckdb_type.endswith("]") or duckdb_type.startswith(_NESTED)


def is_float(duckdb_type: str) -> bool:
    """Whether values of a DuckDB type may be NaN or infinite."""
    return duckdb_type in ("FLOAT", "DOUBLE")


def value(target: Target, duckdb_type: str) -> str:
    """SQL of the target's value; null where it is NaN, which is no value but the lack of one."""
    text = f"(\n{target.expression}\n)"
    return cases(text, {"isnan(v)": "null"}) if is_float(duckdb_type) else text


def cases(expression: str, instead: Mapping[str, str]) -> str:
    """SQL of an expression's value, or of another one where the value ``v`` fulfils a condition.

    The expression is written once: DuckDB computes what it finds twice beforehand, outside of ``try``.

    Args:
        expression: SQL.
        instead: SQL of the other values by their conditions, both over ``v``.
    """
    when = " ".join(f"when {condition} then {other}" for condition, other in instead.items())
    return f"list_transform([{expression}], lambda v: case {when} else v end)[1]" if instead else expression


def refused(target: Target, kind: str, *, positive: bool = False, transform: bool = False) -> dict[str, str]:
    """The keys of a target that its kind does not have, with the reason.

    Args:
        target: of a task.
        kind: its name.
        positive: whether the kind has this key, like the next one.
        transform: whether the kind has it.
    """
    found = {}
    if target.positive is not None and not positive:
        found["positive"] = f"says which value is label 1, and the kind {kind} has no such label; leave it out"
    if target.transform is not None and not transform:
        found["transform"] = f"is for numbers, and a target of the kind {kind} is none; leave it out"
    return found


def not_of_type(given: Any, duckdb_type: str) -> str | None:
    """Why a value of the YAML cannot be one of a DuckDB type; ``None`` if it can."""
    if isinstance(given, list | dict):
        return f"{given!r} is no single value"
    if isinstance(given, bool) and duckdb_type != "BOOLEAN":
        written, text = ("yes, on or true", "yes") if given else ("no, off or false", "no")
        return f'YAML reads {written} without quotes as a boolean; quote it if the text is meant, as in "{text}"'
    # A cast to whole numbers rounds 1.5 to 2.
    whole = duckdb_type.removeprefix("U") not in _WHOLE or _is_whole(given)
    if not whole or not casts(sql.literal(given), duckdb_type):
        return f"{given!r} is no value of the target, whose type is {duckdb_type}"
    return None


def _is_whole(given: Any) -> bool:
    if isinstance(given, float):
        return given.is_integer()
    return isinstance(given, int) or re.fullmatch(r"[+-]?[0-9]+", str(given).strip()) is not None
