import pyarrow as pa
import pytest
from psycopg2.sql import Identifier

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts.database import Database
from pipeline_assets.stores.marts.loading import Outgoing, copy_rows
from tests.fixtures.postgres import Marts


@pytest.mark.parametrize(("column", "found"), [("n text", "text"), ("m integer", "no such column")])
def test_a_table_that_changed_meanwhile_is_named_not_filled_with_other_values(
    marts: Marts, column: str, found: str
) -> None:
    rows = pa.table({"n": pa.array([1], pa.int32())}).to_reader()

    def load() -> None:
        with Database(marts.server).cursor("copying") as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE there ({column}) ON COMMIT DROP")
            copy_rows(cursor, "copying", Identifier("there"), ["n"], Outgoing(rows, {}, (), None))

    with pytest.raises(StoreError, match=rf"(?s)cannot hold the rows.*column: +n.*found: +{found}.*expected: +integer"):
        load()
