"""Ports and credentials of the servers of a checkout, chosen at the first start, and the tasks of the last start."""

import json
import secrets
import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from pipeline_assets.settings import DatabaseSettings, S3Settings, TarantoolSettings
from pipeline_assets.stack.ports import free_ports
from pipeline_assets.stack.postgres import ROOT
from pipeline_assets.stack.s3 import SERVICES
from pipeline_assets.stores.files.atomic_file import atomic_file

HOST = "127.0.0.1"
DATA_BUCKET, MODELS_BUCKET = "pipeline", "mlflow"
_LOGIN = "pipeline"
_PORTS = (
    *SERVICES,
    *(f"{service}_grpc" for service in SERVICES),
    "postgres",
    "tarantool",
    "mlflow",
    "dagster",
    "mart_page",
)
_SECRETS = ("s3_access", "s3_secret", "postgres_root", "postgres", "tarantool_admin", "tarantool")


@dataclass(frozen=True)
class Plan:
    """The servers of one folder.

    Attributes:
        folder: for everything that they write.
        ports: by :data:`_PORTS`.
        secrets: by :data:`_SECRETS`.
        tasks: ``PIPELINE_TASKS`` of the servers, absolute; empty for the packaged example alone.
    """

    folder: Path
    ports: dict[str, int]
    secrets: dict[str, str]
    tasks: str = ""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The plan of a folder; the first call makes it, with free ports and new credentials."""
        file = folder / "plan.json"
        if file.exists():
            plan = cls(folder, **json.loads(file.read_text()))
            new = [port for port in _PORTS if port not in plan.ports]  # the plan is older than these servers
            if not new:
                return plan
            plan = replace(plan, ports={**plan.ports, **dict(zip(new, free_ports(len(new)), strict=True))})
        else:
            ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
            plan = cls(folder, ports, {name: secrets.token_hex(16) for name in _SECRETS})
        _keep(plan)
        return plan

    def with_tasks(self, tasks: str) -> Self:
        """The plan with other tasks, which later calls of :meth:`of` give as well."""
        plan = replace(self, tasks=tasks)
        _keep(plan)
        return plan

    def url(self, server: str) -> str:
        """URL of an HTTP server: ``s3``, ``mlflow``, ``dagster`` or ``mart_page``."""
        return f"http://{HOST}:{self.ports[server]}"

    @property
    def s3(self) -> S3Settings:
        """The account of the pipeline and of MLflow."""
        return S3Settings(self.url("s3"), self.secrets["s3_access"], self.secrets["s3_secret"], "us-east-1")

    @property
    def postgres_root(self) -> DatabaseSettings:
        """Connection settings of the superuser."""
        return DatabaseSettings(HOST, self.ports["postgres"], "postgres", ROOT, self.secrets["postgres_root"])

    @property
    def postgres(self) -> DatabaseSettings:
        """Connection settings of the pipeline: its login owns the database and may make roles; no superuser."""
        return DatabaseSettings(HOST, self.ports["postgres"], "pipeline", _LOGIN, self.secrets["postgres"])

    @property
    def tarantool_admin(self) -> TarantoolSettings:
        """Connection settings of the administrator."""
        return TarantoolSettings(HOST, self.ports["tarantool"], "admin", self.secrets["tarantool_admin"])

    @property
    def tarantool(self) -> TarantoolSettings:
        """Connection settings of the pipeline; its login has the documented rights and no others."""
        return TarantoolSettings(HOST, self.ports["tarantool"], _LOGIN, self.secrets["tarantool"])

    @property
    def grpc(self) -> dict[str, int]:
        """Ports of gRPC between the parts of the S3 server."""
        return {service: self.ports[f"{service}_grpc"] for service in SERVICES}

    def variables(self) -> dict[str, str]:
        """Environment variables with which the pipeline uses these servers."""
        postgres, tarantool = self.postgres, self.tarantool
        return {
            "DATA_URI": f"s3://{DATA_BUCKET}/data",
            "AWS_ENDPOINT_URL": self.url("s3"),
            "AWS_ACCESS_KEY_ID": self.secrets["s3_access"],
            "AWS_SECRET_ACCESS_KEY": self.secrets["s3_secret"],
            "AWS_SESSION_TOKEN": "",  # a token of the user belongs to other keys
            "AWS_REGION": "us-east-1",
            "GREENPLUM_HOST": postgres.host,
            "GREENPLUM_PORT": str(postgres.port),
            "GREENPLUM_DATABASE": postgres.database,
            "GREENPLUM_SCHEMA": "marts",
            "GREENPLUM_LOGIN": postgres.login,
            "GREENPLUM_PASSWORD": postgres.password,
            "TARANTOOL_HOST": tarantool.host,
            "TARANTOOL_PORT": str(tarantool.port),
            "TARANTOOL_LOGIN": tarantool.login,
            "TARANTOOL_PASSWORD": tarantool.password,
            "MLFLOW_URL": self.url("mlflow"),
            "MLFLOW_LOGIN": "",
            "MLFLOW_PASSWORD": "",
            "MLFLOW_S3_ENDPOINT_URL": self.url("s3"),
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "PIPELINE_STATE": str(self.folder / "state"),
            **({"PIPELINE_TASKS": self.tasks} if self.tasks else {}),
        }

    def write_env(self, file: Path) -> None:
        """Writes the variables as lines that a shell can read, into a file that only its owner can read."""
        lines = [f"{name}={shlex.quote(value) if value else ''}\n" for name, value in self.variables().items()]
        text = "# Made by `make stack`. In a shell: set -a; . ./.env.stack; set +a\n"
        write_private(file, text + "".join(lines))


def _keep(plan: Plan) -> None:
    kept = asdict(plan)
    del kept["folder"]
    write_private(plan.folder / "plan.json", json.dumps(kept, indent=1))


def write_private(file: Path, text: str) -> None:
    """Writes a file atomically; only its owner can read it."""
    with atomic_file(file) as aside:
        aside.chmod(0o600)
        aside.write_text(text)
