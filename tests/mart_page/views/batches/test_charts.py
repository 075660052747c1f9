from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.views.batches.charts import reasons

SAYS, FORMATS = Texts("en")("batches"), Formats("en")


def test_rejected_rows_are_counted_in_whole_numbers_under_a_title_that_wraps() -> None:
    picture = reasons({"price: null": 1, "key (id): repeats": 1}, SAYS, FORMATS)
    assert picture.figure.layout.xaxis.dtick == 1
    assert picture.title == SAYS("reasons")
    assert picture.says == "price: null: 1; key (id): repeats: 1"
