"""A Tarantool server: its program, its command line, and the login that the pipeline needs there."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_assets.errors import StoreError
from pipeline_assets.settings import TarantoolSettings

if TYPE_CHECKING:
    import tarantool

# What the store's documentation asks for, and no more.
GRANTS = (("execute", "universe"), ("read,write,create", "space"))

_ADD_LOGIN = """
local name, password, grants = ...
box.schema.user.create(name, {password = password, if_not_exists = true})
for _, grant in ipairs(grants) do
    box.schema.user.grant(name, grant[1], grant[2], nil, {if_not_exists = true})
end
"""


def program() -> str:
    """The server's program.

    Raises:
        StoreError: it is not installed; says how it is.
    """
    found = shutil.which("tarantool")
    if found is None:
        raise StoreError(
            "no Tarantool: the program tarantool is not on the PATH",
            do="install it. Debian, Ubuntu: sudo apt-get install tarantool. RHEL, Fedora: sudo dnf install tarantool,"
            " after adding the repository that tarantool.io/en/download names. macOS: brew install tarantool",
        )
    return found


def line() -> list[str]:
    """The command line, to be run in the folder that holds the server's data."""
    return [program(), str(Path(__file__).with_name("tarantool.lua"))]


def environment(port: int, memory: int, password: str, log: str | None = None) -> dict[str, str]:
    """What the server wants to know.

    Args:
        port: where it listens; 0 for one of its choice, which it prints.
        memory: its limit for what is in memory, in bytes.
        password: of ``admin``.
        log: file of its log, by default its standard error.
    """
    known = {"LISTEN_PORT": str(port), "MEMTX_MEMORY": str(memory), "ADMIN_PASSWORD": password}
    return known if log is None else {**known, "LOG_FILE": log}


def connect(settings: TarantoolSettings) -> "tarantool.Connection":
    """A plain connection."""
    import tarantool

    return tarantool.Connection(
        settings.host, settings.port, user=settings.login, password=settings.password, fetch_schema=False
    )


def add_login(admin: TarantoolSettings, login: TarantoolSettings) -> None:
    """Makes a user with :data:`GRANTS`, unless it is there."""
    connection = connect(admin)
    try:
        connection.eval(_ADD_LOGIN, login.login, login.password, [list(grant) for grant in GRANTS])
    finally:
        connection.close()
