"""The target that a user names for a task to draft: a column of the file, or an expression over its columns."""

from dataclasses import dataclass

from pipeline_assets.engine.duckdb.scan import Scan
from pipeline_assets.errors import TaskError
from pipeline_assets.task import sql
from pipeline_assets.task.contract import raw
from pipeline_assets.task.drafting.profile import family
from pipeline_assets.task.expressions import ExpressionError, read
from pipeline_assets.task.names import did_you_mean, listed

TARGET = "__target"


@dataclass(frozen=True)
class Wanted:
    """The target in a file: an expression, the columns that it uses, and how it is computed from the view ``raw``.

    Attributes:
        source: SQL of the view with the column ``__target``; null where the target cannot be computed.
        found: the target's DuckDB type.
    """

    expression: str
    columns: tuple[str, ...]
    source: str
    found: str


def wanted(view: Scan, target: str) -> Wanted:
    """The target as a column of the file, or else as an expression over its columns.

    Raises:
        TaskError: it is neither; the error names what is near.
    """
    places = {name: place for place, name in enumerate(view.columns)}
    if target in places:
        source = f"(select *, {raw(places[target])} as {TARGET} from raw)"
        return Wanted(sql.name(target), (target,), source, view.columns[target])
    known = {name: found for name, found in view.columns.items() if family(found) != "other"}
    try:
        found = read(target, known)
    except ExpressionError as error:
        raise TaskError(
            f"the file has no such target{did_you_mean(target, view.columns)}",
            found=target,
            expected=f"a column, or an expression over columns ({error})",
            available=listed(view.columns),
        ) from error
    if not found.columns:
        raise TaskError("the target uses no column of the file", found=target, available=listed(view.columns))
    named = ", ".join(f"{raw(places[name])} as {sql.name(name)}" for name in found.columns)
    source = f"(select *, try((\n{target}\n)) as {TARGET} from (select *, {named} from raw))"
    return Wanted(target, found.columns, source, found.type)
