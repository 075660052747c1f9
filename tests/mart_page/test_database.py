import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg2.sql import SQL, Identifier

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.mart_page import database as page_database
from pipeline_assets.mart_page.database import HealthMonitor, ReadOnlyDatabase, TooSlow
from pipeline_assets.settings import DatabaseSettings
from pipeline_assets.stack.ports import free_ports
from tests.examples import shop
from tests.fixtures.postgres import Marts, make_login
from tests.mart_page.filled import put_output
from tests.waiting import eventually

TASK = shop()


def test_it_reads_and_cannot_write(marts: Marts) -> None:
    put_output(marts, TASK, "b", [0.5], run="r", day=1)
    database = ReadOnlyDatabase(marts.server, marts.schema)
    table = Identifier(marts.schema, "shop_predict_output")
    with database.reading() as cursor:
        cursor.execute(SQL("SELECT count(*) FROM {}").format(table))
        assert cursor.fetchall() == [(1,)]
    with pytest.raises(StoreError, match="read-only transaction"), database.reading() as cursor:
        cursor.execute(SQL("DELETE FROM {}").format(table))
    database.close()


@pytest.fixture
def granted(marts: Marts) -> Iterator[DatabaseSettings | Path]:
    """A login that was granted the readers' role, on the server of the marts."""
    put_output(marts, TASK, "b", [0.5], run="r", day=1)
    if isinstance(marts.server, Path):
        yield marts.server  # the embedded server's login may take any role
        return
    looker = make_login(marts.server, f"looker_{marts.schema[-9:-1]}")
    role = Identifier(f"{marts.schema}_reader")
    marts.query(SQL("GRANT {} TO {}").format(role, Identifier(looker.login)))
    yield looker
    marts.query(SQL("DROP ROLE {}").format(Identifier(looker.login)))


def test_the_readers_role_is_taken_where_it_is_granted(marts: Marts, granted: DatabaseSettings | Path) -> None:
    database = ReadOnlyDatabase(granted, marts.schema)
    with database.reading() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchall() == [(f"{marts.schema}_reader",)]
        cursor.execute(SQL("SELECT count(*) FROM {}").format(Identifier(marts.schema, "shop_predict_output")))
        assert cursor.fetchall() == [(1,)]
    database.close()


def test_a_statement_has_its_time(marts: Marts) -> None:
    database = ReadOnlyDatabase(marts.server, marts.schema, seconds=0.2)
    with pytest.raises(TooSlow, match=r"longer than 0.2 seconds"), database.reading() as cursor:
        cursor.execute("SELECT pg_sleep(30)")
    with database.reading() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchall() == [("200ms",)]
    database.close()


def test_connections_that_the_server_ended_are_replaced(marts: Marts) -> None:
    database = ReadOnlyDatabase(marts.server, marts.schema)
    with database.reading() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((pid,),) = cursor.fetchall()
    marts.query("SELECT pg_terminate_backend(%s)", pid)
    eventually(lambda: not marts.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid), 30)
    with database.reading() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchall() != [(pid,)]
    database.close()


def test_connections_are_few_and_waited_for(marts: Marts) -> None:
    database = ReadOnlyDatabase(marts.server, marts.schema, wait_seconds=0.1)
    held, enough = threading.Barrier(page_database.CONNECTIONS + 1), threading.Event()

    def hold() -> None:
        with database.reading():
            held.wait(30)
            enough.wait(30)

    threads = [threading.Thread(target=hold) for _ in range(page_database.CONNECTIONS)]
    for thread in threads:
        thread.start()
    held.wait(30)
    with pytest.raises(TransientError, match="every connection is in use"), database.reading():
        pass
    enough.set()
    for thread in threads:
        thread.join()
    database.ping()
    database.close()


def test_a_server_that_is_not_there_is_a_transient_error_without_its_password(tcp_server: DatabaseSettings) -> None:
    nowhere = replace(tcp_server, port=free_ports(1)[0], password="not-to-be-shown")
    database = ReadOnlyDatabase(nowhere, "marts")
    with pytest.raises(TransientError) as raised, database.reading():
        pass
    assert "not-to-be-shown" not in str(raised.value)


def test_the_health_monitor_notes_a_fault_and_its_end(tcp_server: DatabaseSettings) -> None:
    dead = HealthMonitor(ReadOnlyDatabase(replace(tcp_server, port=free_ports(1)[0]), "marts"), while_down=0.05)
    eventually(lambda: dead.fault is not None, 30)
    dead.stop()
    alive = HealthMonitor(ReadOnlyDatabase(tcp_server, "marts"), while_down=0.05, every=0.05)
    alive.missed(TransientError("just so"))
    eventually(lambda: alive.fault is None, 30)
    alive.stop()
