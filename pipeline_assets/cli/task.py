"""The verb task: draft a task from a file, see what a file would do under one, list the tasks."""

import shlex
from pathlib import Path

import click

from pipeline_assets.cli.commands import STAGES, task_names
from pipeline_assets.cli.report import FAILED, refusals


@click.group()
def task() -> None:
    """Draft a task from a file, check it, list the tasks.

    \b
    Examples:
      pipeline-assets task new bank --from bank.parquet --target y
      pipeline-assets task check bank --against june.parquet --stage predict
      pipeline-assets task list
    """  # noqa: D301 - click reads the backspace


@task.command()
@click.argument("name")
@click.option("--from", "file", metavar="FILE", required=True, help="Labelled parquet: a file, a folder of part files.")
@click.option("--target", required=True, help="A column, or an SQL expression over columns, such as 'delay > 15'.")
@click.option("--predict", metavar="FILE", help="A file to predict: its columns decide which are in which stage.")
@click.option("--kind", help="Of the target, instead of a guess: binary, multiclass, regression.")
@click.option("--into", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path), help="Of the tasks.")
@click.option("--force", is_flag=True, help="Replace the task's defs.yaml.")
def new(
    *, name: str, file: str, target: str, predict: str | None, kind: str | None, into: Path | None, force: bool
) -> None:
    """Draft the task NAME from a labelled file and write its defs.yaml.

    Each guess in it has its reason and its alternative as a comment. Files may be on S3 (s3://bucket/key); the
    environment names the endpoint. The task goes into the last folder of PIPELINE_TASKS, which is made if it is
    missing, or else into the packaged ones of this checkout, or into ./tasks.

    \b
    Examples:
      pipeline-assets task new bank --from bank.parquet --target y
      pipeline-assets task new flights --from 2013.parquet --target "arr_delay > 15" --predict 2014.parquet

    Exit codes: 0 the task is written; 2 it is not, and the error says why.
    """  # noqa: D301 - click reads the backspace
    with refusals():
        from pipeline_assets.cli.new_task import Request, write_task

        words = ["pipeline-assets", "task", "new", name, "--from", file, "--target", target]
        words += ["--predict", predict] if predict else []
        words += ["--kind", kind] if kind else []
        lines = write_task(Request(name, file, target, predict, kind, into, force=force, command=shlex.join(words)))
    click.echo("\n".join(lines))


@task.command()
@click.argument("name", shell_complete=task_names)
@click.option("--against", "file", metavar="FILE", help="Parquet: a file, a folder of part files, or s3://bucket/key.")
@click.option("--stage", type=click.Choice(STAGES), help="Of the file; by default its columns decide.")
@click.pass_context
def check(ctx: click.Context, *, name: str, file: str | None, stage: str | None) -> None:
    """Say what a FILE would do under the contract of the task NAME, before anything runs.

    Without a file, only the task's YAML is checked. Nothing is stored.

    \b
    Examples:
      pipeline-assets task check bank
      pipeline-assets task check bank --against june.parquet --stage predict

    Exit codes: 0 a run would go through; 1 it would stop, and the report says why; 2 the task is broken, or a name
    or a setting is wrong.
    """  # noqa: D301 - click reads the backspace
    with refusals():
        from pipeline_assets.cli.check_task import check_task

        whole, lines = check_task(name, file, stage)
    click.echo("\n".join(lines))
    if not whole:
        ctx.exit(FAILED)


@task.command("list")
@click.pass_context
def list_tasks(ctx: click.Context) -> None:
    """Every task with its question, and what is wrong with a broken one.

    \b
    Examples:
      pipeline-assets task list

    Exit codes: 0 every task can be loaded; 1 a task is broken; 2 a setting is wrong.
    """  # noqa: D301 - click reads the backspace
    with refusals():
        from pipeline_assets.settings import Settings
        from pipeline_assets.task.loading import load_tasks

        found = load_tasks(Settings.from_env().tasks)
    for name, known in sorted(found.known.items()):
        click.echo(f"{name:<40} {known.description}".rstrip())
    for folder, problem in found.broken.items():
        lines = str(problem).replace("\n", "\n    ")
        click.echo(f"{folder.name:<40} broken\n    {lines}")
    if found.broken:
        ctx.exit(FAILED)
