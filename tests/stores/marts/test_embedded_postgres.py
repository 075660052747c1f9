import fcntl
import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.stores.marts import embedded_postgres

# A process that uses the server of a folder, runs its statements one a line of input, and says what came out.
USER = """
import sys, psycopg2
from pathlib import Path
from pipeline_assets.stores.marts import embedded_postgres

connection = psycopg2.connect(**embedded_postgres.use(Path(sys.argv[1])))
connection.autocommit = True
print("ready", flush=True)
for line in sys.stdin:
    cursor = connection.cursor()
    cursor.execute(line)
    print(cursor.fetchall() if cursor.description else "done", flush=True)
"""


class User:
    def __init__(self, folder: Path, before: Sequence[str] = (), **how: Any) -> None:
        line = [*before, sys.executable, "-c", USER, str(folder)]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how)
        assert self.process.stdin
        assert self.process.stdout
        self._to, self._from = self.process.stdin, self.process.stdout

    def ready(self) -> "User":
        assert self._from.readline() == "ready\n"
        return self

    def ask(self, statement: str) -> str:
        self._to.write(f"{statement}\n")
        self._to.flush()
        return str(self._from.readline()).strip()

    def end(self, *, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Of a server that is stopped in the end, whatever became of it."""
    folder = tmp_path / "server"
    yield folder
    embedded_postgres.stop(folder)


def ask(folder: Path, statement: str) -> object:
    connection = psycopg2.connect(**embedded_postgres.use(folder))  # type: ignore[call-overload]
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


def wait_for_the_reaper(folder: Path) -> None:
    """It holds this lock as long as it is there."""
    with (folder / "reaper.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def runs(folder: Path) -> bool:
    return (folder / "data" / "postmaster.pid").exists()


def test_the_server_is_a_real_one_in_unicode_and_utc(folder: Path) -> None:
    assert ask(folder, "SELECT lower('ЁЖ'), 'я' > 'а', current_setting('timezone')") == [("ёж", True, "UTC")]


def test_it_logs_no_rows_of_new_tables_and_has_locks_for_thousands_of_batches(folder: Path) -> None:
    assert ask(folder, "SHOW wal_level") == [("minimal",)]
    assert ask(folder, "SHOW max_locks_per_transaction") == [("1024",)]


def test_only_its_user_may_enter_its_folder(folder: Path) -> None:
    ask(folder, "SELECT 1")
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "data").stat().st_mode & 0o077 == 0
    assert folder.stat().st_uid == os.geteuid()


def test_it_is_used_again_as_it_is(folder: Path) -> None:
    started = "SELECT pg_postmaster_start_time()"
    assert ask(folder, started) == ask(folder, started)


@pytest.mark.parametrize("kill", [False, True])
def test_it_stops_when_its_last_user_has_ended_however_that_was(folder: Path, *, kill: bool) -> None:
    first = User(folder).ready()
    second = User(folder).ready()
    first.end(kill=kill)
    assert second.ask("CREATE TABLE kept AS SELECT 1 AS n") == "done"
    second.end(kill=kill)
    wait_for_the_reaper(folder)
    assert not runs(folder)
    third = User(folder).ready()
    assert third.ask("SELECT n FROM kept") == "[(1,)]"
    third.end()
    wait_for_the_reaper(folder)
    assert not runs(folder)


def test_processes_that_start_it_at_once_share_one(folder: Path) -> None:
    users = [User(folder) for _ in range(4)]
    started = {user.ready().ask("SELECT pg_postmaster_start_time()") for user in users}
    assert len(started) == 1
    for user in users:
        user.end()


def test_ctrl_c_in_the_terminal_ends_the_user_and_not_the_server(folder: Path) -> None:
    first = User(folder, start_new_session=True, stderr=subprocess.DEVNULL).ready()
    second = User(folder).ready()
    os.killpg(first.process.pid, signal.SIGINT)
    first.end()
    assert second.ask("SELECT 1") == "[(1,)]"
    second.end()


def test_a_stopped_server_is_started_again_with_what_it_had(folder: Path) -> None:
    ask(folder, "CREATE TABLE kept AS SELECT 1 AS n")
    embedded_postgres.stop(folder)
    assert not runs(folder)
    embedded_postgres.stop(folder)
    assert ask(folder, "SELECT n FROM kept") == [(1,)]


def test_a_folder_that_never_had_a_server_can_be_stopped(tmp_path: Path) -> None:
    embedded_postgres.stop(tmp_path / "nothing")
    assert not list(tmp_path.iterdir())


def test_make_clean_stops_it_by_command(folder: Path) -> None:
    ask(folder, "SELECT 1")
    subprocess.run([sys.executable, "-m", embedded_postgres.__name__, "stop", str(folder)], check=True)
    assert not runs(folder)


def test_a_killed_server_is_started_again_with_what_was_committed(folder: Path) -> None:
    ask(folder, "CREATE TABLE kept AS SELECT 1 AS n")
    os.kill(int((folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    for _ in range(1000):  # the kernel and the server's other processes need a moment
        try:
            assert ask(folder, "SELECT n FROM kept") == [(1,)]
        except (TransientError, psycopg2.OperationalError):
            continue
        break
    else:
        pytest.fail("it does not come back")


def test_the_lock_of_a_server_long_dead_whose_number_is_another_program_s_is_removed(folder: Path) -> None:
    ask(folder, "SELECT 1")
    lock = folder / "data" / "postmaster.pid"
    dead = lock.read_text().split("\n", 1)[1]
    embedded_postgres.stop(folder)
    lock.write_text(f"{os.getppid()}\n{dead}")
    assert ask(folder, "SELECT 1") == [(1,)]


def test_a_database_half_made_is_made_anew(folder: Path) -> None:
    (folder / "data.new").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("18")
    assert ask(folder, "SELECT 1") == [(1,)]
    assert not (folder / "data.new").exists()


def test_a_folder_removed_under_its_users_is_made_anew_and_used_by_them(folder: Path) -> None:
    ask(folder, "SELECT 1")
    embedded_postgres.stop(folder)
    shutil.rmtree(folder)
    ask(folder, "CREATE TABLE kept AS SELECT 1 AS n")
    other = User(folder).ready()
    other.end()
    assert ask(folder, "SELECT n FROM kept") == [(1,)]


def test_a_path_too_long_for_a_socket_will_do(tmp_path: Path) -> None:
    folder = tmp_path / ("длинное имя " * 10) / "server"
    assert ask(folder, "SELECT 1") == [(1,)]
    assert ask(folder, "SELECT 1") == [(1,)]
    embedded_postgres.stop(folder)


def test_variables_meant_for_other_servers_change_nothing(folder: Path) -> None:
    user = User(folder, env={**os.environ, "PGPORT": "1", "PGDATA": "/nowhere", "LC_ALL": "POSIX"}).ready()
    assert user.ask("SHOW port") == "[('5432',)]"
    user.end()


def test_a_forked_child_goes_on_using_it(folder: Path) -> None:
    ask(folder, "SELECT 1")
    context = multiprocessing.get_context("fork")
    child = context.Process(target=ask, args=(folder, "CREATE TABLE kept AS SELECT 1 AS n"))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert ask(folder, "SELECT n FROM kept") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="a plain user is what the other tests run as")
def test_a_plain_user_runs_it_as_itself_and_root_goes_on_with_it(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    folder.mkdir()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    # Python itself may lie in root's home: the same way in as the server's.
    user = User(folder, before=embedded_postgres._as_another_user(folder)).ready()
    assert user.ask("CREATE TABLE kept AS SELECT 1 AS n") == "done"
    assert {(folder / name).stat().st_uid for name in ("data", "log", "users.lock")} == {nobody.pw_uid}
    user.end()
    wait_for_the_reaper(folder)
    assert not runs(folder)
    assert ask(folder, "SELECT n FROM kept") == [(1,)]
    assert (folder / "data" / "postmaster.pid").stat().st_uid == nobody.pw_uid


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    ask(folder, "SELECT 1")
    embedded_postgres.stop(folder)
    (folder / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(TransientError, match=r"(?s)the embedded PostgreSQL failed.*server.*version 17"):
        embedded_postgres.use(folder)


def test_a_folder_of_someone_else_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=r"(?s)another user's.*Permission denied.*do: +remove the folder"):
        embedded_postgres.use(folder)


def test_the_server_knows_no_login_of_the_pipeline(folder: Path) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": "hush", "GREENPLUM_PASSWORD": "hush", "MLFLOW_TRACKING_PASSWORD": "hush"}
    user = User(folder, env={**os.environ, **secrets}).ready()
    server = (folder / "data" / "postmaster.pid").read_text().split()[0]
    said = Path("/proc", server, "environ").read_text()
    assert "LC_ALL=C" in said
    assert not [name for name in ("hush", *secrets) if name in said]
    user.end()


@pytest.mark.skipif(os.geteuid() != 0, reason="a plain user's server has what the user has")
def test_root_s_server_can_write_nothing_but_its_own(folder: Path) -> None:
    ask(folder, "SELECT 1")
    server = (folder / "data" / "postmaster.pid").read_text().split()[0]
    status = dict(line.split(":\t", 1) for line in Path("/proc", server, "status").read_text().splitlines())
    read_and_pass = 1 << 2
    for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) & ~read_and_pass == 0, kind
    for place in (folder / "users.lock", folder.parent / "new"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="Permission denied"):
            ask(folder, f"COPY (SELECT 1) TO '{place}'")
    assert not (folder.parent / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a plain user's server has what the user has")
def test_where_root_itself_may_not_read_everything_the_server_gets_nothing() -> None:
    # As in a container of Docker's; pytest's own folders let nobody pass.
    if not all(above.stat().st_mode & 0o001 for above in Path(sys.executable).resolve().parents):
        pytest.skip("Python lies where nobody may pass")
    if not all(above.stat().st_mode & 0o001 for above in Path(psycopg2.__file__).resolve().parents):
        pytest.skip("the wheel lies where nobody may pass")
    above = Path(tempfile.mkdtemp())
    above.chmod(0o755)
    folder = above / "server"
    try:
        user = User(folder, before=["setpriv", "--bounding-set=-dac_read_search"]).ready()
        server = (folder / "data" / "postmaster.pid").read_text().split()[0]
        status = dict(line.split(":\t", 1) for line in Path("/proc", server, "status").read_text().splitlines())
        assert [int(status[kind], 16) for kind in ("CapEff", "CapPrm", "CapBnd")] == [0, 0, 0]
        user.end()
        wait_for_the_reaper(folder)
    finally:
        embedded_postgres.stop(folder)
        shutil.rmtree(above)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_root_without_setpriv_is_told_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StoreError, match=r"(?s)setpriv.*install util-linux, or run as a plain user"):
        embedded_postgres.use(folder)


def test_a_program_that_the_wheel_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"(?s)lacks a program.*pg_nothing"):
        embedded_postgres.command("pg_nothing", data=tmp_path)
