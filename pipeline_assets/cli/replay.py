"""The verb replay: runs a batch with rejected rows again, and says what became of each of them."""

import click

from pipeline_assets.cli.commands import STAGES, batch_names, task_names
from pipeline_assets.cli.report import FAILED, refusals
from pipeline_assets.collector import collect_rarely


@click.command()
@click.argument("task", shell_complete=task_names)
@click.argument("stage", type=click.Choice(STAGES))
@click.argument("batch", shell_complete=batch_names)
@click.option("--debug", is_flag=True, help="Show Dagster's log and the stack trace of each error.")
@click.pass_context
def replay(ctx: click.Context, *, task: str, stage: str, batch: str, debug: bool) -> None:
    """Run a BATCH with rejected rows again, and say what became of each of them.

    Mend the rule in the task's YAML, or the file, then call it. Each formerly rejected row is accepted now, rejected
    by the same rule or by another, or gone from the file. All of them with their outcomes are kept in
    <DATA_URI>/<task>/replayed/<stage>/<batch>.parquet.

    \b
    Examples:
      pipeline-assets replay flight_delays predict 2013-10

    Exit codes: 0 the run succeeded, whatever became of the rows; 1 the run or a check failed; 2 nothing was started,
    because there is no such batch, or it was never checked.
    """  # noqa: D301 - click reads the backspace
    with refusals():
        collect_rarely()
        from pipeline_assets.cli.home import home
        from pipeline_assets.cli.replaying import replay_batch
        from pipeline_assets.definitions import defs_of
        from pipeline_assets.task.batch import BatchRef

        home()
        ref = BatchRef(task, "train" if stage == "train" else "predict", batch)
        whole = replay_batch(defs_of(task), ref, debug=debug)
    if not whole:
        ctx.exit(FAILED)
