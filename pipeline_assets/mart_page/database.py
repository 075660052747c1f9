"""The marts' server as the page uses it: a few connections that can only read, and a limit on what a query may take."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
from psycopg2.errors import InsufficientPrivilege, InvalidParameterValue, QueryCanceled
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.settings import DatabaseSettings
from pipeline_assets.stores.marts import database as server_of
from pipeline_assets.stores.marts.sql import reader_role

_log = logging.getLogger(__name__)

CONNECTIONS = 6
SECONDS = 15  # of one statement; a person does not wait longer
_WAIT_SECONDS = 30  # for a free connection
_SESSION = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex'"


class TooSlow(StoreError):  # noqa: N818 - it reads so
    """The server was still at work when the time for a statement was up."""


class ReadOnlyDatabase:
    """The server of the marts, asked by many sessions at once. Constructing it connects to nothing.

    Each connection takes the role ``<schema>_reader`` where our login may, and works in read-only transactions
    in any case. Connections are kept; those that the server dropped are replaced without anyone noticing.

    Args:
        server: a Greenplum or PostgreSQL server, or the folder of the embedded one.
        schema: of the marts.
        seconds: that one statement may take.
    """

    def __init__(self, server: DatabaseSettings | Path, schema: str, seconds: float = SECONDS) -> None:
        self.schema = schema
        self._server = server_of.Database(server)
        self._seconds = seconds
        self._idle: list[Connection] = []
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self._said = False

    @property
    def uri(self) -> str:
        """Where the database is, without login or password."""
        return self._server.uri

    @contextmanager
    def reading(
        self, doing: str = "reading the marts", seconds: float | None = None, *, stream: bool = False
    ) -> Iterator[Cursor]:
        """A cursor in a read-only transaction of its own.

        Args:
            doing: what for, as an error says it.
            seconds: that one statement may take, where it is not the usual time.
            stream: rows stay on the server until they are fetched; one statement then, whose time is also that of
                fetching.

        Raises:
            TransientError: the server does not answer, or every connection is busy.
            TooSlow: a statement took too long.
            StoreError: the server refuses.
        """
        if not self._free.acquire(timeout=_WAIT_SECONDS):
            raise TransientError(f"{doing}: every connection is busy", do="ask again in a while")
        try:
            with self._transaction(doing, self._seconds if seconds is None else seconds, stream=stream) as cursor:
                yield cursor
        finally:
            self._free.release()

    def ping(self) -> None:
        """Returns if the server answers.

        Raises:
            TransientError: it does not.
        """
        with self.reading("asking whether it is there") as cursor:
            cursor.execute("SELECT 1")

    def close(self) -> None:
        """Ends the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _transaction(self, doing: str, seconds: float, *, stream: bool) -> Iterator[Cursor]:
        connection = None
        try:
            connection = self._begun(seconds)
            with connection.cursor("rows" if stream else None) as cursor:
                yield cursor
            connection.rollback()  # nothing was changed; what was set for this transaction goes
            self._idle.append(connection)
            connection = None
        except QueryCanceled as error:
            raise TooSlow(f"{doing}: it took longer than {seconds:g} seconds", do="ask for less") from error
        except psycopg2.Error as error:
            lost = connection is None or bool(connection.closed)
            raise server_of.to_store_error(error, f"{doing} on {self.uri}", lost=lost) from error
        finally:
            if connection is not None:
                connection.close()

    def _begun(self, seconds: float) -> Connection:
        """A connection in a transaction; one that was kept, if the server still knows it."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._opened()
                _limit(connection, seconds)
                return connection
            try:
                _limit(connection, seconds)
            except psycopg2.Error:
                connection.close()  # the server ended it while it was idle
            else:
                return connection

    def _opened(self) -> Connection:
        connection = self._server.connect()
        try:
            connection.set_session(readonly=True)
            with connection.cursor() as cursor:
                cursor.execute(_SESSION)
            connection.commit()
            self._become_reader(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _become_reader(self, connection: Connection) -> None:
        role = reader_role(self.schema)
        try:
            with connection.cursor() as cursor:
                cursor.execute(SQL("SET ROLE {}").format(Identifier(role)))
            connection.commit()
        except (InsufficientPrivilege, InvalidParameterValue):
            connection.rollback()
            if not self._said:
                _log.warning("our login is not granted the role %s: the page reads as itself, and only reads", role)
            self._said = True


def _limit(connection: Connection, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = %s", [int(seconds * 1000)])


class HealthMonitor:
    """Whether a database answers, asked again and again by a thread, so that no session waits for one that does not.

    Args:
        database: that is asked.
        every: seconds between two questions while it answers.
        while_down: seconds between two questions while it does not.
    """

    def __init__(self, database: ReadOnlyDatabase, every: float = 5, while_down: float = 1) -> None:
        self._database = database
        self._pauses = (every, while_down)
        self._fault: TransientError | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._starting = threading.Lock()

    @property
    def fault(self) -> TransientError | None:
        """Why it does not answer; ``None`` while it does, and until it was asked."""
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()
        return self._fault

    def missed(self, fault: TransientError) -> None:
        """Told by whoever got no answer before the thread noticed."""
        self._fault = fault

    def stop(self) -> None:
        """Ends the asking."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._database.ping()
            except TransientError as fault:
                self._fault = fault
            except StoreError:
                self._fault = None  # it answers, and its no is told to whoever asks something
            else:
                self._fault = None
            self._stopped.wait(self._pauses[self._fault is not None])
