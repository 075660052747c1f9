import io
from collections.abc import Callable

import psycopg2
import pytest
from psycopg2.sql import SQL, Identifier

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.settings import DatabaseSettings
from pipeline_assets.stores.marts.database import Database, copy_in
from tests.fixtures.postgres import Marts

COPY = SQL("COPY copied FROM STDIN WITH (FORMAT csv)").format()


def copied(marts: Marts, produce: Callable[[io.RawIOBase], object]) -> list[tuple[int]]:
    """Runs a COPY into a temporary table of one number; its rows."""
    with Database(marts.server).transaction("copying") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE copied (n int) ON COMMIT DROP")
        copy_in(cursor, COPY, produce)
        cursor.execute("SELECT n FROM copied ORDER BY n")
        return cursor.fetchall()


def test_what_is_written_is_copied(marts: Marts) -> None:
    numbers = range(300_000)  # more than a pipe holds
    rows = copied(marts, lambda sink: sink.write("".join(f"{n}\n" for n in numbers).encode()))
    assert [n for (n,) in rows] == list(numbers)


def test_nothing_written_is_nothing_copied(marts: Marts) -> None:
    assert copied(marts, lambda _: None) == []


@pytest.mark.parametrize("lines", [0, 1_000_000])
def test_the_server_s_no_is_heard_whether_the_writer_is_done_or_not(marts: Marts, lines: int) -> None:
    with pytest.raises(StoreError, match=r"(?s)copying on .*refused.*integer.*line 1, column n"):
        copied(marts, lambda sink: sink.write(b"one\n" + b"1\n" * lines))


def test_a_connection_lost_stops_a_writer_that_would_go_on_for_ever(marts: Marts) -> None:
    def lose_the_connection() -> None:
        with Database(marts.server).transaction("copying") as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE copied (n int)")

            def produce(sink: io.RawIOBase) -> None:
                sink.write(b"1\n")
                marts.query("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
                while True:
                    sink.write(b"1\n" * 100_000)

            copy_in(cursor, COPY, produce)

    with pytest.raises(TransientError, match="did not answer"):
        lose_the_connection()


@pytest.mark.parametrize("error", [KeyError("x"), BrokenPipeError("the writer's own"), KeyboardInterrupt()])
def test_the_writer_s_error_comes_through_as_it_is(marts: Marts, error: BaseException) -> None:
    def produce(sink: io.RawIOBase) -> None:
        sink.write(b"1\n")
        raise error

    with pytest.raises(type(error)) as raised:
        copied(marts, produce)
    assert raised.value is error


def test_the_writer_s_error_is_not_held_up_by_a_copy_that_waits_for_a_lock(marts: Marts) -> None:
    table = Identifier(marts.schema, "numbers")
    marts.query("CREATE SCHEMA {schema}")
    marts.query(SQL("CREATE TABLE {} (n int)").format(table))

    def produce(_: io.RawIOBase) -> None:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
        while marts.query(waiting) == [(0,)]:
            pass
        raise KeyError("x")

    blocker = marts.connect()
    with blocker, blocker.cursor() as cursor:
        cursor.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table))
        with pytest.raises(KeyError), Database(marts.server).transaction("copying") as connection:
            copy_in(connection.cursor(), SQL("COPY {} FROM STDIN WITH (FORMAT csv)").format(table), produce)
    blocker.close()


def test_what_is_not_committed_is_rolled_back(marts: Marts) -> None:
    def make_and_fail() -> None:
        with Database(marts.server).transaction("making") as connection:
            connection.cursor().execute(SQL("CREATE SCHEMA {}").format(Identifier(marts.schema)))
            raise KeyError("x")

    with pytest.raises(KeyError):
        make_and_fail()
    assert marts.query("SELECT 1 FROM pg_namespace WHERE nspname = %s", marts.schema) == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("55P03", TransientError),  # lock time-out
        ("40P01", TransientError),  # deadlock
        ("40001", TransientError),  # serialisation
        ("57P01", TransientError),  # shutting down
        ("57P03", TransientError),  # starting up
        ("53300", TransientError),  # too many connections
        ("08006", TransientError),  # connection lost
        ("58M01", TransientError),  # Greenplum's interconnect
        ("53100", StoreError),  # disk full
        ("57014", StoreError),  # cancelled
        ("42501", StoreError),  # no right to
        ("54000", StoreError),  # a limit exceeded
    ],
)
def test_a_fault_passes_or_not_by_its_code(marts: Marts, code: str, fault: type[StoreError]) -> None:
    def fail() -> None:
        with Database(marts.server).transaction("loading", batch="2013-10") as connection:
            statement = f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = 'said so'; END $$"
            connection.cursor().execute(statement)

    with pytest.raises(StoreError, match="said so") as raised:
        fail()
    assert type(raised.value) is fault
    assert raised.value.facts["batch"] == "2013-10"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ('FATAL:  password authentication failed for user "loader"', StoreError),
        ('ВАЖНО:  пользователь "loader" не прошёл проверку подлинности (по паролю)', StoreError),
        ('FATAL:  database "dwh" does not exist', StoreError),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', StoreError),
        ('could not translate host name "greenplun" to address: Name or service not known', StoreError),
        ("Connection refused. Is the server running on that host?", TransientError),
        ("FATAL:  the database system is starting up", TransientError),
        ("ВАЖНО:  система баз данных запускается", TransientError),
        ("FATAL:  sorry, too many clients already", TransientError),
        ("timeout expired", TransientError),
    ],
)
def test_a_connection_that_fails_is_judged_by_its_words(
    monkeypatch: pytest.MonkeyPatch, said: str, fault: type[StoreError]
) -> None:
    def refuse(**_: object) -> None:
        raise psycopg2.OperationalError(said)

    monkeypatch.setattr(psycopg2, "connect", refuse)
    server = Database(DatabaseSettings("host", 5432, "dwh", "loader", "hunter2"))
    with pytest.raises(StoreError) as raised, server.transaction("counting"):
        pass
    assert type(raised.value) is fault
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)
