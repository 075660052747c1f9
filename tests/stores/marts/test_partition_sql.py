from dataclasses import replace

import pyarrow as pa
from psycopg2.sql import Composed

from pipeline_assets.stores.marts.definition import MartTable
from pipeline_assets.stores.marts.partition_sql import PartitionSql
from pipeline_assets.stores.marts.sql import Dialect
from tests.stores.marts.test_sql import text

TABLE = MartTable(
    name="flights",
    schema=pa.schema([("batch", pa.string()), ("row_number", pa.int64()), ("delay", pa.float64())]),
    description="Flights",
    column_descriptions={},
    key=("batch", "row_number"),
    indexes=(("delay", "batch"),),
)
TYPES = {"batch": "text", "row_number": "bigint", "delay": "double precision"}
POSTGRESQL = PartitionSql("marts", TABLE, Dialect.POSTGRESQL)
GREENPLUM = PartitionSql("marts", TABLE, Dialect.GREENPLUM)
COLUMNS = '"batch" text NOT NULL, "row_number" bigint NOT NULL, "delay" double precision'
STORED = ' WITH (appendonly=true, orientation=column, compresstype=zstd) DISTRIBUTED BY ("batch", "row_number")'


def texts(statements: list[Composed]) -> list[str]:
    return [text(statement) for statement in statements]


def test_a_mart_is_made_with_partitions_by_batch() -> None:
    assert texts(POSTGRESQL.create_mart(TYPES)) == [
        f'CREATE TABLE "marts"."flights" ({COLUMNS}) PARTITION BY LIST ("batch")',
        'ALTER TABLE "marts"."flights" ADD CONSTRAINT "flights_pkey" PRIMARY KEY ("batch", "row_number")',
    ]
    parts = ' PARTITION BY LIST ("batch") (PARTITION "none" VALUES (NULL))'
    assert texts(GREENPLUM.create_mart(TYPES)) == [f'CREATE TABLE "marts"."flights" ({COLUMNS}){STORED}{parts}']


def test_a_table_whose_key_does_not_begin_with_the_batch_has_no_partitions() -> None:
    other = replace(TABLE, key=("row_number", "batch"))
    made = texts(PartitionSql("marts", other, Dialect.POSTGRESQL).create_mart(TYPES))
    assert made[0] == f'CREATE TABLE "marts"."flights" ({COLUMNS})'


def test_a_batch_of_postgresql_gets_all_that_a_partition_has_before_it_is_one() -> None:
    part = POSTGRESQL.partition("it's")
    assert part.startswith("_batch_")
    assert texts(POSTGRESQL.create_apart("new", TYPES, "it's")) == [
        f"""CREATE TABLE "marts"."new" ({COLUMNS}, CONSTRAINT "belongs" CHECK ("batch" = "it's"))""",
        """COMMENT ON TABLE "marts"."new" IS "flights: batch it's\"""",
    ]
    _, key, index, analyze = texts(POSTGRESQL.finish_apart("new", "it's", [("delay", "batch")]))
    assert key.startswith(f'ALTER TABLE "marts"."new" ADD CONSTRAINT "{part}_')
    assert key.endswith('_pkey" PRIMARY KEY ("batch", "row_number")')
    assert index.startswith(f'CREATE INDEX "{part}_')
    assert index.endswith('_0_idx" ON "marts"."new" ("delay", "batch")')
    assert analyze == 'ANALYZE "marts"."new" ("batch", "row_number", "delay")'
    swap = [
        f'ALTER TABLE "marts"."new" RENAME TO "{part}"',
        f"""ALTER TABLE "marts"."flights" ATTACH PARTITION "marts"."{part}" FOR VALUES IN ("it's")""",
        f'ALTER TABLE "marts"."{part}" DROP CONSTRAINT "belongs"',
    ]
    assert texts(POSTGRESQL.swap_in("new", "it's", replaces=False)) == swap
    assert texts(POSTGRESQL.swap_in("new", "it's", replaces=True)) == [f'DROP TABLE "marts"."{part}"', *swap]


def test_a_batch_of_greenplum_changes_places_with_its_partition() -> None:
    part = GREENPLUM.partition("b")
    assert texts(GREENPLUM.create_apart("new", TYPES, "b")) == [f'CREATE TABLE "marts"."new" ({COLUMNS}){STORED}']
    assert texts(GREENPLUM.finish_apart("new", "b", [])) == ['ANALYZE "marts"."new" ("batch", "row_number", "delay")']
    swap = [
        f'ALTER TABLE "marts"."flights" EXCHANGE PARTITION "{part}" WITH TABLE "marts"."new" WITHOUT VALIDATION',
        'DROP TABLE "marts"."new"',
    ]
    assert texts(GREENPLUM.swap_in("new", "b", replaces=True)) == swap
    added = f"""ALTER TABLE "marts"."flights" ADD PARTITION "{part}" VALUES ('b')"""
    assert texts(GREENPLUM.swap_in("new", "b", replaces=False)) == [added, *swap]
    assert texts(GREENPLUM.drop("b")) == [f'ALTER TABLE "marts"."flights" DROP PARTITION "{part}"']


def test_partitions_have_names_of_their_own_that_stay() -> None:
    assert POSTGRESQL.partition("2013-01") == "_batch_cf37ee72dab35b2b"  # in every release
    other = PartitionSql("marts", replace(TABLE, name="other"), Dialect.POSTGRESQL)
    names = {one.partition(batch) for one in (POSTGRESQL, other) for batch in ("2013-01", "2013-02", "x" * 200)}
    assert len(names) == 6
    assert {len(name) for name in names} == {23}


def test_columns_that_the_mart_got_meanwhile_are_added_to_a_batch() -> None:
    assert POSTGRESQL.align("new", TYPES, TYPES) == []
    assert texts(POSTGRESQL.align("new", {**TYPES, "delay": "real"}, {**TYPES, "n": "text"})) == [
        'ALTER TABLE "marts"."new" ALTER COLUMN "delay" TYPE double precision, ADD COLUMN "n" text DEFAULT NULL'
    ]
