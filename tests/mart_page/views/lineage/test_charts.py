import pytest

from pipeline_assets.demo.truth import demo_task
from pipeline_assets.mart_page.language import LANGUAGES, Texts
from pipeline_assets.mart_page.views.lineage.charts import lineage
from pipeline_assets.task.column_lineage import columns
from tests.examples import shop


def test_every_column_that_goes_anywhere_is_a_point_that_can_be_clicked() -> None:
    found = columns(demo_task())
    picture = lineage(found, None, Texts("en")("lineage"))
    keys = [key for trace in picture.figure.data for key in trace.customdata or ()]
    ends = {edge.source for edge in found.edges} | {edge.target for edge in found.edges}
    assert len(keys) == len(set(keys))
    assert set(keys) == ends


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_path_of_a_column_stands_out_by_width_weight_and_words(language: str) -> None:
    picture = lineage(columns(shop()), "feature:weekday", Texts(language)("lineage"))
    others, path, *layers = picture.figure.data
    assert path.line.width > others.line.width
    assert sum(x is None for x in path.x) == 3
    names = [name for layer in layers for name in layer.text]
    assert [name for name in names if name.startswith("<b>")] == [
        "<b>ordered_on</b>", "<b>weekday</b>", "<b>probability</b>", "<b>decision</b>"
    ]  # fmt: skip
    for name in ("ordered_on", "weekday", "probability, decision"):
        assert name in picture.says


def test_a_column_that_goes_nowhere_can_be_picked_too() -> None:
    picture = lineage(columns(shop()), "raw:order_id", Texts("en")("lineage"))
    assert picture.says == "order_id is made of: nothing. It goes into: nothing."


def test_names_of_columns_are_text() -> None:
    columns_ = {**shop().model_dump()["columns"], "<i>a</i>": {"type": "float64", "description": "<b>x</b>"}}
    task = shop(columns=columns_, features={"numeric": {"<u>f</u>": '"<i>a</i>"'}})
    picture = lineage(columns(task), None, Texts("en")("lineage"))
    texts = [text for trace in picture.figure.data for text in (*(trace.text or ()), *(trace.hovertext or ()))]
    assert "&lt;i&gt;a&lt;/i&gt;" in texts
    assert not any("<" in text for text in texts)


def test_a_task_without_a_rule_has_no_decision_to_draw() -> None:
    picture = lineage(columns(shop(output=None)), None, Texts("en")("lineage"))
    keys = [key for trace in picture.figure.data for key in trace.customdata or ()]
    assert "score:decision" not in keys


def test_a_hundred_columns_have_room_for_their_names() -> None:
    names = [f"{'a long name ' * 4}{place}" for place in range(100)]
    columns_ = {**shop().model_dump()["columns"], **{name: {"type": "float64"} for name in names}}
    task = shop(columns=columns_, features={"numeric": {name: f'"{name}"' for name in names}})
    picture = lineage(columns(task), None, Texts("en")("lineage"))
    assert picture.figure.layout.height >= 100 * 15
    assert lineage(columns(shop()), None, Texts("en")("lineage")).figure.layout.height < 800
    texts = [text for trace in picture.figure.data for text in trace.text or ()]
    assert max(map(len, texts)) <= 30
    assert "(probability)" in picture.says
    name = f"{names[7]}"
    path = lineage(columns(task), f"feature:{name}", Texts("en")("lineage")).figure
    keys = [key for trace in path.data for key in trace.customdata or ()]
    assert keys == [f"raw:{name}", f"feature:{name}", "score:probability", "score:decision"]
    assert path.layout.height < 800
    assert len(path.layout.shapes) == len(keys)


def test_lines_end_at_the_frames_of_names() -> None:
    figure = lineage(columns(shop()), None, Texts("en")("lineage")).figure
    sides = {side for box in figure.layout.shapes for side in (box.x0, box.x1)}
    x = figure.data[0].x
    ends = {x[0], *(x[place - 1] for place, each in enumerate(x) if each is None)}
    assert {round(end, 6) for end in ends} <= {round(side, 6) for side in sides}
