import datetime as dt
from decimal import Decimal

import pytest

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.marts.filters import filters_of

KINDS = {
    "n": "integer", "x": "double precision", "money": "numeric(12,2)", "day": "date", "at": "timestamp with time zone",
    "local": "timestamp without time zone", "time": "time without time zone", "flag": "boolean", "text": "text",
}  # fmt: skip
MART = Mart("marts", "m", "", {name: Column(name, kind, "", "raw", key=False) for name, kind in KINDS.items()})


def value_of(column: str, written: str, language: str) -> object:
    found, wrong = filters_of(Route(more={"w1c": column, "w1o": "is", "w1v": written}), MART, language)
    assert not wrong
    return found[0].value


@pytest.mark.parametrize(
    ("column", "written", "language", "value"),
    [
        ("n", "1500", "en", Decimal(1500)),
        ("n", "1,500", "en", Decimal(1500)),
        ("n", "1 500", "ru", Decimal(1500)),
        ("x", "1,5", "ru", 1.5),
        ("x", "1.5", "ru", 1.5),
        ("x", "-0.25", "en", -0.25),
        ("x", "−0,25", "ru", -0.25),
        ("n", "−12,346", "en", Decimal(-12346)),
        ("money", "1 234,50", "ru", Decimal("1234.50")),
        ("day", "2013-10-05", "ru", dt.date(2013, 10, 5)),
        ("day", "05.10.2013", "en", dt.date(2013, 10, 5)),
        ("at", "2013-10-05 12:30", "en", dt.datetime(2013, 10, 5, 12, 30, tzinfo=dt.UTC)),
        ("local", "05.10.2013", "ru", dt.datetime(2013, 10, 5)),
        ("time", "12:30", "en", dt.time(12, 30)),
        ("flag", "Да", "ru", True),
        ("flag", "no", "ru", False),
        ("text", "O'Hare; --", "en", "O'Hare; --"),
    ],
)
def test_values_are_read_as_people_write_them(column: str, written: str, language: str, value: object) -> None:
    assert value_of(column, written, language) == value
    assert type(value_of(column, written, language)) is type(value)


@pytest.mark.parametrize(
    ("column", "written"), [("n", "far"), ("day", "2013-13-01"), ("flag", "maybe"), ("x", ""), ("time", "noon")]
)
def test_what_is_no_value_is_told(column: str, written: str) -> None:
    found, (wrong,) = filters_of(Route(more={"w1c": column, "w1o": "at_most", "w1v": written}), MART, "en")
    assert (found, wrong.column, wrong.written) == ([], column, written)


def test_only_known_columns_and_words_make_filters() -> None:
    more = {
        "w1c": "nowhere",
        "w1o": "is",
        "w1v": "1",
        "w2c": "n",
        "w2o": "; drop",
        "w2v": "1",
        "w4c": "n",
        "w4o": "empty",
    }
    found, wrong = filters_of(Route(more=more), MART, "en")
    assert [(one.column.name, one.word, one.slot) for one in found] == [("n", "empty", 4)]
    assert wrong == []
