"""Tests of the badge and the section of reproductions, over rows as the operation writes them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline_assets.mart_page.language import LANGUAGES, Texts
from pipeline_assets.mart_page.views.models.queries import reproduced
from pipeline_assets.mart_page.views.models.reproductions import badge, badges, why
from pipeline_assets.stores.marts.reproductions import reproduction_row, reproductions
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import cursor_of

ROW: dict[str, Any] = {
    "because": "they are equal", "environment": "{}", "report": "{}", "seconds": 1.5, "step": None,
    "column_name": None, "row_number": None, "found": None, "expected": None,
}  # fmt: skip


def _put(marts: Marts, run: str, version: int, verdict: str, day: int, **more: object) -> None:
    row = {**ROW, "run_id": run, "model_version": version, "verdict": verdict, **more}
    row["reproduced_at"] = datetime(2026, 1, day, tzinfo=UTC)
    marts.store.replace(reproductions("shop"), {"run_id": run}, reproduction_row("shop", row))


def test_the_latest_verdict_of_each_version_is_its_badge(marts: Marts) -> None:
    with cursor_of(marts) as cursor:
        assert reproduced(cursor, marts.schema, shop()) == {}
    _put(marts, "one", 1, "different", day=1)
    _put(marts, "two", 1, "identical", day=2)
    _put(marts, "three", 2, "cannot be asked here", day=3)
    with cursor_of(marts) as cursor:
        found = reproduced(cursor, marts.schema, shop())

    assert {version: [each.run_id for each in made] for version, made in found.items()} == {
        1: ["two", "one"],
        2: ["three"],
    }
    shown = {version: str(tag) for version, tag in badges(found, Texts("en")("models")).items()}
    assert "✓ identical" in shown[1]
    assert "? cannot be asked here" in shown[2]


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_one_there_is_no_badge(language: str) -> None:
    assert badge((), Texts(language)("models")) is None


def test_why_is_said_in_the_readers_language(marts: Marts) -> None:
    at = {"step": "features", "column_name": "price", "row_number": 7, "found": "2.5", "expected": "2.0"}
    _put(marts, "one", 1, "different", day=4, **at)
    _put(marts, "two", 1, "cannot be asked here", day=3, **at)
    _put(marts, "three", 1, "cannot be asked here", day=2, because="the input is gone")
    _put(marts, "four", 1, "identical", day=1)
    with cursor_of(marts) as cursor:
        made = reproduced(cursor, marts.schema, shop())[1]

    first = "Первое отличие: признаки, price, строка 7; здесь 2.5, при обучении 2.0."
    assert [why(each, Texts("ru")("models")) for each in made] == [
        first,
        f"Отличие может объясняться не записью, а чем-то ещё. {first}",
        "the input is gone",
        "Признаки, предсказания и метрики совпадают бит в бит.",
    ]
    english = why(made[0], Texts("en")("models"))
    assert english == "The first difference: features, price, row 7; here 2.5, at training 2.0."
