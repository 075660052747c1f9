from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from htmltools import Tag

from pipeline_assets.engine.replay import Outcome, Replay, RuleOutcome
from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.batches.rejected import RejectedOf
from pipeline_assets.mart_page.views.batches.rejections import Became, by_rule, over_batches, what_became
from pipeline_assets.monitoring.replayed import FormerRow
from pipeline_assets.task.batch import BatchRef, Manifest
from tests.examples import shop

SAYS, FORMATS = Texts("en")("batches"), Formats("en")
WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
PRICE, COUNTRY = "price: breaks price > 0", "country: not allowed"
REF = BatchRef("shop", "predict", "a & b")
FORMER = Manifest(REF, "uri", (), (100,), "sha", 97, 3, 0, {PRICE: 3}, (), {}, "run", "2026-01-01T03:04:00+00:00")


def checks(*rules: Mapping[str, int]) -> list[RejectedOf]:
    return [RejectedOf(f"<b>{at}", 100, max(each.values(), default=0), WHEN, each) for at, each in enumerate(rules)]


def test_each_rule_is_a_line_over_the_batches() -> None:
    picture = by_rule(checks({PRICE: 10}, {}, {COUNTRY: 2, PRICE: 1}), SAYS, FORMATS)
    assert picture is not None
    assert [(trace.name, list(trace.y)) for trace in picture.figure.data] == [
        ("price: breaks price &gt; 0", [0.1, 0.0, 0.01]), ("country: not allowed", [0.0, 0.0, 0.02]),
    ]  # fmt: skip
    assert picture.title == SAYS("by_rule")
    assert not picture.figure.layout.title.text  # plotly's would be cut on a phone
    assert picture.says.endswith("<b>2: country: not allowed 2%, price: breaks price > 0 1%")
    many = by_rule(checks({f"c{at}: null": at + 1 for at in range(9)}), SAYS, FORMATS)
    assert many is not None
    assert [trace.name for trace in many.figure.data] == [f"c{at}: null" for at in range(8, 2, -1)]
    assert by_rule(checks({}, {}), SAYS, FORMATS) is None
    assert by_rule([], SAYS, FORMATS) is None


def test_the_table_has_every_rule_of_every_batch_the_latest_first() -> None:
    found = over_batches(checks({PRICE: 10}, {COUNTRY: 2, PRICE: 1}), Route(), shop(), SAYS, FORMATS)
    html = str(found)
    assert html.index("&lt;b&gt;1") < html.index("&lt;b&gt;0")
    assert "10 (10%)" in html
    assert "2 (2%)" in html
    assert "batch=%3Cb%3E1" in html
    none = over_batches(checks({}, {}), Route(more={"stage": "train"}), shop(), SAYS, FORMATS)
    assert "No row of the 2 batches that were checked is rejected." in str(none)
    assert ": train" in str(none)
    assert over_batches([], Route(), shop(), SAYS, FORMATS) is None


def became(outcomes: Mapping[Outcome, int], *rows: FormerRow) -> Became:
    whole: dict[Outcome, int] = {"accepted": 0, "same_rule": 0, "other_rule": 0, "gone": 0, **outcomes}
    rules = tuple(RuleOutcome(PRICE, outcome, count) for outcome, count in whole.items() if count)
    return Became(Replay(FORMER, FORMER, whole, {}, rules), rows, 1, "s3://all.parquet")


def row(number: int, outcome: Outcome, now: int | None, **more: object) -> FormerRow:
    values = {"row_number": number, "reason": "-1.0", "rules": [PRICE], "outcome": outcome, "row_number_now": now,
              "rules_now": None, "changed_columns": [], **more}  # fmt: skip
    return FormerRow(values, {"probability": 0.25} if outcome == "accepted" else {})


@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_became_of_the_rows_is_told_in_numbers_and_by_row(language: str) -> None:
    found = became(
        {"accepted": 1, "gone": 1, "other_rule": 1},
        row(3, "accepted", 5, changed_columns=["price"]),
        row(4, "gone", None),
        row(5, "other_rule", 6, rules_now=[COUNTRY]),
    )
    html = str(what_became(found, REF, shop(), Texts(language)("batches"), Formats(language)))
    for said in {
        "en": ("Of 3 formerly rejected rows 1 is accepted now.", "gone from the file", "changed: price", "not allowed"),
        "ru": ("(3) теперь принято: 1.", "нет в файле", "изменено: price", "недопустимое значение", "0,25"),
    }[language]:
        assert said in html
    assert "?view=passport&amp;task=shop&amp;batch=a+%26+b&amp;row=5" in html
    assert "s3://all.parquet" in html


def test_where_nothing_was_rejected_nothing_is_told() -> None:
    found = became({})
    clean = replace(found, replay=replace(found.replay, former=replace(FORMER, accepted=100, rejected=0)))
    assert what_became(clean, REF, shop(), SAYS, FORMATS) is None
    assert isinstance(what_became(found, REF, shop(), SAYS, FORMATS), Tag)
