"""Guesses what identifies a row, and how rows are divided for a training."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline_assets.task.drafting.profile import MOMENTS, ColumnProfile
from pipeline_assets.task.drafting.roles import BIRTH_WORDS, KEY_WORDS, SORTED
from pipeline_assets.task.drafting.words import has_word, words

# Below so many labelled rows one part of them judges badly and stops a fit by chance, so each row should judge once.
# With many classes an iteration is slow, and folds fit several models: fewer rows have folds then.
FOLDS_BELOW = 10_000
_CHEAP_CLASSES = 2

_TIMES = 20  # different moments that a split by time needs
_TIME_WORDS = (
    "date", "time", "timestamp", "ts", "dt", "day", "datetime", "created", "at", "moment", "when", "hour", "month",
    "дата", "время", "день", "момент",
)  # fmt: skip
_OTHER_TIMES = (
    *BIRTH_WORDS, "expiry", "expires", "expiration", "due", "end", "valid", "until", "deadline", "окончания",
    "истечения",
)  # fmt: skip


@dataclass(frozen=True)
class KeyGuess:
    """The columns of the key, and why; no column if none is sure enough."""

    columns: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class SplitGuess:
    """How labelled rows are divided."""

    split: Literal["share", "time", "folds"]
    reason: str
    column: str | None = None


def may_be_key(column: ColumnProfile) -> bool:
    """Whether it is worth the effort to look whether a column is unique."""
    if column.nulls or column.family not in ("integer", "text") or not has_word(column.name, KEY_WORDS):
        return False
    return column.varied > 0.8  # noqa: PLR2004 - counted by a sketch that errs by some percent


def guess_key(columns: Iterable[ColumnProfile]) -> KeyGuess:
    """The key: one column that is unique, never null, and called like one; none rather than a wrong one."""
    found = [column for column in columns if column.unique and may_be_key(column)]
    if not found:
        reason = (
            "no column is unique, never null and called like a key; rows are told apart by their place in the file."
            " If some columns identify a row, name them: key: [a, b]"
        )
        return KeyGuess((), reason)
    best = min(found, key=lambda column: (len(words(column.name)), "id" not in words(column.name)))
    others = [column.name for column in found if column is not best]
    also = f"; or {', '.join(others)}" if others else ""
    reason = f"a guess: in all {best.rows:,} rows it is never null and never repeats{also}; or no key, if it may repeat"
    return KeyGuess((best.name,), reason)


def guess_split(columns: Mapping[str, ColumnProfile], labelled: int, classes: int = 0) -> SplitGuess:
    """By time if there is a clear time column, else by share, or by folds where rows are few."""
    times = {name: column for name, column in columns.items() if _is_time(column)}
    if times:
        chosen = max(times.values(), key=lambda column: (_is_sorted(column), has_word(column.name, _TIME_WORDS)))
        why = "the file is in its order" if _is_sorted(chosen) else "the only one" if len(times) == 1 else "by its name"
        also = [name for name in times if name != chosen.name]
        others = f"; or another column: {', '.join(also)}" if also else ""
        reason = f"{chosen.name} is a time column ({why}), and rows to come are later; or split: share{others}"
        return SplitGuess("time", reason, chosen.name)
    if labelled * max(classes, _CHEAP_CLASSES) < FOLDS_BELOW * _CHEAP_CLASSES:
        reason = f"{labelled:,} labelled rows are few, so each judges once; or split: share"
        return SplitGuess("folds", reason)
    return SplitGuess("share", "no column is clearly a time; or split: time, with column: the one to order by")


def _is_time(column: ColumnProfile) -> bool:
    if column.family not in MOMENTS or column.nulls or (column.distinct or 0) < _TIMES:
        return False
    if has_word(column.name, _OTHER_TIMES):
        return False
    return has_word(column.name, _TIME_WORDS) or _is_sorted(column)


def _is_sorted(column: ColumnProfile) -> bool:
    return column.sample is not None and column.sample.sorted >= SORTED
