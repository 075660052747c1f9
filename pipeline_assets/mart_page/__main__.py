"""Serves the page: ``python -m pipeline_assets.mart_page --port 8000``; the environment names the servers it reads."""

import argparse
import sys
from pathlib import Path

import uvicorn

from pipeline_assets.errors import PipelineError
from pipeline_assets.mart_page.app import application
from pipeline_assets.settings import Settings

_MLFLOW_UI = "http://127.0.0.1:5000"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline_assets.mart_page", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; %(default)s is this machine alone")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--name", action="append", default=[], help="host name of the page, as behind a proxy; may be repeated"
    )
    parser.add_argument(
        "--defs",
        type=Path,
        action="append",
        default=[],
        help="folder of tasks; the package's own by default; may be repeated",
    )
    parser.add_argument("--dagster", default="http://127.0.0.1:3000", help="Dagster's UI, for links to it")
    parser.add_argument(
        "--mlflow", help="MLflow's UI, for links to it; by default that of MLFLOW_URL, or where make mlflow-ui serves"
    )
    given = parser.parse_args(arguments)
    try:
        settings = Settings.from_env()
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    mlflow = given.mlflow or (None if settings.mlflow else _MLFLOW_UI)
    app = application(settings, given.defs, dagster=given.dagster, mlflow=mlflow, names=[given.host, *given.name])
    sys.stdout.write(f"The mart page is on http://{given.host}:{given.port}\n")
    sys.stdout.flush()
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main())
