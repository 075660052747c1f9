import pyarrow as pa
import pytest

from pipeline_assets.mart_page.language import LANGUAGES, Formats, Texts
from pipeline_assets.mart_page.predicted import Predicted
from pipeline_assets.mart_page.scored import Scores
from pipeline_assets.mart_page.views.drift.score_charts import by_batch, of_batch
from tests.mart_page.filled import START

SCRIPT = "<script>alert(1)</script>"
MADE = [Predicted(batch, 1, "run", START) for batch in ("2026-01", SCRIPT)]


def numbers(factor: float = 1.0) -> list[Scores]:
    values = pa.array([factor * value for value in (0.1, 0.2, 0.3, 0.4, 0.5)])
    quantiles = tuple(values.to_pylist())
    return [Scores(made, 5, 5, values, quantiles) for made in MADE]


def labels() -> list[Scores]:
    many: dict[str | bool, float] = {f"class {place}": 0.1 for place in range(10)}
    few: dict[str | bool, float] = {SCRIPT: 0.75, "class 1": 0.25}
    return [Scores(made, 20, 20, pa.array(["a"]), (), each) for made, each in zip(MADE, (many, few), strict=True)]


def test_probabilities_are_a_box_a_batch() -> None:
    picture = by_batch(numbers(), "binary", Texts("en")("drift"), Formats("en"))
    (boxes,) = picture.figure.data
    assert (list(boxes.lowerfence), list(boxes.median), list(boxes.upperfence)) == ([0.1] * 2, [0.3] * 2, [0.5] * 2)
    assert not any("<" in text for text in picture.figure.layout.xaxis.ticktext)
    assert "30% in 2026-01" in picture.says


@pytest.mark.parametrize("language", LANGUAGES)
def test_predicted_values_are_numbers_in_their_own_unit(language: str) -> None:
    texts, formats = Texts(language)("drift"), Formats(language)
    picture = by_batch(numbers(1000), "regression", texts, formats)
    assert "%" not in picture.says
    assert formats.number(300.0) in picture.says
    earlier, later = numbers(1000)
    histogram = of_batch(earlier, later, "regression", texts, formats)
    first, picked = histogram.figure.data
    assert (sum(first.y), sum(picked.y)) == (pytest.approx(1), pytest.approx(1))
    assert histogram.figure.layout.xaxis.title.text == texts("axis_regression")


def test_predicted_classes_are_segments_that_add_up_and_none_is_lost() -> None:
    picture = by_batch(labels(), "multiclass", Texts("en")("drift"), Formats("en"))
    segments = picture.figure.data
    assert len(segments) == 7  # six of them by name, and the others
    for place in (0, 1):
        assert sum(segment.y[place] for segment in segments) == pytest.approx(1)
    for segment in segments:
        assert not any("<" in text for text in (segment.name, *segment.customdata))
    assert SCRIPT in picture.says  # the page sets it as text


def test_one_batch_is_shown_alone() -> None:
    (only, _) = labels()
    picture = of_batch(only, only, "multiclass", Texts("en")("drift"), Formats("en"))
    assert len(picture.figure.data) == 1
    assert "the most frequent label is" in picture.says
    alone = numbers()[:1]
    assert by_batch(alone, "binary", Texts("en")("drift"), Formats("en")).says == "The middle score in 2026-01 is 30%."
    bins = of_batch(alone[0], alone[0], "binary", Texts("en")("drift"), Formats("en"))
    assert bins.says.startswith("In 2026-01 the fullest bin is ")
    assert bins.says.endswith(", with 20% of the rows.")
