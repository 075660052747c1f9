from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.marts.queries import Asked, Order, Rows
from pipeline_assets.mart_page.views.marts.request import Request
from pipeline_assets.mart_page.views.marts.table import MartTable
from tests.examples import shop

KINDS = {"batch": "text", "row_number": "bigint", "price": "double precision", "note": "text"}
COLUMNS = {name: Column(name, kind, "", "raw", key=False) for name, kind in KINDS.items()}


def test_a_missing_number_stands_where_numbers_stand() -> None:
    mart = Mart("marts", "shop_predict_input", "", COLUMNS)
    asked = Request(Asked(mart, None, (), Order(None, down=False)), tuple(COLUMNS), 1, None, (), None)
    rows = Rows(tuple(COLUMNS), [("b", 1, None, None)], more=False)
    html = str(MartTable(Route(), shop(), "predict", asked, rows, Texts("en")("marts"), Formats("en")).tag())
    assert html.count('<td class="null number"') == 1
    assert html.count('<td class="null"') == 1
