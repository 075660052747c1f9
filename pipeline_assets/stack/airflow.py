"""Runs Airflow on the loopback from its own virtual environment: its settings, its processes, and when they serve."""

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from pipeline_assets.errors import StoreError
from pipeline_assets.stack.plan import HOST, write_private
from pipeline_assets.stack.ports import free_ports
from pipeline_assets.stack.programs import CHECKOUT, PACKAGE, Program
from pipeline_assets.stack.ready import NotYet, asked

VENV = CHECKOUT / ".venv-airflow"
# Users copy this folder into an Airflow installation; this Airflow reads it in place.
INSTALLED = PACKAGE / "airflow_dags"
LOGIN = "admin"
PROGRAMS = ("airflow-api", "airflow-scheduler", "airflow-dags", "airflow-triggerer")


@dataclass(frozen=True)
class Airflow:
    """One Airflow installation.

    Attributes:
        folder: Airflow's home; it writes nowhere else.
        port: port of the web server.
        password: password of the user :data:`LOGIN`.
        jwt_secret: secret with which its processes sign their requests to each other.
        fernet_key: key that encrypts the connections in its database.
    """

    folder: Path
    port: int
    password: str
    jwt_secret: str
    fernet_key: str

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Reads the installation of a folder; the first call makes it, with a free port and new credentials."""
        file = folder / "plan.json"
        if file.exists():
            return cls(folder, **json.loads(file.read_text()))
        (port,) = free_ports(1)
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        made = cls(folder, port, secrets.token_hex(8), secrets.token_hex(32), key)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, json.dumps({name: value for name, value in asdict(made).items() if name != "folder"}))
        return made

    @property
    def url(self) -> str:
        """URL of the web server."""
        return f"http://{HOST}:{self.port}"

    def variables(self, dagster: str, installed: Path = INSTALLED) -> dict[str, str]:
        """Airflow's settings as environment variables.

        Args:
            dagster: URL of the Dagster webserver.
            installed: folder that holds ``dags`` and ``plugins``.
        """
        return {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(installed / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(installed / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",  # the demo's DAGs have no schedule
            "AIRFLOW__CORE__FERNET_KEY": self.fernet_key,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{LOGIN}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords.json"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.folder / 'airflow.db'}",
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": self.jwt_secret,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.folder / "task_logs"),
            "AIRFLOW_CONN_DAGSTER_DEFAULT": dagster,
            "NO_PROXY": HOST,
        }


def command() -> str:
    """Path of Airflow's program.

    Raises:
        StoreError: Airflow is not installed.
    """
    program = VENV / "bin" / "airflow"
    if not program.exists():
        raise StoreError("Airflow is not installed", file=VENV, do="make airflow")
    return str(program)


def programs(airflow: Airflow) -> list[Program]:
    """Airflow's processes. ``airflow standalone`` would open the ports of its log servers on every interface.

    Raises:
        StoreError: Airflow is not installed.
    """
    program = command()
    lines = (
        ["api-server"],
        ["scheduler", "--skip-serve-logs"],
        ["dag-processor"],
        ["triggerer", "--skip-serve-logs"],
    )
    return [Program(name, [program, *line], airflow.folder) for name, line in zip(PROGRAMS, lines, strict=True)]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment of the processes: the user's own, without variables that mislead Airflow, and its settings."""
    foreign = ("AIRFLOW", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **variables, "PATH": f"{VENV / 'bin'}{os.pathsep}{kept.get('PATH', '')}", "PYTHONUNBUFFERED": "1"}


def prepare(airflow: Airflow, variables: Mapping[str, str]) -> None:
    """Makes what the processes need before they start: folders, the user, the database.

    Raises:
        StoreError: Airflow is not installed, or cannot make its database; the message holds its output.
    """
    (airflow.folder / "logs").mkdir(parents=True, exist_ok=True)
    write_private(airflow.folder / "passwords.json", json.dumps({LOGIN: airflow.password}))
    done = subprocess.run(  # noqa: S603 - our own Airflow
        [command(), "db", "migrate"],
        env=environment(variables), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise StoreError("Airflow cannot make its database", found=(done.stdout + done.stderr).strip()[-2000:])


def checks(airflow: Airflow, since: float) -> dict[str, Callable[[], object]]:
    """One check for each program: it returns if the program serves, and raises :class:`NotYet` if not.

    Args:
        airflow: the installation to ask.
        since: time of the start; older heartbeats do not count.
    """

    def alive(component: str) -> None:
        found = asked(f"{airflow.url}/api/v2/monitor/health")[component]
        beat = found.get(f"latest_{component}_heartbeat")
        if found["status"] != "healthy" or not beat or datetime.fromisoformat(beat).timestamp() < since:
            raise NotYet(f"{component} has sent no heartbeat")

    def dags() -> None:
        alive("dag_processor")
        log_in = asked(f"{airflow.url}/auth/token", {"username": LOGIN, "password": airflow.password})
        headers = {"Authorization": f"Bearer {log_in['access_token']}"}
        errors = asked(f"{airflow.url}/api/v2/importErrors", headers=headers)["import_errors"]
        if errors:
            raise NotYet(errors[0]["stack_trace"])
        if not asked(f"{airflow.url}/api/v2/dags", headers=headers)["total_entries"]:
            raise NotYet("no DAGs")

    return {
        "airflow-api": lambda: asked(f"{airflow.url}/api/v2/version"),
        "airflow-scheduler": lambda: alive("scheduler"),
        "airflow-dags": dags,
        "airflow-triggerer": lambda: alive("triggerer"),
    }
