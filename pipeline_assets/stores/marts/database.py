"""Transactions on the server of the marts (PostgreSQL, Greenplum or the embedded one), and its errors as ours."""

import fcntl
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import Composed

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.settings import DatabaseSettings
from pipeline_assets.stores.marts import embedded_postgres

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# With these settings values are read and written the same, whatever the server or the login has set. A load may wait
# long for another load of its batch, but not for ever.
_SESSION = """
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL timezone = 'UTC';
SET LOCAL extra_float_digits = 3;
SET LOCAL bytea_output = 'hex';
SET LOCAL lock_timeout = '30min';
"""
# Classes and codes of SQLSTATE after which asking again may help: connection lost; shutting or starting up;
# lock time-out, deadlock and serialisation; too many connections; Greenplum's interconnect.
_TRANSIENT = re.compile("08...|57P0[123]|55P03|40P01|40001|53300|58M01")
# Errors of connecting carry no SQLSTATE. These words, in the server's English or Russian, mean a final refusal.
_FINAL = re.compile(
    "authentication|no password|does not exist|pg_hba|permission denied|not permitted|could not translate host"
    "|подлинност|парол|не существует|запрещ|привилеги",
    re.IGNORECASE,
)
# What libpq says where client and server do not agree on TLS, and what to do about it; a retry does not help.
_TLS = {
    "does not match host name": "set GREENPLUM_HOST to a name in the server's certificate, or PGSSLMODE to verify-ca",
    "certificate|сертификат": "set PGSSLROOTCERT to the file of the authority that signed the server's certificate",
    "does not support SSL|не поддерживает SSL": "switch TLS on in the server, or set PGSSLMODE to prefer",
    "invalid sslmode": "set PGSSLMODE to disable, allow, prefer, require, verify-ca or verify-full",
    "no encryption|SSL off": "set PGSSLMODE to require, or verify-full and PGSSLROOTCERT",
}
# The most that Linux gives a plain user: the server goes on working while the next rows are made.
_PIPE_BYTES = 1 << 20
_COPY_BYTES = 1 << 17

T = TypeVar("T")


class Database:
    """A database server: one transaction at a time, each on a new connection.

    Args:
        server: where it is, or the folder of the embedded one. The first transaction connects.
    """

    def __init__(self, server: DatabaseSettings | Path) -> None:
        self._server = server

    @property
    def uri(self) -> str:
        """Where the database is, without login or password, as libpq takes it (also for the embedded server)."""
        if isinstance(self._server, Path):
            folder = quote(str(self._server.absolute() / "data"), safe="")
            return f"postgresql://{folder}/{embedded_postgres.DATABASE}"
        host = f"[{self._server.host}]" if ":" in self._server.host else self._server.host
        return f"postgresql://{host}:{self._server.port}/{quote(self._server.database)}"

    @contextmanager
    def transaction(self, doing: str, **facts: object) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any exception.

        Args:
            doing: what for, as an error says it: "loading marts.flights".
            facts: more facts for an error.

        Raises:
            TransientError: the server does not answer, or the wait for a lock was too long.
            StoreError: it refuses.
        """
        connection = None
        try:
            connection = self.connect()
            with connection.cursor() as cursor:
                cursor.execute(_SESSION)
            yield connection
            connection.commit()
        except psycopg2.Error as error:
            lost = connection is None or bool(connection.closed)
            raise to_store_error(error, f"{doing} on {self.uri}", lost=lost, **facts) from error
        finally:
            if connection is not None:
                connection.close()  # the server rolls back what is not committed

    @contextmanager
    def cursor(self, doing: str, **facts: object) -> Iterator[Cursor]:
        """One transaction with one cursor; see :meth:`transaction`."""
        with self.transaction(doing, **facts) as connection, connection.cursor() as cursor:
            yield cursor

    def connect(self) -> Connection:
        """A new connection, which the caller closes.

        Raises:
            psycopg2.Error: the server does not let us in; :func:`to_store_error` says why.
            TransientError: the embedded server does not start.
        """
        server = self._server
        target: dict[str, Any]
        if isinstance(server, Path):
            target = {**embedded_postgres.use(server)}
        else:
            target = {
                "host": server.host,
                "port": server.port,
                "dbname": server.database,
                "user": server.login,
                "password": server.password,
            }
        connection: Connection = psycopg2.connect(
            **target,
            connect_timeout=15,
            keepalives_idle=60,  # a silent network loss ends in minutes, not hours
            client_encoding="UTF8",
            application_name="pipeline_assets",
        )
        return connection


def to_store_error(error: psycopg2.Error, doing: str, *, lost: bool, **facts: object) -> StoreError:
    """An error of the server or the connection, as ours.

    Args:
        error: of psycopg2.
        doing: what was being done, and where.
        lost: whether there was no connection, or it broke.
        facts: more facts for the error.

    Returns:
        A TransientError where asking again may help.
    """
    advice = None
    if error.pgcode is not None:
        transient = _TRANSIENT.fullmatch(error.pgcode) is not None
    else:
        advice = next((do for said, do in _TLS.items() if lost and re.search(said, str(error))), None)
        transient = lost and advice is None and _FINAL.search(str(error)) is None
    said = (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint, error.diag.context)
    found = "\n".join(text for text in said if text) or str(error).strip()
    if transient:
        return TransientError(f"{doing}: the server did not answer", found=found, **facts)
    if advice is not None:
        facts = {**facts, "do": advice}
    return StoreError(f"{doing}: the server refused", found=found, **facts)


def execute_all(cursor: Cursor, statements: Iterable[Composed]) -> None:
    """Executes statements one after the other."""
    for statement in statements:
        cursor.execute(statement)


def copy_in(cursor: Cursor, statement: Composed, produce: Callable[[io.RawIOBase], T]) -> T:
    """Runs ``COPY ... FROM STDIN`` on what a function writes, while it writes.

    The function runs in the calling thread and the COPY in another, with a pipe between them. The one that ends
    first closes its end of the pipe, so that neither waits for the other for ever. The server's objection to a row
    arrives only when everything has been written (libpq does not read before), so limit the rows of one COPY.

    Args:
        cursor: of an open transaction; its ``rowcount`` afterwards is the server's count of rows.
        statement: the COPY.
        produce: is given the sink to write to.

    Returns:
        What ``produce`` returns.

    Raises:
        psycopg2.Error: the server ended the COPY.
        Exception: any error of ``produce``, unchanged. The transaction must then be rolled back.
    """
    source, target = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):  # the user has too many large pipes already; a small one works as well
            fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def copy() -> None:
        with open(source, "rb", buffering=0) as stream:  # noqa: PTH123 - a descriptor is no path
            cursor.copy_expert(statement, stream, _COPY_BYTES)

    with ThreadPoolExecutor(1, thread_name_prefix="copy") as pool:
        copied = pool.submit(copy)
        try:
            with _Sink(target) as sink:
                produced = produce(sink)
        except BrokenPipeError:
            copied.result()  # raises why the COPY ended early; if it did not, the error is the producer's
            raise
        except BaseException:
            with suppress(psycopg2.Error):
                cursor.connection.cancel()
            raise
        copied.result()
    return produced


class _Sink(io.RawIOBase):
    """The writing end of a pipe. It writes all bytes of each call; a plain raw file may write only a part."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        whole = rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        return whole.nbytes

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
