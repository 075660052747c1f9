"""Filters: a column, a word such as "at least", and a value as the reader writes it; and their SQL."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal, get_args

from babel.numbers import NumberFormatError, parse_decimal
from psycopg2.sql import SQL, Composable, Composed
from psycopg2.sql import Literal as Value

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.route import Route

Word = Literal["is", "is_not", "at_least", "at_most", "starts", "contains", "empty", "filled"]
WORDS: tuple[Word, ...] = get_args(Word)
VALUELESS: tuple[Word, ...] = ("empty", "filled")

MOST = 20  # filters in one address
_COMPARED = {"is": "=", "is_not": "<>", "at_least": ">=", "at_most": "<="}
_YES, _NO = ("yes", "true", "1", "да"), ("no", "false", "0", "нет")
_DAYS = ("%Y-%m-%d", "%d.%m.%Y")
_TIMES = ("", " %H:%M", " %H:%M:%S")


class NoSuchValue(ValueError):  # noqa: N818 - it reads so
    """What the reader wrote cannot be a value of the column."""

    def __init__(self, column: str, written: str) -> None:
        self.column = column
        self.written = written
        super().__init__(f"{written!r} cannot be a value of {column}")


@dataclass(frozen=True)
class Filter:
    """One condition that rows must meet.

    Attributes:
        column: of the mart.
        word: what must hold of it.
        written: the value, as the reader wrote it; empty where the word needs none.
        value: the value itself.
        slot: its number in the address.
    """

    column: Column
    word: Word
    written: str
    value: object
    slot: int

    @property
    def sql(self) -> Composed:
        """The condition."""
        column, value = self.column.sql, self.value
        if self.word == "empty":
            return SQL("{} IS NULL").format(column)
        if self.word == "filled":
            return SQL("{} IS NOT NULL").format(column)
        if self.word == "is_not":
            return SQL("({0} <> {1} OR {0} IS NULL)").format(column, Value(value))
        if self.word in _COMPARED:
            return SQL("{} {} {}").format(column, SQL(_COMPARED[self.word]), Value(value))
        text = column if self.column.kind == "text" else SQL("{}::text").format(column)
        like, pattern = ("LIKE", "{}%") if self.word == "starts" else ("ILIKE", "%{}%")
        escaped = str(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return SQL("{} {} {}").format(text, SQL(like), Value(pattern.format(escaped)))


def names_of(slot: int) -> tuple[str, str, str]:
    """What the column, the word and the value of a filter are called in the address.

    >>> names_of(2)
    ('w2c', 'w2o', 'w2v')
    """
    return f"w{slot}c", f"w{slot}o", f"w{slot}v"


# The names in a form for a filter that has no slot yet: the page's script puts a free slot's number for the zero.
FREE_SLOT = names_of(0)


def filters_of(route: Route, mart: Mart, language: str) -> tuple[list[Filter], list[NoSuchValue]]:
    """The filters that an address names, and those that cannot be applied; unknown columns are left out."""
    found: list[Filter] = []
    wrong: list[NoSuchValue] = []
    for slot in range(1, MOST + 1):
        name, word, written = (route.more.get(part, "") for part in names_of(slot))
        if name not in mart.columns or word not in WORDS:
            continue
        column = mart.columns[name]
        try:
            value = None if word in VALUELESS else _value(column, word, written.strip(), language)
        except NoSuchValue as error:
            wrong.append(error)
        else:
            found.append(Filter(column, word, "" if word in VALUELESS else written.strip(), value, slot))
    return found, wrong


def condition(mart: Mart, filters: Sequence[Filter], batch: str | None) -> Composed:
    """That a row is of the batch, if one is given, and meets every filter."""
    return all_of(mart, [one.sql for one in filters], batch)


def all_of(mart: Mart, terms: Iterable[Composable], batch: str | None) -> Composed:
    """That a row is of the batch, if one is given, and meets every term."""
    of_batch = [] if batch is None else [SQL("{} = {}").format(mart.batch, Value(batch))]
    every = [*of_batch, *terms]
    return SQL(" AND ").join(every) if every else Composed([SQL("true")])


def _value(column: Column, word: Word, written: str, language: str) -> object:
    """The value that a reader means."""
    try:
        if word in ("starts", "contains") or column.kind in ("text", "json"):
            return written
        if column.numeric:
            return _number(column, written, language)
        if column.kind == "boolean":
            return {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}[written.lower()]
        if column.kind == "date":
            return _moment(written, ("",)).date()
        if column.kind.startswith("timestamp"):
            moment = _moment(written.removesuffix("UTC").strip(), _TIMES)
            return moment.replace(tzinfo=dt.UTC) if column.kind.endswith("with time zone") else moment
        if column.kind.startswith("time "):
            return dt.time.fromisoformat(written)
    except (ValueError, KeyError) as error:
        raise NoSuchValue(column.name, written) from error
    raise NoSuchValue(column.name, written)


def _number(column: Column, written: str, language: str) -> object:
    """A number as programs write it, or as the language does."""
    try:
        written = written.replace("−", "-")  # as the page writes it
        number = Decimal(written)
    except InvalidOperation:
        try:
            number = parse_decimal(written.replace(" ", "\u00a0"), locale=language, strict=False)
        except NumberFormatError as error:
            raise NoSuchValue(column.name, written) from error
    # A float compares with floats: 0.1 as numeric is another number than 0.1 as double precision.
    return float(number) if column.kind in ("real", "double precision") else number


def _moment(written: str, times: Sequence[str]) -> dt.datetime:
    for form in (f"{day}{time}" for day in _DAYS for time in times):
        try:
            return dt.datetime.strptime(written.replace("T", " "), form)  # noqa: DTZ007 - the column says what zone
        except ValueError:
            continue
    raise ValueError(written)
