"""The verbs run, forget and sql: what they take and how they end; what they do is imported when they are called."""

import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import click
from click.shell_completion import CompletionItem

from pipeline_assets.cli.report import FAILED, refusals
from pipeline_assets.collector import collect_rarely

if TYPE_CHECKING:
    from pipeline_assets.task.batch import InputFolder

STAGES = ("train", "predict")
FOLDERS = (*STAGES, "truth")


def task_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The tasks that start with what is typed; a YAML that cannot be read has none."""
    from pipeline_assets.errors import PipelineError
    from pipeline_assets.settings import Settings
    from pipeline_assets.task.loading import read_folder, task_folders

    names: list[str] = []
    with suppress(PipelineError):
        for folder in task_folders(Settings.from_env().tasks):
            with suppress(PipelineError):
                names += read_folder(folder).names
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def batch_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The stage's batches that start with what is typed; none where the store does not answer."""
    from pipeline_assets.errors import PipelineError
    from pipeline_assets.resources import file_store
    from pipeline_assets.settings import Settings

    try:
        found = file_store(Settings.from_env()).batches(ctx.params["task"], ctx.params["stage"])
    except PipelineError:
        return []
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


@click.command()
@click.argument("task", shell_complete=task_names)
@click.argument("stage", type=click.Choice(FOLDERS))
@click.argument("batches", metavar="[BATCH]...", nargs=-1, shell_complete=batch_names)
@click.option("--all", "every", is_flag=True, help="Run every batch of the stage, in the order of their names.")
@click.option("--debug", is_flag=True, help="Show Dagster's log and the stack trace of each error.")
@click.pass_context
def run(ctx: click.Context, *, task: str, stage: str, batches: tuple[str, ...], every: bool, debug: bool) -> None:
    """Train or predict the BATCHes of a TASK, or judge their predictions by the truth, one after the other.

    A batch is a file's name without .parquet, or the name of a folder of part files. A batch that was run before is
    replaced. A batch that fails does not stop those after it. Progress and errors go to stderr; what was made goes
    to stdout. The truth of a predict batch is a file TASK/truth/BATCH.parquet with the key and the label, or a later
    train batch with the same keys.

    \b
    Examples:
      pipeline-assets run flight_delays train 2013-01_2013-09
      pipeline-assets run flight_delays predict 2013-10 2013-11
      pipeline-assets run flight_delays predict --all
      pipeline-assets run flight_delays truth 2013-10

    Exit codes: 0 every run succeeded; 1 a run or a check failed; 2 nothing was started.
    """  # noqa: D301 - click reads the backspace
    if every == bool(batches):
        raise click.UsageError("Name the batches, or say --all.")
    with refusals():
        collect_rarely()
        from pipeline_assets.cli.home import home
        from pipeline_assets.cli.run import run_batches
        from pipeline_assets.definitions import defs_of

        home()
        location = defs_of(task)
        named = None if every else batches
        whole = run_batches(location, task, cast("InputFolder", stage), named, debug=debug)
    if not whole:
        ctx.exit(FAILED)


@click.command()
@click.argument("task", shell_complete=task_names)
@click.argument("stage", type=click.Choice(STAGES))
@click.argument("batch", shell_complete=batch_names)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def forget(ctx: click.Context, *, task: str, stage: str, batch: str, yes: bool) -> None:
    """Remove all that is kept of a BATCH of a TASK but its file.

    Its rows go from the marts and the feature store, its scores, predictions and rejected rows from the data folder,
    and its partition from Dagster. The input file, models and records of choice stay. Remove the file as well, or a
    sensor that sees it changed runs it again.

    \b
    Examples:
      pipeline-assets forget flight_delays predict 2013-10
      pipeline-assets forget flight_delays train 2013-01_2013-09 --yes

    Exit codes: 0 it is gone; 1 you said no; 2 there is no such batch, or a store refused.
    """  # noqa: D301 - click reads the backspace
    with refusals():
        from pipeline_assets.cli import forget as forgetting

        kept = forgetting.kept_of(task, "train" if stage == "train" else "predict", batch)
        said = "\n".join(each.what for each in kept)
        if not yes and not click.confirm(f"{said}\nRemove all of this?", err=True):
            click.echo("Nothing was removed.", err=True)
            ctx.exit(FAILED)
        forgetting.forget(kept)
    click.echo(f"removed:\n{said}")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def sql(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """Open the marts in psql, on the server that the environment names or on the embedded one.

    ARGUMENTS go to psql, and its exit code is that of the command.

    \b
    Examples:
      pipeline-assets sql
      pipeline-assets sql -c "select * from flight_delays_lineage limit 10"
    """  # noqa: D301 - click reads the backspace
    with refusals():
        from pipeline_assets.cli.sql import command
        from pipeline_assets.settings import Settings

        line, environment = command(Settings.from_env())
    done = subprocess.run([*line, *arguments], env={**os.environ, **environment}, check=False)  # noqa: S603
    ctx.exit(done.returncode)
