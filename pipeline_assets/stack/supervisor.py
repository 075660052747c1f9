"""Supervisor (supervisord.org) keeps the processes: in the background, each with its log, started again when it dies.

It is spoken to by XML-RPC over a socket that only its owner may open.
"""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy, Transport

import psutil

from pipeline_assets.errors import StoreError
from pipeline_assets.stack.plan import write_private
from pipeline_assets.stack.programs import Program

# In the environment of the processes, and of nobody else's: what survives its supervisor is found by it.
MARK = "PIPELINE_STACK"
_LONGEST_SOCKET = 90  # supervisord adds its process id to the name; macOS has 104 bytes for it all
_SECONDS = 60
_SPAWNING = ("STARTING", "RUNNING", "BACKOFF")
_ALREADY_STARTED = 60


class Supervisor:
    """The supervisord process of one folder, running or not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "supervisor.sock"

    def log(self, program: str) -> Path:
        """Log file of a program."""
        return self._folder / "logs" / f"{program}.log"

    def runs(self) -> bool:
        """Whether supervisord answers."""
        try:
            self._call("getState")
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def states(self) -> dict[str, str]:
        """State of each program: ``RUNNING``, ``STARTING``, ``BACKOFF`` (between tries), ``FATAL`` (given up)..."""
        return {found["name"]: found["statename"] for found in self._call("getAllProcessInfo")}

    def pid(self, program: str) -> int:
        """Process id of a program that runs."""
        return int(self._call("getProcessInfo", program)["pid"])

    def start(self, programs: list[Program], environment: Mapping[str, str]) -> None:
        """Starts the programs that do not run, in order; does not wait until they accept requests.

        Args:
            programs: all of them.
            environment: of each.

        Raises:
            StoreError: supervisord does not start.
        """
        if not self.runs():
            self._start(programs, environment)
        states = self.states()
        for program in programs:
            if states[program.name] in _SPAWNING:
                continue
            try:
                self._call("startProcess", program.name, False)  # noqa: FBT003 - XML-RPC has no names: do not wait
            except Fault as fault:
                if fault.faultCode != _ALREADY_STARTED:
                    raise StoreError(f"{program.name} does not start", found=fault.faultString) from fault

    def stop(self) -> None:
        """Stops all programs, the last started first; returns when no process is left.

        Raises:
            StoreError: a process does not end.
        """
        if self.runs():
            daemon = psutil.Process(self._call("getPID"))
            self._call("shutdown")
            _ended([daemon])
        # Of a supervisor that was killed. A server that waits for its clients is killed as well: all of them recover.
        left = [process for process in psutil.process_iter() if self._owns(process)]
        for ask in (psutil.Process.terminate, psutil.Process.kill):
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    ask(process)
            left = _ended(left)
        if left or self.runs():
            names = [f"{process.name()} {process.pid}" for process in left]
            raise StoreError("processes do not end", found=", ".join(names) or "supervisord")

    def _owns(self, process: psutil.Process) -> bool:
        try:
            if process.environ().get(MARK) == str(self._folder):
                return True
            # They show their state where other processes have their environment.
            home = {"tarantool": self._folder / "tarantool", "airflow": self._folder}
            return Path(process.cwd()) == home.get(process.name().split()[0])
        except (psutil.Error, OSError):  # it has ended, or belongs to another user
            return False

    def _start(self, programs: list[Program], environment: Mapping[str, str]) -> None:
        if len(os.fsencode(self._socket)) > _LONGEST_SOCKET:
            raise StoreError(
                "the path of the checkout is too long for a socket",
                file=self._socket,
                expected=f"at most {_LONGEST_SOCKET} bytes",
                do="use a checkout with a shorter path",
            )
        config = self._folder / "supervisord.conf"
        write_private(config, self._config(programs))
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            env={**environment, MARK: str(self._folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StoreError(
                "the process manager does not start",
                found=(done.stdout + done.stderr).strip(),
                do="make setup, if the package supervisor is missing",
            )

    def _config(self, programs: list[Program]) -> str:
        sections: dict[str, dict[str, object]] = {
            "unix_http_server": {"file": self._socket, "chmod": "0600"},
            "supervisord": {
                "logfile": self._folder / "logs" / "supervisord.log",
                "pidfile": self._folder / "supervisord.pid",
                "directory": self._folder,
                "umask": "077",
                # Without this line supervisord warns that it runs as root.
                **({} if os.geteuid() else {"user": "root"}),
            },
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
        }
        for order, program in enumerate(programs):
            sections[f"program:{program.name}"] = {
                "command": " ".join(_quoted(part) for part in program.line),
                "directory": program.folder,
                "environment": ",".join(f"{name}={_quoted(value)}" for name, value in program.environment.items()),
                "priority": order,
                "autostart": "false",
                "autorestart": "true",
                "startretries": 3,
                "stopsignal": program.stop,
                "stopwaitsecs": 30,
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": self.log(program.name),
                "stdout_logfile_maxbytes": "20MB",
                "stdout_logfile_backups": 1,
            }
        return "\n".join(
            "\n".join([f"[{name}]", *(f"{key}={_value(value)}" for key, value in options.items()), ""])
            for name, options in sections.items()
        )

    def _call(self, method: str, *arguments: Any) -> Any:
        with ServerProxy("http://supervisor", transport=_OverSocket(self._socket)) as server:
            return getattr(server.supervisor, method)(*arguments)


class _OverSocket(Transport):
    """XML-RPC over a local socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _Connection(self._path)
        self._connection = (host, connection)  # which is what closes it
        return connection


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("supervisor")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.close()
            raise


def _quoted(text: str) -> str:
    """Quotes a text as for a shell's double quotes; supervisord reads command lines and environments so."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _value(value: object) -> str:
    return str(value).replace("%", "%%")


def _ended(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Waits until the processes have ended; returns those that have not.

    A zombie is gone: in containers process 1 often collects none, and a wait for it never ends.
    """
    deadline = time.monotonic() + _SECONDS
    while left := [process for process in processes if _lives(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)  # between two questions; nothing tells when a process ends that is no child
    return left


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
