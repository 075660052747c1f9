from pipeline_assets.stores.marts import view_sql
from pipeline_assets.stores.marts.definition import MartView
from tests.stores.marts.test_sql import TABLE, text


def test_only_names_of_tables_are_replaced_in_the_query_of_a_view() -> None:
    view = MartView("seen", (TABLE,), "SELECT '{x}', '{{' FROM {flights} f, {flights}", "", {})
    made = text(view_sql.create_view("marts", "seen", view))
    assert made == """CREATE VIEW "marts"."seen" AS SELECT '{x}', '{{' FROM "marts"."flights" f, "marts"."flights\""""
