"""Raw values as they came: nothing is rounded, and no separator is put in."""

import datetime as dt
from decimal import Decimal

import numpy as np

from pipeline_assets.mart_page.language import Formats

_SINGLE = ("float32", "float", "halffloat")  # the contract's and Arrow's names of floats of fewer digits than Python's


def exact(value: object, kind: str, formats: Formats) -> str:
    """A value of a raw row with everything that the file has of it.

    Args:
        value: of the row, not null.
        kind: its type in the file.
        formats: of the language.

    >>> exact(1005012, "int64", Formats("en")), exact(52088.37, "float64", Formats("ru"))
    ('1005012', '52088.37')
    >>> exact(dt.datetime(2026, 7, 28), "timestamp", Formats("en"))
    'Jul 28, 2026'
    """
    if isinstance(value, dt.datetime | dt.time):
        return _time(value, formats)
    if isinstance(value, float):
        shortest = float(str(np.float32(value))) if kind in _SINGLE else value
        return repr(shortest).removesuffix(".0")
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else formats.value(value)


def _time(value: dt.datetime | dt.time, formats: Formats) -> str:
    """With its fractions of a second, which the language's own form has no room for; midnight as the date alone."""
    if value.microsecond or getattr(value, "nanosecond", 0):
        return value.isoformat(" ") if isinstance(value, dt.datetime) else value.isoformat()
    if isinstance(value, dt.datetime) and value.tzinfo is None and value.time() == dt.time.min:
        return formats.value(value.date())
    return formats.value(value)
