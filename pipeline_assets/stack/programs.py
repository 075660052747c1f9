"""The processes of the stack: command line, folder, environment and stop signal of each."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_assets.stack import postgres, s3, tarantool
from pipeline_assets.stack.plan import HOST, MODELS_BUCKET, Plan

PACKAGE = Path(__file__).parents[1]
CHECKOUT = PACKAGE.parent
# What the platform's server has.
_TARANTOOL_MEMORY = 512 << 20


@dataclass(frozen=True)
class Program:
    """One process.

    Attributes:
        name: of it and of its log.
        line: the command line.
        folder: where it runs.
        environment: beside the pipeline's own variables.
        stop: the signal that ends it in good order.
    """

    name: str
    line: list[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop: str = "TERM"


def programs(plan: Plan) -> list[Program]:
    """Every process, stores first; they are stopped in reverse order.

    Raises:
        StoreError: a server's program is not installed.
    """
    folder, ports = plan.folder, plan.ports
    data = folder / "postgres" / "data"
    workspace = ("-w", str(CHECKOUT / "workspace.yaml"))
    mlflow = folder / "mlflow"
    return [
        Program(
            "s3",
            s3.line({service: ports[service] for service in s3.SERVICES}, plan.grpc),
            folder / "s3",
            s3.environment(folder / "s3"),
        ),
        # By itself it waits on TERM for its clients to leave; INT rolls back what they do.
        Program("postgres", postgres.line(data), folder / "postgres", stop="INT"),
        Program(
            "tarantool",
            tarantool.line(),
            folder / "tarantool",
            tarantool.environment(ports["tarantool"], _TARANTOOL_MEMORY, plan.secrets["tarantool_admin"]),
        ),
        Program(
            "mlflow",
            [
                *python("mlflow", "server", f"--host={HOST}", f"--port={ports['mlflow']}", "--workers=1"),
                f"--backend-store-uri=sqlite:///{mlflow / 'mlflow.db'}",
                # Clients write to S3 themselves, as on a platform: MLFLOW_S3_ENDPOINT_URL is theirs.
                f"--default-artifact-root=s3://{MODELS_BUCKET}/artifacts",
                "--no-serve-artifacts",
            ],
            mlflow,
            {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        ),
        Program(
            "dagster",
            [*python("dagster_webserver", "-h", HOST, "-p", str(ports["dagster"])), *workspace],
            CHECKOUT,
        ),
        Program("dagster-daemon", [*python("dagster._daemon", "run"), *workspace], CHECKOUT),
        Program(
            "mart-page",
            python(
                "pipeline_assets.mart_page",
                f"--host={HOST}",
                f"--port={ports['mart_page']}",
                f"--dagster={plan.url('dagster')}",
            ),
            CHECKOUT,
        ),
    ]


def prepare(plan: Plan) -> None:
    """Makes what the processes need before they start.

    Raises:
        StoreError: PostgreSQL's programs are missing or fail.
    """
    for name in ("logs", "tarantool", "mlflow", "dagster", "state"):
        (plan.folder / name).mkdir(parents=True, exist_ok=True)
    s3.prepare(plan.folder / "s3", [s3.Account("pipeline", plan.secrets["s3_access"], plan.secrets["s3_secret"])])
    data = plan.folder / "postgres" / "data"
    if not data.exists():
        postgres.make(data, plan.ports["postgres"], plan.secrets["postgres_root"])
    shutil.copy(PACKAGE / "instance.yaml", plan.folder / "dagster" / "dagster.yaml")


def environment(plan: Plan) -> dict[str, str]:
    """Environment of every process: the user's, without variables that mislead servers, and the pipeline's."""
    foreign = ("PG", "TT_", "AWS_", "MLFLOW_", "GREENPLUM_", "TARANTOOL_", "DAGSTER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **plan.variables(), "PYTHONUNBUFFERED": "1"}


def python(module: str, *arguments: str) -> list[str]:
    """Command line that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]
