"""A PostgreSQL server over TCP that asks for passwords, made of the embedded wheel's programs."""

import shutil
import subprocess
from pathlib import Path

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts import embedded_postgres

ROOT = "root"


def make(data: Path, port: int, password: str, *, durable: bool = True) -> None:
    """Creates the data folder of a server on the loopback; it gets its final name when it is complete.

    Args:
        data: the folder, which must not exist.
        port: of the server.
        password: of the superuser, :data:`ROOT`.
        durable: whether commits survive the machine's end.

    Raises:
        StoreError: the server's programs are missing or fail.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    unfinished, password_file = data.with_name(f"{data.name}.new"), data.with_name("password")
    # Whatever a killed call left: initdb wants no folder, and the server's user may not be the caller.
    if unfinished.exists():  # of a call that was killed
        shutil.rmtree(unfinished)
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    unfinished.mkdir(mode=0o700)
    for path in (password_file, unfinished):
        embedded_postgres.hand_over(path, unfinished)
    options = (f"--username={ROOT}", f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8")
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "timezone": "UTC"}
    if not durable:
        settings["fsync"] = "off"
    given = [f"--set={name}={value}" for name, value in settings.items()]
    make = ("initdb", *options, "--locale=C", *given, "--no-sync", f"--pgdata={unfinished}")
    try:
        run(*embedded_postgres.command(*make, data=unfinished))
    finally:
        password_file.unlink()
    unfinished.rename(data)


def line(data: Path) -> list[str]:
    """The command line of the server, which stays in the foreground."""
    return embedded_postgres.command("postgres", "-D", str(data), data=data)


def run(*line: str) -> None:
    """Runs a program to its end, without the variables that are meant for the user's other servers.

    Raises:
        StoreError: it fails; says what it said.
    """
    done = subprocess.run(  # noqa: S603 - the wheel's programs
        line, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment()
    )
    if done.returncode:
        raise StoreError("PostgreSQL failed", found=f"exit {done.returncode} of {line[0]}\n{done.stderr.strip()}")


def environment() -> dict[str, str]:
    """Environment variables for the programs of the server."""
    return embedded_postgres.environment()
