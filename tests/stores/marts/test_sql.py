from dataclasses import fields, replace
from typing import Any

import pyarrow as pa
import pytest
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts import sql as mart_sql
from pipeline_assets.stores.marts.definition import MartTable, check_names
from pipeline_assets.stores.marts.sql import Dialect, RelationState, SchemaState

TABLE = MartTable(
    name="flights",
    schema=pa.schema(
        [("batch", pa.string()), ("row_number", pa.int64()), ("delay", pa.float64()), ("nothing", pa.null())]
    ),
    description="Flights",
    column_descriptions={"delay": "In minutes"},
    key=("batch", "row_number"),
    indexes=(("delay",),),
)
FITTING = RelationState(
    types={"batch": "text", "row_number": "bigint", "delay": "double precision", "nothing": "text"},
    comment="Flights",
    comments={"delay": "In minutes"},
    reader_selects=True,
    key=frozenset({"batch", "row_number"}),
    indexes=frozenset({"flights_pkey", "flights_delay_idx"}),
)


def text(statement: Composable) -> str:
    """As psycopg2 would render it, without a connection."""
    match statement:
        case Composed():
            return "".join(map(text, statement.seq))
        case SQL():
            return str(statement.string)
        case Identifier():
            return ".".join('"' + name.replace('"', '""') + '"' for name in statement.strings)
        case Literal():
            return "NULL" if statement.wrapped is None else repr(statement.wrapped)
    raise AssertionError(statement)


def fit(table: MartTable = TABLE, state: RelationState = FITTING, **how: Any) -> list[str]:
    statements = mart_sql.fit_table("marts", table, state, **{"dialect": Dialect.POSTGRESQL, "readers": True, **how})
    return [text(statement) for statement in statements]


@pytest.mark.parametrize(
    ("version", "dialect"),
    [
        ("PostgreSQL 18.4 on x86_64-pc-linux-gnu, compiled by gcc", Dialect.POSTGRESQL),
        ("PostgreSQL 9.4.26 (Greenplum Database 6.24.3 build commit:25d3498a) on x86_64", Dialect.GREENPLUM),
        ("PostgreSQL 9.4.26 (Greengage Database 6.28.1 build dev) on x86_64", Dialect.GREENPLUM),
        ("PostgreSQL 14.4 (Apache Cloudberry 2.0.0 build 1) on x86_64", Dialect.GREENPLUM),
    ],
)
def test_a_server_is_known_by_its_version(version: str, dialect: Dialect) -> None:
    assert Dialect.of(version) is dialect


FINISH = [
    """COMMENT ON TABLE "marts"."flights" IS 'Flights'""",
    """COMMENT ON COLUMN "marts"."flights"."delay" IS 'In minutes'""",
    'GRANT SELECT ON "marts"."flights" TO "marts_reader"',
]


def test_a_new_mart_on_postgresql_has_indexes() -> None:
    bare = RelationState(types=FITTING.types)
    index = 'CREATE INDEX "flights_delay_idx" ON "marts"."flights" ("delay")'
    assert fit(state=bare) == [index, *FINISH]
    assert fit(state=bare, dialect=Dialect.GREENPLUM) == FINISH


@pytest.mark.parametrize("dialect", Dialect)
def test_a_mart_that_fits_needs_nothing(dialect: Dialect) -> None:
    assert fit(dialect=dialect) == []


@pytest.mark.parametrize("dialect", Dialect)
def test_columns_are_added_and_widened_in_one_statement(dialect: Dialect) -> None:
    state = replace(FITTING, types={"batch": "text", "row_number": "integer", "gone": "text", "delay": "real"})
    (statement,) = fit(state=state, dialect=dialect)
    assert statement == (
        'ALTER TABLE "marts"."flights" ALTER COLUMN "row_number" TYPE bigint,'
        ' ALTER COLUMN "delay" TYPE double precision, ADD COLUMN "nothing" text DEFAULT NULL'
    )
    assert mart_sql.retyped_columns(TABLE, state) == ("row_number", "delay")


def test_a_type_that_cannot_hold_the_old_values_is_taken_only_where_there_are_none() -> None:
    state = replace(FITTING, types={**FITTING.types, "delay": "text"})
    assert mart_sql.conflicting_columns(TABLE, state) == ("delay",)
    assert fit(state=state, valueless=["delay"]) == [
        'ALTER TABLE "marts"."flights" ALTER COLUMN "delay" TYPE double precision USING NULL::double precision'
    ]
    with pytest.raises(StoreError, match=r'(?s)column: +delay.*DROP COLUMN "delay" CASCADE'):
        fit(state=state)


def test_comments_are_set_where_they_differ_and_taken_away() -> None:
    state = replace(FITTING, comment="Old", comments={"delay": "In minutes", "batch": "Old"})
    assert fit(replace(TABLE, description=""), state) == [
        'COMMENT ON TABLE "marts"."flights" IS NULL',
        'COMMENT ON COLUMN "marts"."flights"."batch" IS NULL',
    ]


def test_without_a_readers_role_nothing_is_granted() -> None:
    assert fit(state=replace(FITTING, reader_selects=False), readers=False) == []


@pytest.mark.parametrize(
    ("there", "statements"),
    [
        ({"exists", "reader_exists", "reader_enters"}, []),
        ({"exists", "reader_exists"}, ["GRANT"]),
        ({"exists"}, []),
        ({"exists", "may_create_roles"}, ["CREATE ROLE", "GRANT"]),
        ({"may_create_roles"}, ["CREATE SCHEMA", "CREATE ROLE", "GRANT"]),
        ({"reader_exists", "may_create_roles"}, ["CREATE SCHEMA", "GRANT"]),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_a_schema_is_made_with_its_readers_as_far_as_we_may(there: set[str], statements: list[str]) -> None:
    full = {
        "CREATE SCHEMA": 'CREATE SCHEMA "marts"',
        "CREATE ROLE": 'CREATE ROLE "marts_reader" NOLOGIN',
        "GRANT": 'GRANT USAGE ON SCHEMA "marts" TO "marts_reader"',
    }
    state = SchemaState(**{field.name: field.name in there for field in fields(SchemaState)})
    assert [text(one) for one in mart_sql.prepare_schema("marts", state)] == [full[name] for name in statements]


def test_names_of_indexes_fit_and_differ() -> None:
    long = [mart_sql.index_name("t" * 40, ("c" * 30, end)) for end in "ab"]
    assert len(set(long)) == 2
    assert {len(name.encode()) for name in long} == {63}
    check_names([mart_sql.index_name("ю" * 31, ("я" * 31,))])


def test_rows_are_told_by_value_and_null_and_quoted() -> None:
    assert (
        text(mart_sql.condition({"batch": "it's", "n": None, "m": 1}))
        == '"batch" = "it\'s" AND "n" IS NULL AND "m" = 1'
    )
    assert text(mart_sql.condition({})) == "true"


def test_columns_without_an_arrow_type_are_read_as_text() -> None:
    columns = pa.schema([("n", pa.int64()), ("json", pa.string())])
    assert text(mart_sql.select("marts", "t", columns, {}, ["n"])) == (
        'SELECT "n", "json"::text AS "json" FROM "marts"."t" WHERE true ORDER BY "n"'
    )


def test_a_lock_has_the_same_64_bits_everywhere_and_others_for_others() -> None:
    one = mart_sql.lock_key("marts", "flights", ("batch", "2013-10"))
    assert one == 4048437121010275893  # in every process and release, for any two of them may meet
    assert mart_sql.lock_key("marts", "flights", ("batch", "2013-11")) != one
