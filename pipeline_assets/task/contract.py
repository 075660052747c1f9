"""The contract as SQL: which rows of a raw file may be used, and what is wrong with the others.

A value has its contract type if casting it there and back gives it again; text has a number's type if it spells
one. So a file may come with narrower or wider types than the contract names, and nothing is ever rounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline_assets.errors import ContractError
from pipeline_assets.task import sql
from pipeline_assets.task.expressions import ExpressionError, read
from pipeline_assets.task.spec import TECHNICAL, Column, Stage, TaskSpec
from pipeline_assets.task.types import INTEGERS, contract_name, duckdb_type
from pipeline_assets.task.validation import NUMBER, stage_types

# One bit a rule; DuckDB's UBIGINT holds 64 of them, and a row carries as many words as its rules need.
RULES_PER_WORD = 64
BROKEN = "__broken_"
KEY_HASH = "__key_hash"
UNLABELLED = "__unlabelled"


@dataclass(frozen=True)
class Rule:
    """One way to break the contract.

    Attributes:
        name: as the counts of reasons show it.
        broken: SQL over the typed row, true for a row that breaks the rule.
        reason: SQL over the same row: the sentence of the rejected file, with the value that was found.
    """

    name: str
    broken: str
    reason: str


@dataclass(frozen=True)
class Contract:
    """A task's contract laid over the columns that one file has: the queries that hold the file to it.

    They read a view ``raw``: ``row_number`` and the file's columns as they came.

    Attributes:
        raw: the file's columns.
        casts: for each column of the contract, how it gets its type.
        rules: in the order of the task.
        unexpected: columns of the file that the contract does not know.
    """

    task: TaskSpec
    stage: Stage
    raw: tuple[str, ...]
    casts: Mapping[str, "Cast"]
    rules: tuple[Rule, ...]
    unexpected: tuple[str, ...]

    @property
    def words(self) -> int:
        """How many words hold one bit a rule."""
        return -(-len(self.rules) // RULES_PER_WORD)

    @property
    def typed(self) -> str:
        """SELECT list that gives every column of the contract its type; true to the value on accepted rows."""
        return ", ".join(f"{cast.typed} as {sql.name(name)}" for name, cast in self.casts.items())

    def check_query(self) -> str:
        """A row a raw row, in file order.

        Columns: ``row_number``, a word ``__broken_<i>`` for each 64 rules, ``__key_hash`` where the task has a
        key, ``__unlabelled`` in train.
        """
        columns = ["row_number"]
        for word in range(self.words):
            rules = self.rules[word * RULES_PER_WORD : (word + 1) * RULES_PER_WORD]
            flags = (f"case when {rule.broken} then {1 << bit}::UBIGINT else 0 end" for bit, rule in enumerate(rules))
            columns.append(f"({' | '.join(flags)})::UBIGINT as {BROKEN}{word}")
        if self.task.key:
            columns.append(f"hash({self._key}) as {KEY_HASH}")
        if self.stage == "train":
            columns.append(f"(\n{self.task.target.expression}\n) is null as {UNLABELLED}")
        return f"select {', '.join(columns)} from (select row_number, {self._typed_and_raw} from raw)"

    def rejected_query(self) -> str:
        """A row a rejected row, in file order: ``row_number``, ``reason`` and the row as it came.

        A row rejected for its key alone comes with an empty reason.
        """
        reasons = ", ".join(f"case when {rule.broken} then {rule.reason} end" for rule in self.rules) or "null"
        as_it_came = "".join(f", {_raw(place)} as {sql.name(name)}" for place, name in enumerate(self.raw))
        return (
            f"select row_number, concat_ws('; ', {reasons}) as reason{as_it_came}"
            f" from (select row_number, {self._typed_and_raw} from raw where {in_bits('rejected')})"
        )

    def key_hash_query(self) -> str:
        """A row a raw row, in file order: ``row_number`` and ``__key_hash``, as :meth:`check_query` has it."""
        return f"select row_number, hash({self._key}) as {KEY_HASH} from (select row_number, {self.typed} from raw)"

    def verdicts_query(self) -> str:
        """A row a raw row, a column a rule, by its place: why the row breaks it, null if it does not."""
        verdicts = (f'case when {rule.broken} then {rule.reason} end as "{at}"' for at, rule in enumerate(self.rules))
        return f"select {', '.join(verdicts) or 'null'} from (select row_number, {self._typed_and_raw} from raw)"

    def repeated_key_query(self) -> str:
        """Rows whose key an earlier row has: ``row_number`` and ``first``, the row that came first with it.

        Looks only at rows in the bits ``suspects``: those whose key's hash came more than once.
        """
        return (
            "select row_number, first from"
            f" (select row_number, min(row_number) over (partition by {self._key}) as first"
            f" from (select row_number, {self.typed} from raw where {in_bits('suspects')}))"
            f" where first < row_number order by row_number"
        )

    @property
    def _key(self) -> str:
        return ", ".join(sql.name(column) for column in self.task.key)

    @property
    def _typed_and_raw(self) -> str:
        as_it_came = "".join(f", {sql.name(name)} as {_raw(place)}" for place, name in enumerate(self.raw))
        return f"{self.typed}{as_it_came}"


@dataclass(frozen=True)
class Cast:
    """How a column gets its contract type.

    Attributes:
        typed: SQL over the raw column.
        lossy: SQL over typed and raw columns, true where the value has no such type; ``None``: never.
    """

    typed: str
    lossy: str | None = None


def _raw(place: int) -> str:
    return f"__raw_{place}"


def in_bits(variable: str) -> str:
    """SQL that is true for rows whose bit is set in a bit string variable, see :func:`bits`.

    A bit a row, looked up while scanning: a join would keep neither the order of rows nor a flat footprint.
    """
    return f"get_bit(getvariable({sql.text(variable)}), row_number::INTEGER) = 1"


def bits(rows: npt.NDArray[np.int64], count: int) -> str:
    """Row numbers as the text of a DuckDB bit string of ``count`` bits.

    >>> bits(np.array([0, 3]), 5)
    '10010'
    """
    marks = np.full(count, ord("0"), dtype=np.uint8)
    marks[rows] = ord("1")
    return marks.tobytes().decode("ascii")


def of_file(task: TaskSpec, stage: Stage, found: Mapping[str, str]) -> Contract:
    """Lays the contract over a file's columns.

    Args:
        found: the file's columns with the DuckDB types they come in.

    Raises:
        ContractError: columns are missing, can never have their contract type, carry one of the pipeline's own
            names, or are unexpected where the task forbids that.
    """
    columns = task.columns_of(stage)
    _refuse_missing(columns, found)
    unexpected = tuple(name for name in found if name not in columns)
    _refuse_unexpected(task, columns, unexpected)
    place = {name: at for at, name in enumerate(found)}
    casts = {name: cast(name, column, found[name], _raw(place[name])) for name, column in columns.items()}
    return Contract(
        task=task,
        stage=stage,
        raw=tuple(found),
        casts=casts,
        rules=(
            *(
                rule
                for name, column in columns.items()
                for rule in _column_rules(name, column, casts[name], _raw(place[name]))
            ),
            *(
                Rule(f"{name}: breaks {expression}", _is_false(expression), sql.text(f"{name}: breaks {expression}"))
                for name, expression in task.checks.items()
                if _has_columns(expression, stage_types(task, stage))
            ),
        ),
        unexpected=unexpected,
    )


def _refuse_missing(columns: Mapping[str, Column], found: Mapping[str, str]) -> None:
    missing = [name for name in columns if name not in found]
    if missing:
        raise ContractError(
            f"the file lacks {len(missing)} of the contract's columns",
            column=", ".join(missing),
            expected=", ".join(f"{name} {columns[name].type}" for name in missing),
            available=found,
        )


def _refuse_unexpected(task: TaskSpec, columns: Mapping[str, Column], unexpected: tuple[str, ...]) -> None:
    reserved = [name for name in unexpected if name.lower() in TECHNICAL]
    if reserved:
        raise ContractError(
            "the file has columns under names that the pipeline itself writes",
            column=", ".join(reserved),
            expected=f"other names than {', '.join(TECHNICAL)}",
        )
    by_case = {name.lower() for name in columns} & {name.lower() for name in unexpected}
    if by_case:
        raise ContractError("the file has columns that differ by case alone", column=", ".join(sorted(by_case)))
    if unexpected and task.unexpected_columns == "error":
        raise ContractError(
            "the file has columns that the contract does not know",
            column=", ".join(unexpected),
            expected=", ".join(columns),
            do="describe them under columns, or set unexpected_columns: allow",
        )


def cast(name: str, column: Column, found: str, raw: str) -> Cast:
    """How a column that comes as one DuckDB type gets the contract's.

    Args:
        raw: the name under which the rules find the value as it came.

    Raises:
        ContractError: no value of the found type could have the contract's type.
    """
    target, source = duckdb_type(column.type), sql.name(name)
    if found == target:
        return Cast(source)
    from_, to = _family(found), _family(target)
    if from_ is None or to is None or (from_ != to and "text" not in (from_, to)):
        raise ContractError(
            "a column cannot have its contract type", column=name, found=contract_name(found), expected=column.type
        )
    typed = f"try_cast({source} as {target})"
    if found == "VARCHAR":
        return Cast(typed, f"({raw} is not null and not {_spells(column.type, raw, source)})")
    return Cast(typed, f"({raw} is distinct from try_cast({source} as {found}))")


def _family(kind: str) -> str | None:
    """Types among which some values at least can be cast; ``None`` for those that no cast reaches."""
    if NUMBER.match(kind):
        return "number"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return "moment"
    return {"VARCHAR": "text", "TIME": "time", "UUID": "uuid"}.get(kind)


def _spells(kind: str, raw: str, typed: str) -> str:
    """SQL: text that says exactly the value it is cast to; DuckDB's cast alone would round 1.5 to 2."""
    if kind in INTEGERS:
        return f"coalesce({typed} is not null and regexp_full_match(trim({raw}), '[+-]?[0-9]+'), false)"
    if kind.startswith("decimal"):
        scale = int(kind.rstrip(") ").rsplit(",", 1)[1])
        digits = f"'[+-]?[0-9]*([.][0-9]{{0,{scale}}}0*)?'"
        return f"coalesce({typed} is not null and regexp_full_match(trim({raw}), {digits}), false)"
    if kind == "date":
        return f"coalesce(try_cast({raw} as TIMESTAMP) = {typed}::TIMESTAMP, false)"
    return f"({typed} is not null)"


def _is_false(expression: str) -> str:
    """As a CHECK of SQL has it: false breaks it, null does not."""
    return f"coalesce(not (\n{expression}\n), false)"


def _has_columns(expression: str, types: Mapping[str, str]) -> bool:
    try:
        read(expression, types)
    except ExpressionError:
        return False
    return True


def _column_rules(name: str, column: Column, how: Cast, raw: str) -> list[Rule]:
    value = sql.name(name)

    def with_value(sentence: str) -> str:
        return f"{sql.text(f'{name}: ')} || coalesce({raw}::VARCHAR, 'null') || {sql.text(f' {sentence}')}"

    rules = []
    if how.lossy is not None:
        rules.append(Rule(f"{name}: not {column.type}", how.lossy, with_value(f"is no {column.type}")))
    if not column.nullable:
        rules.append(Rule(f"{name}: null", f"{raw} is null", sql.text(f"{name}: null, which the contract forbids")))
    if column.allowed is not None:
        values = ", ".join(f"{sql.literal(one)}::{duckdb_type(column.type)}" for one in column.allowed)
        rules.append(
            Rule(
                f"{name}: not allowed",
                f"coalesce({value} not in ({values}), false)",
                with_value(f"is not one of {', '.join(str(one) for one in column.allowed)}"),
            )
        )
    if column.check is not None:
        rules.append(
            Rule(f"{name}: breaks {column.check}", _is_false(column.check), with_value(f"breaks {column.check}"))
        )
    return rules
