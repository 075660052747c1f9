import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pipeline_assets.mart_page.language import LANGUAGES, Formats
from pipeline_assets.mart_page.views.passport.exact import exact


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (1005012, "int64", "1005012"),
        (52088.37, "float64", "52088.37"),
        (0.1234567890123, "float64", "0.1234567890123"),
        (-1.0, "float64", "-1"),
        (float(np.float32(0.1)), "float32", "0.1"),
        (float(np.float32(0.1)), "double", "0.10000000149011612"),
        (Decimal("12345.670"), "decimal(12, 3)", "12345.670"),
        (dt.datetime(2026, 7, 28, 0, 0, 0, 5), "timestamp", "2026-07-28 00:00:00.000005"),
        (pd.Timestamp("2026-07-28 01:02:03.123456789"), "timestamp[ns]", "2026-07-28 01:02:03.123456789"),
        (dt.time(1, 2, 3, 4), "time", "01:02:03.000004"),
        ("1,5", "string", "1,5"),
    ],
)
def test_nothing_of_a_raw_value_is_rounded(value: object, kind: str, shown: str, language: str) -> None:
    assert exact(value, kind, Formats(language)) == shown


def test_midnight_is_a_date() -> None:
    midnight, later = dt.datetime(2026, 7, 28), dt.datetime(2026, 7, 28, 12, 30)
    assert exact(midnight, "timestamp", Formats("en")) == "Jul 28, 2026"
    assert exact(midnight, "timestamp", Formats("ru")) == Formats("ru").value(midnight.date())
    assert exact(later, "timestamp", Formats("en")) == Formats("en").value(later)
    assert exact(midnight.replace(tzinfo=dt.UTC), "timestamptz", Formats("en")).endswith("UTC")


def test_what_is_no_number_is_written_as_the_language_does() -> None:
    assert exact(True, "bool", Formats("ru")) == "да"
