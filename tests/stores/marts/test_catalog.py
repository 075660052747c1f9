import pyarrow as pa

from pipeline_assets.stores.marts import catalog as mart_catalog
from pipeline_assets.stores.marts.definition import MartTable, MartView
from pipeline_assets.stores.marts.sql import Dialect
from tests.fixtures.postgres import Marts

TABLE = MartTable(
    "flights",
    pa.schema([("batch", pa.string()), ("row_number", pa.int64()), ("delay", pa.float64())]),
    "Flights",
    {"delay": "In minutes"},
    ("batch", "row_number"),
)


def test_the_catalog_says_what_is_there(marts: Marts) -> None:
    with marts.connect() as connection, connection.cursor() as cursor:
        nothing = mart_catalog.schema_state(cursor, marts.schema)
        assert (nothing.exists, nothing.reader_exists, nothing.reader_enters) == (False, False, False)
        assert mart_catalog.relation_state(cursor, marts.schema, "flights") is None
        assert mart_catalog.view_definition(cursor, marts.schema, "flights") is None
        assert mart_catalog.views_on(cursor, marts.schema, "flights") == []
        greenplum = mart_catalog.dialect(cursor) is Dialect.GREENPLUM
    connection.close()

    marts.store.ensure_view(MartView("seen", (TABLE,), "SELECT delay FROM {flights}", "Seen", {"delay": "D"}))

    with marts.connect() as connection, connection.cursor() as cursor:
        made = mart_catalog.schema_state(cursor, marts.schema)
        assert (made.exists, made.reader_exists, made.reader_enters, made.may_create_roles) == (True,) * 4
        state = mart_catalog.relation_state(cursor, marts.schema, "flights")
        assert state is not None
        assert list(state.types.items()) == [("batch", "text"), ("row_number", "bigint"), ("delay", "double precision")]
        assert (state.comment, state.comments, state.reader_selects) == ("Flights", {"delay": "In minutes"}, True)
        assert state.key == (frozenset() if greenplum else {"batch", "row_number"})
        assert not mart_catalog.has_values(cursor, marts.schema, "flights", "delay")
        ((view, seen),) = mart_catalog.views_on(cursor, marts.schema, "flights")
        assert (view.name, view.description, view.column_descriptions) == ("seen", "Seen", {"delay": "D"})
        assert seen.types == {"delay": "double precision"}
        assert view.sql == mart_catalog.view_definition(cursor, marts.schema, "seen")
    connection.close()


def test_a_column_has_values_once_a_row_has_one(marts: Marts) -> None:
    rows = pa.table({"batch": ["b", "b"], "row_number": [0, 1], "delay": [None, 0.5]}, schema=TABLE.schema)
    for count, expected in [(1, False), (2, True)]:
        marts.store.replace(TABLE, {"batch": "b"}, rows[:count].to_reader())
        with marts.connect() as connection, connection.cursor() as cursor:
            assert mart_catalog.has_values(cursor, marts.schema, "flights", "delay") is expected
        connection.close()
