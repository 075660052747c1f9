import datetime as dt
from decimal import Decimal

import pytest
from starlette.requests import HTTPConnection

from pipeline_assets.mart_page.language import COOKIE, Formats, Texts, language_of


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "en"),
        ({"accept-language": "ru-RU,ru;q=0.9,en;q=0.8"}, "ru"),
        ({"accept-language": "de-DE,de;q=0.9,ru;q=0.5"}, "ru"),
        ({"accept-language": "de"}, "en"),
        ({"accept-language": "ru", "cookie": f"{COOKIE}=en"}, "en"),
        ({"accept-language": "ru", "cookie": f"{COOKIE}=../../etc"}, "ru"),
    ],
)
def test_a_chosen_language_counts_then_a_preferred_one(headers: dict[str, str], language: str) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert language_of(HTTPConnection({"type": "http", "headers": raw})) == language


@pytest.mark.parametrize(
    ("value", "english", "russian"),
    [
        (1234567, "1,234,567", "1 234 567"),
        (0.5, "0.5", "0,5"),
        (-1234.56789, "−1234.6", "−1234,6"),
        (-12345.6789, "−12,346", "−12 346"),
        (-4, "−4", "−4"),
        (-1e-7, "−1e-07", "−1e-07"),
        (-0.0, "0", "0"),
        (Decimal("-0.5"), "−0.5", "−0,5"),
        (2013, "2013", "2013"),
        (1e-7, "1e-07", "1e-07"),
        (float("nan"), "nan", "nan"),
        (Decimal("12345.678901"), "12,345.678901", "12 345,678901"),
        (True, "yes", "да"),
        (dt.date(2013, 10, 1), "Oct 1, 2013", "1 окт. 2013 г."),
        (
            dt.datetime(2013, 10, 1, 12, 30, tzinfo=dt.UTC),
            "Oct 1, 2013, 12:30:00 PM UTC",
            "1 окт. 2013 г., 12:30:00 UTC",
        ),
        (b"\x01\xff", "01ff", "01ff"),
        ("<b>1,5</b>", "<b>1,5</b>", "<b>1,5</b>"),
    ],
)
def test_values_are_written_as_the_language_does(value: object, english: str, russian: str) -> None:
    shown = [Formats(language).value(value) for language in ("en", "ru")]
    assert [" ".join(text.split()) for text in shown] == [english, russian]


@pytest.mark.parametrize(
    ("count", "english", "russian"),
    [(1, "1 row", "1 строка"), (3, "3 rows", "3 строки"), (11, "11 rows", "11 строк"), (21, "21 rows", "21 строка")],
)
def test_plurals(count: int, english: str, russian: str) -> None:
    assert [Texts(language)("marts")("rows", n=count) for language in ("en", "ru")] == [english, russian]
