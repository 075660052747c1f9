"""Serves the page: ``pipeline-assets page --port 8000``; the environment says over which servers."""

from pathlib import Path

import click

from pipeline_assets.cli.report import refusals
from pipeline_assets.errors import needs_extra

_MLFLOW_UI = "http://127.0.0.1:5000"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on.")
@click.option(
    "--name", "names", multiple=True, help="A name that browsers know it by, as behind a proxy; may be given again."
)
@click.option(
    "--defs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="Folder of tasks, instead of those of PIPELINE_TASKS and the example; may be given again.",
)
@click.option("--dagster", default="http://127.0.0.1:3000", show_default=True, help="Dagster's UI, for links to it.")
@click.option(
    "--mlflow", help="MLflow's UI, for links to it; by default MLFLOW_UI_URL, MLFLOW_URL or that of make mlflow-ui."
)
def page(
    *, host: str, port: int, names: tuple[str, ...], defs: tuple[Path, ...], dagster: str, mlflow: str | None
) -> None:
    """Serve the mart page until it is stopped.

    The page only reads. It has no password: put it behind what your platform signs people in with.

    \b
    Examples:
      pipeline-assets page
      pipeline-assets page --port 8080 --name marts.example --dagster https://dagster.example
    """  # noqa: D301 - click reads the backspace
    with refusals():
        # Imported here: the page's libraries take seconds, and --help should not.
        from pipeline_assets.settings import Settings

        settings = Settings.from_env()
        with needs_extra("page", "the mart page"):
            import uvicorn

            from pipeline_assets.mart_page.app import application

        mlflow = mlflow or settings.mlflow_ui or _MLFLOW_UI
        app = application(settings, defs, dagster=dagster, mlflow=mlflow, names=[host, *names])
    click.echo(f"The mart page is on http://{host}:{port}")
    uvicorn.run(app, host=host, port=port, log_level="warning")


if __name__ == "__main__":
    page(prog_name="python -m pipeline_assets.mart_page")
