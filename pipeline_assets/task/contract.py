"""The contract as SQL: which rows of a raw file may be used, and what is wrong with the others.

A value has its contract type if a cast to that type and back gives the same value; text has a number's type if it
spells a number. So a file may have narrower or wider types than the contract, and nothing is ever rounded.

If an expression raises on a row (a division by zero, an overflow), only that row breaks the contract. ``try`` then
gives null. The expression inside ``try`` is never null, so null always means "it raised".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline_assets.errors import ContractError, in_line
from pipeline_assets.task import sql
from pipeline_assets.task.casts import LIMITS, Cast, cast
from pipeline_assets.task.expressions import ExpressionError, read
from pipeline_assets.task.names import own_name
from pipeline_assets.task.spec import Column, Stage, TaskSpec
from pipeline_assets.task.types import duckdb_type
from pipeline_assets.task.validation import label_sql, stage_types

# One bit per rule; DuckDB's UBIGINT holds 64 of them, and a row has as many such words as its rules need.
RULES_PER_WORD = 64
# Names that the queries use beside the contract's columns; names of a contract cannot start with __.
ROW = "__row_number"
REASON = "__reason"
RULES = "__rules"
BROKEN = "__broken_"
KEY_HASH = "__key_hash"
UNLABELLED = "__unlabelled"
_CHECK = "__check_"
# The variable with the reasons why expressions raised, by :func:`failure_key`.
FAILURES = "failures"
# The reason of a row whose expression raised, if the cause was not looked up.
_UNKNOWN_FAILURE = "its value cannot be computed"


@dataclass(frozen=True)
class Check:
    """A condition of the task's author: false breaks it, null does not, as in a CHECK of SQL.

    Attributes:
        of: the column, or the name of the row rule.
        column: the reason shows its value; ``None`` for a row rule.
        weight: for the check of the task's weights, the weight's expression: the reason shows its value.
    """

    of: str
    expression: str
    column: str | None = None
    weight: str | None = None


@dataclass(frozen=True)
class Rule:
    """One way to break the contract.

    Attributes:
        name: among the counts of reasons.
        broken: SQL over the typed row and the outcomes of checks, true for a row that breaks the rule.
        reason: SQL over the same row: the sentence of the rejected file, with the value that was found.
        raises: index of the check, if the rule is broken when that check raises.
        quiet: whether every contract has the rule; it is shown only where it is broken.
    """

    name: str
    broken: str
    reason: str
    raises: int | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Contract:
    """A task's contract applied to the columns of one file: the queries that check the file.

    They read a view ``raw``: ``__row_number`` and the file's raw columns as ``__raw_0`` and so on, so that no column
    name of a file can conflict with the pipeline's own names.

    Attributes:
        raw: the names of the file's columns.
        casts: for each column of the contract, how it gets its type.
        checks: conditions that may raise.
        rules: in the order of the task.
        unexpected: columns of the file that the contract does not have.
    """

    task: TaskSpec
    stage: Stage
    raw: tuple[str, ...]
    casts: Mapping[str, Cast]
    checks: tuple[Check, ...]
    rules: tuple[Rule, ...]
    unexpected: tuple[str, ...]

    def own(self, name: str) -> str:
        """The name of one of the pipeline's own columns in a file that also has the input's columns."""
        return own_name(name, (*self.raw, *self.casts))

    @property
    def words(self) -> int:
        """How many words hold one bit per rule."""
        return -(-len(self.rules) // RULES_PER_WORD)

    @property
    def typed_raw(self) -> str:
        """SELECT list that gives the contract's columns their types, over the view ``raw``; exact on accepted rows."""
        return ", ".join(self.typed(self.casts))

    def typed(self, names: Iterable[str]) -> list[str]:
        """The items of :attr:`typed_raw` of these columns."""
        place = {name: at for at, name in enumerate(self.raw)}
        return [f"{self.casts[name].typed(raw(place[name]))} as {sql.name(name)}" for name in names]

    @property
    def as_it_came(self) -> str:
        """SELECT list of the file's raw columns."""
        return ", ".join(raw(place) for place in range(len(self.raw)))

    @property
    def target_rule(self) -> str:
        """The name of a raising target among the counts of reasons."""
        return f"target: {self.task.target.expression.strip()} fails"

    def check_query(self) -> str:
        """One row per raw row, in file order.

        Columns: ``__row_number``; one word ``__broken_<i>`` per 64 rules; ``__key_hash`` if the task has a key; in
        train ``__unlabelled``: null where the target raises, computed only on rows that broke no rule.
        """
        columns = [ROW, *(f"{BROKEN}{word}" for word in range(self.words))]
        if self.task.key:
            columns.append(f"hash({self._key}) as {KEY_HASH}")
        if self.stage == "train":
            sound = " and ".join(f"{BROKEN}{word} = 0" for word in range(self.words)) or "true"
            columns.append(f"case when {sound} then {self._unlabelled} else false end as {UNLABELLED}")
        words = "".join(f", {self._word(word)} as {BROKEN}{word}" for word in range(self.words))
        return f"select {', '.join(columns)} from (select *{words} from ({self._checked()}))"

    def _word(self, word: int) -> str:
        rules = self.rules[word * RULES_PER_WORD : (word + 1) * RULES_PER_WORD]
        flags = (f"case when {rule.broken} then {1 << bit}::UBIGINT else 0 end" for bit, rule in enumerate(rules))
        return f"({' | '.join(flags)})::UBIGINT"

    def rejected_query(self) -> str:
        """One row per rejected row, in file order: ``__row_number``, ``__reason``, ``__rules`` and the raw row.

        A row rejected only for its key has an empty reason and no rules.
        """
        reasons = ", ".join(f"case when {rule.broken} then {rule.reason} end" for rule in self.rules) or "null"
        reason = f"concat_ws('; ', {reasons})"
        broken = ", ".join(f"case when {rule.broken} then {sql.text(rule.name)} end" for rule in self.rules) or "null"
        rules = f"list_filter([{broken}]::VARCHAR[], lambda rule: rule is not null)"
        checked = self._checked(" where " + in_bits("rejected"))
        query = f"select *, {reason} as {REASON}, {rules} as {RULES} from ({checked})"
        said, names = REASON, RULES
        # Computed, as in the check, on rows that broke nothing else.
        if self.stage == "train":
            fails = f"{REASON} = '' and {self._unlabelled} is null"
            why = f"{sql.text(f'{self.target_rule}: ')} || {_failure(len(self.checks))}"
            said = f"case when {fails} then {why} else {REASON} end as {REASON}"
            names = f"case when {fails} then [{sql.text(self.target_rule)}] else {RULES} end as {RULES}"
        return f"select {ROW}, {said}, {names}, {self.as_it_came} from ({query})"

    def no_rejected_query(self) -> str:
        """The columns of :meth:`rejected_query` and no row; reads nothing, and has no expression to be planned."""
        return f"select {ROW}, '' as {REASON}, []::VARCHAR[] as {RULES}, {self.as_it_came} from raw limit 0"

    def key_hash_query(self) -> str:
        """One row per raw row, in file order: ``__row_number`` and ``__key_hash``, as in :meth:`check_query`."""
        return f"select {ROW}, hash({self._key}) as {KEY_HASH} from (select {ROW}, {self.typed_raw} from raw)"

    def verdicts_query(self) -> str:
        """One row per raw row, one column per rule, by its index: why the row breaks the rule, null if it does not."""
        verdicts = (f'case when {rule.broken} then {rule.reason} end as "{at}"' for at, rule in enumerate(self.rules))
        return f"select {', '.join(verdicts) or 'null'} from ({self._checked()})"

    def repeated_key_query(self) -> str:
        """Rows whose key an earlier row has: ``row_number`` and ``first``, the first row with that key.

        Reads only rows in the bits ``suspects``: those whose key has a repeated hash.
        """
        return (
            "select row_number, first from"
            f" (select {ROW} as row_number, min({ROW}) over (partition by {self._key}) as first"
            f" from (select {ROW}, {self.typed_raw} from raw where {in_bits('suspects')}))"
            f" where first < row_number order by row_number"
        )

    def failing_query(self) -> str:
        """``__row_number`` and the typed row, for the rows in the bits ``failing``: an expression raised on them."""
        return f"select {ROW}, {self.typed_raw} from raw where {in_bits('failing')}"

    def failing_expression(self, check: int) -> str:
        """SQL of a check by its index, as in :attr:`Rule.raises`; the index after the last is the label's."""
        return label_sql(self.task) if check == len(self.checks) else self.checks[check].expression

    @property
    def _key(self) -> str:
        return ", ".join(sql.name(column) for column in self.task.key)

    @property
    def _unlabelled(self) -> str:
        return f"try(({label_sql(self.task)}) is null)"

    def _checked(self, where: str = "") -> str:
        """Typed rows with the outcome of each check: true if the row breaks it, null if it raised."""
        typed = f"select {ROW}, {self.typed_raw}, {self.as_it_came} from raw{where}"
        outcomes = "".join(
            f", try(coalesce(not (\n{check.expression}\n), false)) as {_CHECK}{at}"
            for at, check in enumerate(self.checks)
        )
        return f"select *{outcomes} from ({typed})" if outcomes else typed


def raw(place: int) -> str:
    """The name of a file's column in the view ``raw``."""
    return f"__raw_{place}"


def failure_key(check: int, row: int) -> str:
    """The key in the variable ``failures`` (a MAP of VARCHAR) of the reason why a check raised on a row."""
    return f"{check} {row}"


def _failure(check: int) -> str:
    # Only for the rows that were looked up: DuckDB searches a map key by key.
    why = f"case when {in_bits('failing')} then getvariable('{FAILURES}')['{check} ' || {ROW}] end"
    return f"coalesce({why}, '{_UNKNOWN_FAILURE}')"


def in_bits(variable: str) -> str:
    """SQL that is true for rows whose bit is set in a bit string variable, see :func:`bits`.

    There is one bit per row, read while scanning: a join would lose the order of rows and need more memory.
    """
    return f"get_bit(getvariable({sql.text(variable)}), {ROW}::INTEGER) = 1"


def bits(rows: npt.NDArray[np.int64], count: int) -> str:
    """Row numbers as the text of a DuckDB bit string of ``count`` bits.

    >>> bits(np.array([0, 3]), 5)
    '10010'
    """
    marks = np.full(count, ord("0"), dtype=np.uint8)
    marks[rows] = ord("1")
    return marks.tobytes().decode("ascii")


def of_file(task: TaskSpec, stage: Stage, found: Mapping[str, str]) -> Contract:
    """Applies the contract to a file's columns.

    Args:
        found: the file's columns with their DuckDB types.

    Raises:
        ContractError: columns are missing, can never have their contract type, or are unexpected and the task
            forbids that.
    """
    columns = task.columns_of(stage)
    _refuse_missing(columns, found)
    unexpected = tuple(name for name in found if name not in columns)
    _refuse_unexpected(task, columns, unexpected)
    place = {name: at for at, name in enumerate(found)}
    casts = {name: cast(name, column, found[name]) for name, column in columns.items()}
    checks = _checks(task, stage, columns)
    return Contract(
        task=task,
        stage=stage,
        raw=tuple(found),
        casts=casts,
        checks=checks,
        rules=_rules(columns, casts, place, checks),
        unexpected=unexpected,
    )


def _refuse_missing(columns: Mapping[str, Column], found: Mapping[str, str]) -> None:
    missing = [name for name in columns if name not in found]
    if missing:
        raise ContractError(
            f"the file lacks {len(missing)} of the contract's columns",
            column=in_line(missing),
            expected=", ".join(f"{in_line([name])} {columns[name].type}" for name in missing),
            available=found,
        )


def _refuse_unexpected(task: TaskSpec, columns: Mapping[str, Column], unexpected: tuple[str, ...]) -> None:
    if unexpected and task.unexpected_columns == "error":
        raise ContractError(
            "the file has columns that the contract does not know",
            column=in_line(unexpected),
            expected=in_line(columns),
            do="describe them under columns, or set unexpected_columns: allow",
        )


def _checks(task: TaskSpec, stage: Stage, columns: Mapping[str, Column]) -> tuple[Check, ...]:
    of_columns = (Check(name, column.check, name) for name, column in columns.items() if column.check is not None)
    types = stage_types(task, stage)
    of_rows = (Check(name, expression) for name, expression in task.checks.items() if _has_columns(expression, types))
    return (*of_columns, *of_rows, *_weight_check(task, stage))


def _weight_check(task: TaskSpec, stage: Stage) -> list[Check]:
    """Every row of a train file needs a weight that a fit can use; 0 is one."""
    expression = task.training.weight
    if stage == "predict" or expression is None:
        return []
    # Written once: DuckDB computes what an expression has twice beforehand, outside of try. The root of a number below
    # 0 is NaN.
    usable = f"coalesce(isfinite(pow(cast((\n{expression}\n) as DOUBLE), 0.5)), false)"
    return [Check("training.weight", usable, weight=expression)]


def _has_columns(expression: str, types: Mapping[str, str]) -> bool:
    try:
        read(expression, types)
    except ExpressionError:
        return False
    return True


def _rules(
    columns: Mapping[str, Column], casts: Mapping[str, Cast], place: Mapping[str, int], checks: tuple[Check, ...]
) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for name, column in columns.items():
        rules += _column_rules(name, column, casts[name], raw(place[name]))
        for at, check in enumerate(checks):
            if check.column == name:
                rules += _check_rules(at, check, raw(place[name]))
    for at, check in enumerate(checks):
        if check.column is None:
            rules += _check_rules(at, check, None)
    return tuple(rules)


def _check_rules(at: int, check: Check, value: str | None) -> list[Rule]:
    """The two rules of a check: it must not be false, and it must not raise."""
    if check.weight is not None:
        return _weight_rules(at, check.of, check.weight)
    expression = check.expression.strip()
    breaks, fails = f"{check.of}: breaks {expression}", f"{check.of}: check {expression} fails"
    said, on = sql.text(breaks), "''"
    if value is not None:
        said = _with_value(check.of, value, f"breaks {expression}")
        on = f"' on ' || coalesce({value}::VARCHAR, 'null')"
    return [
        Rule(breaks, f"coalesce({_CHECK}{at}, false)", said),
        Rule(fails, f"{_CHECK}{at} is null", f"{sql.text(fails)} || {on} || ': ' || {_failure(at)}", at, quiet=True),
    ]


def _weight_rules(at: int, of: str, expression: str) -> list[Rule]:
    sentence, fails = "is no weight, which is a number from 0 up", f"{of}: {expression.strip()} fails"
    found = f"coalesce(try((\n{expression}\n)::VARCHAR), 'null')"
    said = f"{sql.text(f'{of}: ')} || {found} || {sql.text(f' {sentence}')}"
    return [
        Rule(f"{of}: {sentence}", f"coalesce({_CHECK}{at}, false)", said),
        Rule(fails, f"{_CHECK}{at} is null", f"{sql.text(f'{fails}: ')} || {_failure(at)}", at, quiet=True),
    ]


def _with_value(name: str, value: str, sentence: str) -> str:
    return f"{sql.text(f'{name}: ')} || coalesce({value}::VARCHAR, 'null') || {sql.text(f' {sentence}')}"


def _column_rules(name: str, column: Column, how: Cast, came: str) -> list[Rule]:
    value = sql.name(name)
    rules = []
    lossy = how.lossy(came, value)
    if lossy is not None:
        rules.append(Rule(f"{name}: not {column.type}", lossy, _with_value(name, came, f"is no {column.type}")))
    if any(text in how.found for text in ("VARCHAR", "JSON")):
        # Neither PostgreSQL nor C programs can store it.
        sentence = f"{name}: holds a NUL character"
        rules.append(
            Rule(sentence, f"coalesce(contains({came}::VARCHAR, chr(0)), false)", sql.text(sentence), quiet=True)
        )
    if column.type in LIMITS:
        first, last, said = LIMITS[column.type]
        outside = f"coalesce({value} not between {first} and {last}, false)"
        rules.append(Rule(f"{name}: {said}", outside, _with_value(name, came, f"is {said}"), quiet=True))
    if not column.nullable:
        rules.append(Rule(f"{name}: null", f"{came} is null", sql.text(f"{name}: null, which the contract forbids")))
    if column.allowed is not None:
        values = ", ".join(f"{sql.literal(one)}::{duckdb_type(column.type)}" for one in column.allowed)
        rules.append(
            Rule(
                f"{name}: not allowed",
                f"coalesce({value} not in ({values}), false)",
                _with_value(name, came, f"is not one of {', '.join(str(one) for one in column.allowed)}"),
            )
        )
    return rules
