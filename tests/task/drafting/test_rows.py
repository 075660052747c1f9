"""What is taken for a key and for the time of a row."""

import datetime as dt
from typing import Any

import pytest

from pipeline_assets.task.drafting.profile import ColumnProfile, Sample
from pipeline_assets.task.drafting.rows import guess_key, guess_split

ROWS = 5_000
DAYS: dict[str, Any] = {"low": dt.date(2024, 1, 1), "high": dt.date(2024, 12, 31)}


def column(name: str, found: str = "BIGINT", *, in_order: float = 0.5, **more: Any) -> ColumnProfile:
    facts = {"rows": ROWS, "nulls": 0, "distinct": ROWS, "unique": True, **more}
    return ColumnProfile(name=name, found=found, sample=Sample(ROWS, ROWS, sorted=in_order), **facts)


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ([column("amount"), column("order_id")], ("order_id",)),
        ([column("customer_id"), column("id")], ("id",)),
        ([column("Номер заказа"), column("сумма")], ("Номер заказа",)),
        ([column("uuid", "VARCHAR")], ("uuid",)),
        ([column("amount")], ()),
        ([column("id", nulls=1)], ()),
        ([column("id", unique=False)], ()),
        ([column("id", unique=None)], ()),
        ([column("id", "DOUBLE")], ()),
        ([column("index")], ()),
    ],
)
def test_a_key_is_sure_or_there_is_none(columns: list[ColumnProfile], key: tuple[str, ...]) -> None:
    guess = guess_key(columns)
    assert guess.columns == key
    assert guess.reason.startswith("a guess: " if key else "no column")


@pytest.mark.parametrize(
    ("columns", "by"),
    [
        ([column("created_at", "TIMESTAMP")], "created_at"),
        ([column("Дата", "DATE", **DAYS)], "Дата"),
        ([column("moved", "DATE", in_order=1.0)], "moved"),
        ([column("date", "DATE"), column("seen", "TIMESTAMP", in_order=1.0)], "seen"),
        ([column("moved", "DATE")], None),
        ([column("birth_date", "DATE")], None),
        ([column("date", "DATE", nulls=1)], None),
        ([column("date", "DATE", distinct=12)], None),
        ([column("date", "VARCHAR")], None),
        ([], None),
    ],
)
def test_rows_are_divided_by_a_clear_time_or_by_share(columns: list[ColumnProfile], by: str | None) -> None:
    guess = guess_split({one.name: one for one in columns}, 20_000)
    assert (guess.split, guess.column) == (("time", by) if by else ("share", None))
    assert "; or " in guess.reason


def test_few_rows_are_judged_by_folds() -> None:
    assert guess_split({}, 2_999).split == "folds"
    assert guess_split({}, 10_000).split == "share"
    assert guess_split({}, 2_999, classes=6).split == "folds"
    assert guess_split({}, 2_999, classes=23).split == "share"
    assert guess_split({"created_at": column("created_at", "TIMESTAMP")}, 2_999).split == "time"
