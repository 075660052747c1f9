"""Real servers of the benchmark's own: PostgreSQL over TCP, off the wheel, and the distribution's Tarantool."""

import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline_assets.settings import DatabaseSettings, TarantoolSettings
from pipeline_assets.stores.marts import embedded_postgres
from tests.fixtures.tarantool import GRANTS, TarantoolServer

# Ten million rows, twice: while a batch is replaced there are two of them.
TARANTOOL_BYTES = 10 << 30
# As a server for loads is set up; all else is PostgreSQL's default, fsync included.
_POSTGRES = {"shared_buffers": "256MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "autovacuum": "off"}


@contextmanager
def postgres(folder: Path) -> Iterator[DatabaseSettings]:
    """The superuser's way in; durable, as a real server is."""
    data, password_file, password = folder / "data", folder / "password", secrets.token_hex(8)
    folder.mkdir()
    password_file.write_text(password)
    data.mkdir(mode=0o700)
    for path in (password_file, data):
        embedded_postgres.hand_over(path, data)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    make = ("--username=loader", f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C")
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", **_POSTGRES}
    _run("initdb", *make, *(f"--set={name}={value}" for name, value in settings.items()), data=data)
    _run("pg_ctl", "start", "--wait", "--silent", f"--log={data / 'log'}", data=data)
    try:
        yield DatabaseSettings("127.0.0.1", port, "postgres", "loader", password)
    finally:
        _run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate", data=data)


@contextmanager
def tarantool(folder: Path) -> Iterator[TarantoolServer]:
    """A server that writes its log, as a real one does."""
    folder.mkdir()
    server = TarantoolServer(folder, memory=TARANTOOL_BYTES)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def pipeline_login(server: TarantoolServer) -> TarantoolSettings:
    """A login with the rights that the store's documentation asks for."""
    return server.login("pipeline", *GRANTS)


def _run(program: str, *arguments: str, data: Path) -> None:
    subprocess.run(
        embedded_postgres.command(program, *arguments, f"--pgdata={data}", data=data),
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=embedded_postgres.environment(),
    )
