"""Mart load: the store's COPY, beside psql's own of a ready CSV, and beside what pandas and executemany do.

All load the same rows of the training input mart into an empty table with the same keys and indexes.
"""

import os
import subprocess
from itertools import islice
from typing import Any

import pyarrow as pa
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier

from benchmarks.measure import LIMIT, OURS, Line, Work
from benchmarks.workspace import BATCH, Workspace, parquet
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.tables import input_mart
from pipeline_assets.task.spec import Stage

SCHEMA = "marts"
# A peer that takes minutes a hundred thousand rows does so many.
_MULTI_ROWS, _MULTI_AT_ONCE = 20_000, 1_000
_EXECUTEMANY_ROWS = 5_000


def connect(workspace: Workspace) -> Connection:
    """A plain connection."""
    import psycopg2

    at = workspace.postgres
    connection: Connection = psycopg2.connect(
        host=at.host, port=at.port, dbname=at.database, user=at.login, password=at.password
    )
    return connection


def empty(workspace: Workspace, name: str) -> None:
    """Makes a table empty, if it is there, and has the server finish what others left it to write."""
    connection = connect(workspace)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"{SCHEMA}.{name}"])
        if cursor.fetchall()[0][0] is not None:
            cursor.execute(SQL("TRUNCATE {}").format(Identifier(SCHEMA, name)))
        cursor.execute("CHECKPOINT")
    connection.close()


def ready(workspace: Workspace, stage: Stage = "train") -> str:
    """Makes the mart of a stage, empty; its name."""
    table = input_mart(workspace.task, stage)
    nothing = pa.RecordBatchReader.from_batches(table.schema, [])
    empty(workspace, table.name)
    MartStore(workspace.postgres, SCHEMA).replace(table, {"batch": BATCH}, nothing)
    empty(workspace, table.name)
    return table.name


def _ours(workspace: Workspace) -> Work:
    ready(workspace)
    store, rows = MartStore(workspace.postgres, SCHEMA), parquet(workspace.mart("train"))
    return lambda: store.replace(input_mart(workspace.task, "train"), {"batch": BATCH}, rows)


def copy_csv(workspace: Workspace, stage: Stage = "train") -> Work:
    """The stage's mart rows, copied by psql."""
    name, data = ready(workspace, stage), workspace.folder.parent / "postgres" / "data"
    at = workspace.postgres
    place = {"PGHOST": at.host, "PGPORT": str(at.port), "PGDATABASE": at.database, "PGUSER": at.login}
    environment = {**os.environ, **place, "PGPASSWORD": at.password}
    copy = f"\\copy {SCHEMA}.{name} from '{workspace.mart(stage, 'csv')}' (format csv)"
    line = embedded_postgres.command("psql", "--no-psqlrc", f"--command={copy}", data=data)

    def work() -> int:
        said = subprocess.run(line, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        return int(said.split()[1])

    return work


def _sample(workspace: Workspace, rows: int) -> pa.Table:
    return pa.Table.from_batches(islice(parquet(workspace.mart("train")), 1)).slice(0, rows)


def _to_sql(workspace: Workspace) -> Work:
    import pandas as pd  # noqa: F401 - its import is not what is measured
    from sqlalchemy import URL, create_engine

    name, at = ready(workspace), workspace.postgres
    frame = _sample(workspace, _MULTI_ROWS).to_pandas()
    engine = create_engine(URL.create("postgresql+psycopg2", at.login, at.password, at.host, at.port, at.database))
    engine.connect().close()

    def work() -> int:
        frame.to_sql(name, engine, SCHEMA, if_exists="append", index=False, method="multi", chunksize=_MULTI_AT_ONCE)
        return len(frame)

    return work


def _executemany(workspace: Workspace) -> Work:
    name = ready(workspace)
    sample = _sample(workspace, _EXECUTEMANY_ROWS)
    rows: list[tuple[Any, ...]] = list(zip(*(column.to_pylist() for column in sample.columns), strict=True))
    places = SQL(", ").join(SQL("%s") for _ in sample.column_names)
    names = SQL(", ").join(map(Identifier, sample.column_names))
    insert = SQL("INSERT INTO {} ({}) VALUES ({})").format(Identifier(SCHEMA, name), names, places)
    connection = connect(workspace)

    def work() -> int:
        with connection, connection.cursor() as cursor:
            cursor.executemany(insert, rows)
        return len(rows)

    return work


LINE = Line(
    "mart load",
    {OURS: _ours, LIMIT: copy_csv, "to_sql(multi)": _to_sql, "executemany": _executemany},
    wanted={LIMIT: 2.5, "executemany": 100},
    peers={"dlt": "dlt_load"},
)
