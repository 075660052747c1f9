"""The marts' server as the page uses it: a few read-only connections, and a time limit for each statement."""

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
SECONDS = 15  # for one statement; a person does not wait longer
_WAIT_SECONDS = 30  # for a free connection
# Values as text, the same on every server and every version.
SESSION = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex'"


class TooSlow(StoreError):  # noqa: N818 - it reads so
    """The server did not finish a statement within its time limit."""


class ReadOnlyDatabase:
    """The server of the marts, read by many sessions at once. Constructing it connects to nothing.

    Each connection takes the role ``<schema>_reader`` if our login may, and works in read-only transactions in any
    case. Connections are kept and used again; one that the server has closed meanwhile is replaced.

    psycopg2's own pool is not used: it connects while it holds its lock, so that one connection attempt which hangs
    stops everybody; it raises instead of waiting when all connections are in use; and it hands out dead ones.

    Args:
        server: a Greenplum or PostgreSQL server, or the folder of the embedded one.
        schema: of the marts.
        seconds: time limit of one statement.
        connections: how many there are at most.
        wait_seconds: how long a reader waits for a free one.
    """

    def __init__(
        self,
        server: DatabaseSettings | Path,
        schema: str,
        seconds: float = SECONDS,
        *,
        connections: int = CONNECTIONS,
        wait_seconds: float = _WAIT_SECONDS,
    ) -> None:
        self.schema = schema
        self._server = server_of.Database(server)
        self._seconds = seconds
        self._wait_seconds = wait_seconds
        self._idle: list[Connection] = []
        self._free = threading.BoundedSemaphore(connections)
        self._warned = False

    @property
    def uri(self) -> str:
        """Where the database is, without login or password."""
        return self._server.uri

    @contextmanager
    def reading(self, doing: str = "reading the marts", *, stream: bool = False) -> Iterator[Cursor]:
        """A cursor in a read-only transaction of its own.

        Args:
            doing: what for; errors begin with it.
            stream: rows stay on the server until they are fetched. The cursor then takes one statement, and its time
                limit holds for each fetch.

        Raises:
            TransientError: the server does not answer, or every connection is in use.
            TooSlow: a statement took too long.
            StoreError: the server refuses.
        """
        if not self._free.acquire(timeout=self._wait_seconds):
            raise TransientError(f"{doing}: every connection is in use", do="try again in a while")
        try:
            with self._transaction(doing, stream=stream) as cursor:
                yield cursor
        finally:
            self._free.release()

    def ping(self) -> None:
        """Returns if the server answers.

        Raises:
            TransientError: it does not.
        """
        with self.reading("checking whether the server answers") as cursor:
            cursor.execute("SELECT 1")

    def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _transaction(self, doing: str, *, stream: bool) -> Iterator[Cursor]:
        connection = None
        try:
            connection = self._begun()
            with connection.cursor("rows" if stream else None) as cursor:
                yield cursor
            connection.rollback()  # nothing was changed; settings of this transaction end with it
            self._idle.append(connection)
            connection = None
        except QueryCanceled as error:
            raise TooSlow(f"{doing}: it took longer than {self._seconds:g} seconds", do="ask for less") from error
        except psycopg2.Error as error:
            lost = connection is None or bool(connection.closed)
            raise server_of.to_store_error(error, f"{doing} on {self.uri}", lost=lost) from error
        finally:
            if connection is not None:
                connection.close()

    def _begun(self) -> Connection:
        """A connection in a transaction: a kept one if the server has not closed it, else a new one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._opened()
                self._limit(connection)
                return connection
            try:
                self._limit(connection)
            except psycopg2.Error:
                connection.close()  # the server closed it while it was idle
            else:
                return connection

    def _opened(self) -> Connection:
        connection = self._server.connect()
        try:
            connection.set_session(readonly=True)
            with connection.cursor() as cursor:
                cursor.execute(SESSION)
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
            if not self._warned:
                _log.warning("our login is not granted the role %s: the page reads with the login's own rights", role)
            self._warned = True

    def _limit(self, connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [int(self._seconds * 1000)])


class HealthMonitor:
    """Checks in a thread whether a database answers, so that no session waits for one that does not.

    Args:
        database: of its own, with one connection: however busy the page is, the check gets through.
        every: seconds between two checks while it answers.
        while_down: seconds between two checks while it does not.
    """

    def __init__(self, database: ReadOnlyDatabase, every: float = 5, while_down: float = 1) -> None:
        self._database = database
        self._pauses = (every, while_down)
        self._fault: TransientError | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._starting = threading.Lock()

    @property
    def fault(self) -> TransientError | None:
        """Why it does not answer; ``None`` while it does, and before the first check."""
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()
        return self._fault

    def missed(self, fault: TransientError) -> None:
        """Notes a fault that a reader met before the next check."""
        self._fault = fault

    def stop(self) -> None:
        """Ends the checks."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._database.ping()
            except TransientError as fault:
                self._fault = fault
            except StoreError:
                self._fault = None  # it answers; whoever reads gets its refusal
            else:
                self._fault = None
            self._stopped.wait(self._pauses[self._fault is not None])
        self._database.close()
