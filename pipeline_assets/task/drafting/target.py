"""Guesses what kind of target a task has, and which value of a binary one is positive."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from pipeline_assets.errors import TaskError
from pipeline_assets.task.drafting.profile import NUMBERS, TargetProfile
from pipeline_assets.task.drafting.words import has_word, percent, shown

# Up to so many different whole numbers may be classes; above, they are quantities.
_CLASSES = 30
# Classes of text must have this many rows each on average.
_ROWS_PER_CLASS = 2
_TWO, _THREE = 2, 3
_HEAVY_TAIL = 3.0
# A target whose order tells this much of what its values tell is a quantity.
_ORDERED = 0.6
_ORDERED_COUNTS = 0.3  # or less, if the rows of 0, 1, 2 ... fall as those of counts do
_POSITIVE = ("true", "yes", "y", "t", "1", "positive", "pos", "да", "истина", "есть")
_NEGATIVE = ("false", "no", "n", "f", "0", "negative", "neg", "нет", "ложь")
_CLASS_WORDS = (
    "class", "label", "type", "kind", "species", "category", "cat", "group", "cluster", "segment", "digit", "code",
    "cultivar", "класс", "метка", "тип", "вид", "категория", "группа", "сегмент",
)  # fmt: skip
_QUANTITY_WORDS = (
    "rating", "score", "stars", "count", "cnt", "quantity", "qty", "num", "number", "amount", "sum", "total", "age",
    "days", "hours", "minutes", "years", "price", "cost", "quality", "grade", "level", "rank", "demand", "sales",
    "рейтинг", "оценка", "количество", "число", "сумма", "возраст", "цена", "балл",
)  # fmt: skip


@dataclass(frozen=True)
class TargetGuess:
    """What the target is taken for.

    Attributes:
        kind: of the target.
        positive: the value that is label 1; ``None`` where the expression is true or false, or not binary.
        reason: of the kind, with the alternative.
        positive_reason: of the positive value, with the alternative.
        expression: SQL of the label, with ``{}`` for the target as the user named it.
        notes: sentences on the expression and on options that are not set.
    """

    kind: str
    reason: str
    positive: Any = None
    positive_reason: str = ""
    expression: str = "{}"
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> bool:
        """Whether the model learns classes."""
        return self.kind != "regression"


def guess_target(target: TargetProfile, kind: str | None = None) -> TargetGuess:
    """The kind of a target, from its values.

    Args:
        target: what was seen.
        kind: as the user says it; ``None`` to guess.

    Raises:
        TaskError: the target has no value, one value, or values of a type that no kind can learn.
    """
    facts = target.profile
    _refuse_useless(target)
    guess = _guess(target) if kind is None else _as_told(target, kind)
    if guess.kind == "binary":
        guess = _with_positive(target, guess)
    notes, expression = list(guess.notes), guess.expression
    if guess.kind == "regression" and facts.family == "text":
        but = facts.sample.but if facts.sample else ()
        expression = "try_cast({} as DOUBLE)"
        if any(text.strip().lower() == "nan" for text in but):
            expression = f"case when isfinite({expression}) then {expression} end"
        without = f"; no label: {', '.join(map(shown, but))}" if but else ""
        notes.append(f"the column is text that spells numbers{without}")
    elif guess.kind == "regression" and facts.odd:
        expression = "case when isfinite({}) then {} end"
        notes.append(f"{facts.odd:,} values that are NaN or infinite are no label")
    if guess.kind == "regression" and target.skew is not None:
        raw, logged = target.skew
        if raw > _HEAVY_TAIL and abs(logged) < raw / 2:
            notes.append(
                f"heavy tail (skewness {raw:.1f}, of the logarithm {logged:.1f}): with `transform: log1p` the model"
                " learns log(1 + target), which suits errors in percent; errors in the target's own unit mostly grow"
            )
    return replace(guess, expression=expression, notes=tuple(notes))


def _refuse_useless(target: TargetProfile) -> None:
    facts = target.profile
    if not facts.filled:
        raise TaskError("the target is null in every row", column=target.expression, found=f"{facts.rows:,} nulls")
    if facts.family not in (*NUMBERS, "text"):
        raise TaskError(
            "the target is of a type that no kind can learn",
            column=target.expression,
            found=facts.found,
            expected="a number, text, or true and false",
            do="name an expression over the columns, such as --target \"date_diff('day', start, stop)\"",
        )
    if facts.distinct == 1:
        one = f": {shown(target.counts[0][0])}" if target.counts else ""
        raise TaskError(
            "the target has the same value in every row, so there is nothing to learn",
            column=target.expression,
            found=f"one value{one}",
        )


def _as_told(target: TargetProfile, kind: str) -> TargetGuess:
    facts = target.profile
    spells = facts.sample.spells if facts.sample else None
    if kind == "regression" and facts.family == "text" and spells != "number":
        raise TaskError(
            "a target that is text cannot be learned by regression",
            column=target.expression,
            found=f"text such as {', '.join(shown(value) for value, _ in target.counts[:3])}",
            expected="numbers, or text that spells them",
        )
    if kind == "binary" and facts.distinct != _TWO and facts.family != "bool":
        raise TaskError(
            "a binary target has two values",
            column=target.expression,
            found=f"{facts.distinct:,} values",
            do='name an expression that is true or false, such as --target "delay > 15", or another kind',
        )
    return TargetGuess(kind, "as the command says")


def _guess(target: TargetProfile) -> TargetGuess:
    facts = target.profile
    many = facts.distinct or 0
    if facts.family == "bool":
        return TargetGuess("binary", "true or false; there is no alternative")
    if many == _TWO:
        return TargetGuess("binary", "two values; or multiclass, if more will come")
    return _of_text(target, many) if facts.family == "text" else _of_numbers(target, many)


def _of_text(target: TargetProfile, many: int) -> TargetGuess:
    facts = target.profile
    number = facts.sample is not None and facts.sample.spells == "number"
    if number and many > _CLASSES:
        reason = f"text that spells {facts.many} numbers; or multiclass, if they are names"
        return TargetGuess("regression", reason)
    if many * _ROWS_PER_CLASS > facts.filled:
        raise TaskError(
            "the target's text hardly repeats, so there are no classes to learn",
            column=target.expression,
            found=f"{facts.many} values in {facts.filled:,} rows",
            do="name another column, or an expression such as 'try_cast(y as DOUBLE)' or one that puts values together",
        )
    also = "; or regression over try_cast(… as DOUBLE), if their order counts" if number else ", without an order"
    return TargetGuess("multiclass", f"{facts.many} texts{also}{_smallest(target)}")


def _of_numbers(target: TargetProfile, many: int) -> TargetGuess:
    facts = target.profile
    whole = facts.family == "integer" or (facts.sample is not None and facts.sample.whole)
    if not whole or many > _CLASSES:
        what = "whole numbers" if whole else "numbers with decimals"
        return TargetGuess("regression", f"{facts.many} {what}; or multiclass, if they are names")
    classes, why = _are_classes(target, many)
    if classes:
        reason = f"{many} whole numbers, {why}; or regression, if their order counts{_smallest(target)}"
        return TargetGuess("multiclass", reason)
    return TargetGuess("regression", f"{many} whole numbers, {why}; or multiclass, if they are names")


def _are_classes(target: TargetProfile, many: int) -> tuple[bool, str]:
    """Whether few whole numbers are names of classes, and what speaks for the answer."""
    name = target.expression
    if has_word(name, _QUANTITY_WORDS):
        return False, "and the column's name is that of a quantity"
    if has_word(name, _CLASS_WORDS):
        return True, "and the column's name is that of classes"
    if target.profile.family != "integer":
        return False, "written with decimals, as ratings are and classes are not"
    values = sorted(int(value) for value, _ in target.counts)
    in_a_row = bool(values) and values[0] in (0, 1) and values[-1] - values[0] == len(values) - 1
    ordered = target.order is None or target.order >= _ORDERED_COUNTS
    if ordered and not (in_a_row and many == _THREE) and _counts_something(target.counts):
        return False, "from 0 up and ever rarer, as counts are"
    if target.order is not None and many != _THREE:
        told = f"whose order tells {percent(target.order)} of what they tell of the other columns"
        return target.order < _ORDERED, told
    return (True, f"{values[0]} to {values[-1]} without a gap") if in_a_row else (False, "with gaps between them")


def _counts_something(counts: Sequence[tuple[Any, int]]) -> bool:
    """Whether the rows of 0, 1, 2 ... first grow and then fall to almost none, as those of counts do."""
    rows = [many for _, many in sorted(counts)]
    values = sorted(int(value) for value, _ in counts)
    if len(rows) <= _THREE or values[0] != 0:
        return False
    top = rows.index(max(rows))
    falls = all(after <= before * 1.1 for before, after in pairwise(rows[top:]))
    grows = all(after >= before for before, after in pairwise(rows[: top + 1]))
    return falls and grows and top < len(rows) / 2 and rows[-1] * 20 < max(rows)


def _smallest(target: TargetProfile) -> str:
    if not target.counts:
        return ""
    value, rows = target.counts[-1]
    return f"; the rarest is {shown(value)} in {rows:,} rows"


def _with_positive(target: TargetProfile, guess: TargetGuess) -> TargetGuess:
    if target.profile.family == "bool":
        return guess
    (one, many), (other, fewer) = target.counts
    by_text = {str(value).strip().casefold(): value for value in (one, other)}
    rarer = f"in {fewer:,} of {many + fewer:,} labelled rows"

    def with_(value: Any, why: str) -> TargetGuess:
        rest = other if value == one else one
        return replace(guess, positive=value, positive_reason=f"{why}; or {shown(rest)}")

    for word in _POSITIVE:
        if word in by_text:
            return with_(by_text[word], "by its name")
    for word in _NEGATIVE:
        if word in by_text:
            return with_(next(value for text, value in by_text.items() if text != word), f"the other one says {word}")
    if target.profile.family != "text":
        return with_(max(one, other), "the larger of the two numbers")
    for value in (one, other):
        if str(value).strip().startswith(">"):
            return with_(value, "says more than a limit")
    return with_(other, f"the rarer one, {rarer}")
