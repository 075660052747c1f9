"""Texts, numbers and dates of the page in the reader's language."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from babel import Locale, negotiate_locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent
from starlette.requests import HTTPConnection

LANGUAGES: Mapping[str, str] = {"en": "English", "ru": "Русский"}
COOKIE = "pipeline_assets_language"
# The frame around the views has texts of its own.
FRAME = "frame"

_DEFAULT = "en"
_DIGITS = 5  # significant digits of a number that is not an integer
_TINY, _HUGE = 1e-4, 1e15
_GROUPED = 10_000  # a number of data below it may be a year, a time of day or a code: no thousands separator
_PERCENT = {"en": "%", "ru": "\u00a0%"}
_MINUS = "−"


def language_of(connection: HTTPConnection) -> str:
    """The language that the reader switched to, else the one that the browser prefers, else English."""
    chosen = connection.cookies.get(COOKIE)
    if chosen is not None and chosen in LANGUAGES:
        return chosen
    asked = connection.headers.get("accept-language", "")
    preferred = [entry.partition(";")[0].strip() for entry in asked.split(",")]
    return negotiate_locale([name for name in preferred if name], list(LANGUAGES), sep="-") or _DEFAULT


@cache
def _read(view: str, language: str) -> Mapping[str, Any]:
    folder = files("pipeline_assets.mart_page")
    if view != FRAME:
        folder = folder.joinpath("views", view)
    text = folder.joinpath(f"texts.{language}.yaml").read_text(encoding="utf-8")
    read: Mapping[str, Any] = yaml.safe_load(text)
    return read


@dataclass(frozen=True)
class Formats:
    """Numbers, shares, dates and moments as a language writes them.

    Attributes:
        language: one of :data:`LANGUAGES`.
    """

    language: str

    def number(self, value: float, *, grouped: bool = True) -> str:
        """A number, a negative one with a true minus sign; one that is not an integer has five significant digits.

        Args:
            value: the number.
            grouped: whether thousands are kept apart.

        >>> Formats("en").number(1234567), Formats("ru").number(0.25), Formats("en").number(0.00001234)
        ('1,234,567', '0,25', '1.234e-05')
        """
        if value < 0:
            return f"{_MINUS}{self.number(-value, grouped=grouped)}"
        if isinstance(value, int):
            return format_decimal(value, locale=self.language, group_separator=grouped)
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - only NaN differs from itself
            return str(value)
        if value and not _TINY <= abs(value) < _HUGE:
            return f"{value:.{_DIGITS - 1}g}"
        before = len(str(int(abs(value)))) if abs(value) >= 1 else 0
        rounded = abs(round(value, max(_DIGITS - before, 0)))  # of what is left, only -0.0 is below zero
        return format_decimal(rounded, format="#,##0.#####", locale=self.language, group_separator=grouped)

    def share(self, value: float, digits: int = 1) -> str:
        """A share of one as a percentage.

        Args:
            value: the share.
            digits: at most so many after the point.

        >>> Formats("en").share(0.1234)
        '12.3%'
        """
        written = format_percent(
            abs(value), format=f"#,##0.{'#' * digits}{_PERCENT[self.language]}", locale=self.language
        )
        return f"{_MINUS}{written}" if value < 0 else written

    def shares(self, shares: Mapping[str, float], most: int | None = None) -> str:
        """Shares of one by name, the largest first.

        Args:
            shares: by name.
            most: at most so many are written, and then an ellipsis.

        >>> Formats("en").shares({"a": 0.25, "b": 0.7, "c": 0.05}, 2)
        'b 70%, a 25%, …'
        """
        ordered = sorted(shares.items(), key=lambda each: (-each[1], each[0]))
        said = [f"{name} {self.share(value)}" for name, value in ordered[:most]]
        return ", ".join([*said, *(["…"] if len(said) < len(ordered) else [])])

    def moment(self, value: dt.datetime) -> str:
        """A moment; in UTC, and marked so, if it has a time zone."""
        at = value.astimezone(dt.UTC) if value.tzinfo else value
        text = format_datetime(at, "medium", locale=self.language)
        return f"{text} UTC" if value.tzinfo else text

    def ago(self, value: dt.datetime, now: dt.datetime) -> str:
        """How long ago a moment was, in words."""
        return format_timedelta(value - now, add_direction=True, locale=self.language)

    def value(self, value: object, *, code: bool = False) -> str:
        """Any value of a mart; text stays as it is.

        Args:
            value: of a cell.
            code: whether a whole number names something, as an id does, and is written without separators.

        >>> Formats("en").value(2013), Formats("en").value(201300), Formats("en").value(201300, code=True)
        ('2013', '201,300', '201300')
        """
        if isinstance(value, bool):
            return Texts(self.language)("frame")("yes" if value else "no")
        if isinstance(value, int | float):
            return self.number(value, grouped=not code and abs(value) >= _GROUPED)
        if isinstance(value, Decimal):
            written = format_decimal(abs(value), locale=self.language, decimal_quantization=False)
            return f"{_MINUS}{written}" if value < 0 else written
        if isinstance(value, bytes | memoryview):
            return bytes(value).hex()
        return self._time(value) or str(value)

    def _time(self, value: object) -> str | None:
        if isinstance(value, dt.datetime):
            return self.moment(value)
        if isinstance(value, dt.date):
            return format_date(value, locale=self.language)
        return format_time(value, locale=self.language) if isinstance(value, dt.time) else None


@dataclass(frozen=True)
class ViewTexts:
    """The texts of one view in one language.

    Called with a key, it returns the text, with each ``{name}`` replaced by the argument of that name; ``n`` is written
    as the language writes numbers. A text may be a mapping of plural forms (``one``, ``few``, ``many``, ``other``);
    ``n`` selects one.
    """

    view: str
    language: str

    def __call__(self, key: str, *, n: float | None = None, **values: object) -> str:
        """The text of a key.

        Raises:
            KeyError: there is no such text; a test checks that both languages have the same keys.
        """
        text = _read(self.view, self.language)[key]
        if isinstance(text, dict):
            form = Locale.parse(self.language).plural_form(n if n is not None else 0)
            text = text.get(form, text["other"])
        if n is not None:
            values["n"] = Formats(self.language).number(n)
        return str(text).format(**values) if values else str(text)

    def __contains__(self, key: str) -> bool:
        return key in _read(self.view, self.language)


@dataclass(frozen=True)
class Texts:
    """The texts of the page in one language; called with a view's name, it returns the texts of that view."""

    language: str

    def __call__(self, view: str) -> ViewTexts:
        """The texts of ``views/<view>/texts.<language>.yaml``, or of the page's frame."""
        return ViewTexts(view, self.language)
