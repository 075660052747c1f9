"""Pictures of quality: where a change of the champion is, what the lines are, and what a reader hears."""

from datetime import timedelta
from typing import Any

import pytest

from pipeline_assets.mart_page.choices import ChoiceMade
from pipeline_assets.mart_page.language import LANGUAGES, Formats, Texts
from pipeline_assets.mart_page.views.quality.charts import calibration, over_batches, place_of
from pipeline_assets.mart_page.views.quality.queries import Judgement, latest
from tests.examples import shop
from tests.mart_page.filled import START

SAYS, FORMATS = Texts("en")("quality"), Formats("en")


def judgement(day: int, **more: Any) -> Judgement:
    values: dict[str, Any] = {
        "version": 1, "batch": f"b{day}", "segment": "", "value": "", "predictions": 10, "rows": 8,
        "metrics": {"roc_auc": 0.6 + day / 100}, "baseline": {"roc_auc": 0.5}, "problem": None, "label_mean": 0.5,
        "calibration": [], "matching": {}, "truth_from": "file", "predicted_at": START + timedelta(days=day),
        "judged_at": START + timedelta(days=30),
    }  # fmt: skip
    return Judgement(**{**values, **more})


def change(day: float, version: int) -> ChoiceMade:
    return ChoiceMade(
        f"run {day}", "train", "t", "champion", version, version - 1, "", "roc_auc", None, (),
        START + timedelta(days=day),
    )  # fmt: skip


def test_a_change_of_the_champion_is_between_the_batches_before_and_after_it() -> None:
    found = [judgement(day) for day in (1, 2, 3)]
    assert [place_of(START + timedelta(days=day), found) for day in (0.5, 1.5, 2.9, 9)] == [-0.5, 0.5, 1.5, 2.5]
    drawn = over_batches(found, "roc_auc", [change(1.5, 2), change(2.5, 3)], SAYS, FORMATS)
    assert [shape.x0 for shape in drawn.figure.layout.shapes] == [0.5, 1.5]
    assert [text.text for text in drawn.figure.layout.annotations] == ["version 2", "version 3"]
    assert "roc_auc is 0.61 in b1 and 0.63 in b3." in drawn.says
    assert "The champion changed to version 2 (" in drawn.says


def test_all_rows_have_the_baseline_beside_them_and_a_segment_a_line_per_value() -> None:
    whole = over_batches([judgement(1), judgement(2)], "roc_auc", [], SAYS, FORMATS).figure
    assert [list(trace.y) for trace in whole.data] == [[0.61, 0.62], [0.5, 0.5]]
    parts = [judgement(1, segment="s", value=value, rows=rows) for value, rows in (("<b>", 3), ("y", 9))]
    figure = over_batches(
        [*parts, judgement(2, segment="s", value="y", metrics={})], "roc_auc", [], SAYS, FORMATS
    ).figure
    assert [trace.name for trace in figure.data] == ["y", "&lt;b&gt;"]
    assert [list(trace.y) for trace in figure.data] == [[0.61, None], [0.61]]


def test_one_batch_is_said_once_and_its_baseline_has_a_mark() -> None:
    drawn = over_batches([judgement(1)], "roc_auc", [], SAYS, FORMATS)
    assert drawn.says == "roc_auc is 0.61 in b1."
    assert all("markers" in trace.mode for trace in drawn.figure.data)


def test_the_last_version_that_predicted_a_batch_is_the_one_drawn() -> None:
    found = [judgement(1), judgement(2), judgement(3, batch="b1", version=2)]
    assert [(each.batch, each.version) for each in latest(found)] == [("b2", 1), ("b1", 2)]


def test_calibration_names_the_part_that_is_most_off() -> None:
    bins = [{"rows": 5, "predicted": 0.1, "came_true": 0.4}, {"rows": 3, "predicted": 0.8, "came_true": 0.75}]
    drawn = calibration(judgement(1, calibration=bins), shop(), SAYS, FORMATS)
    assert list(drawn.figure.data[1].x) == [0.1, 0.8]
    assert list(drawn.figure.data[0].x) == [0.1, 0.8]
    assert drawn.says == "b1: the largest difference is at 10% predicted and 40% come true, 5 rows."


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_axis_names_the_value_that_is_label_1(language: str) -> None:
    says, bins = Texts(language)("quality"), [{"rows": 5, "predicted": 0.1, "came_true": 0.4}]
    named = shop(target={"expression": "note", "positive": "<да>"})
    titles = [
        calibration(judgement(1, calibration=bins), task, says, Formats(language)).figure.layout.yaxis.title.text
        for task in (named, shop())
    ]
    assert "&lt;да&gt;" in titles[0]
    assert titles[1] == says("came_true_binary")
