"""The verbs rollback and promote: what they take and how they end."""

import getpass

import click

from pipeline_assets.cli.commands import task_names
from pipeline_assets.cli.report import FAILED, refusals

_BECAUSE = click.option("--because", required=True, metavar="TEXT", help="Why; kept in the record of choice.")
_BY = click.option("--by", metavar="NAME", help="Who decides; your login name by default.")
_DEBUG = click.option("--debug", is_flag=True, help="Show Dagster's log and the stack trace of each error.")


@click.command()
@click.argument("task", shell_complete=task_names)
@click.option("--version", type=click.IntRange(min=1), help="The new champion; by default the one before the present.")
@_BECAUSE
@_BY
@_DEBUG
def rollback(*, task: str, version: int | None, because: str, by: str | None, debug: bool) -> None:
    """Set the champion of a TASK back, and hold it.

    The next prediction uses it. No training and no policy takes the alias away until someone runs `promote`. With
    --version, also the present champion can be held. Who, when and why are in the mart <task>_model_choices.

    \b
    Examples:
      pipeline-assets rollback flight_delays --because "scores of night flights are off"
      pipeline-assets rollback flight_delays --version 3 --because "the last one before the new radar"

    Exit codes: 0 it is done; 1 the version cannot be champion; 2 nothing was started.
    """  # noqa: D301 - click reads the backspace
    _order("rollback", {"task": task, "version": version, "because": because, "by": by}, debug=debug)


@click.command()
@click.argument("task", shell_complete=task_names)
@click.argument("version", type=click.IntRange(min=1))
@_BECAUSE
@_BY
@_DEBUG
def promote(*, task: str, version: int, because: str, by: str | None, debug: bool) -> None:
    """Give the alias champion to a VERSION of a TASK, and end a hold.

    It is also how a challenger becomes champion that `selection.max_flip_share` has held back. Trainings may replace
    it again.

    \b
    Examples:
      pipeline-assets promote flight_delays 5 --because "the flips are all of the new terminal"

    Exit codes: 0 it is done; 1 the version cannot be champion; 2 nothing was started.
    """  # noqa: D301 - click reads the backspace
    _order("promote", {"task": task, "version": version, "because": because, "by": by}, debug=debug)


def _order(order: str, config: dict[str, object], *, debug: bool) -> None:
    config["by"] = config["by"] or _login_name()
    with refusals():
        from pipeline_assets.cli.operate import operate
        from pipeline_assets.settings import Settings
        from pipeline_assets.task.loading import find_folder

        find_folder(Settings.from_env().tasks, str(config["task"]))
        given = {name: value for name, value in config.items() if value is not None}
        result = operate(order, given, debug=debug)
    if not result.success:
        click.get_current_context().exit(FAILED)
    click.echo(result.output_for_node(order))


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:  # as in a container whose user has no name
        raise click.UsageError("This user has no login name: say who decides with --by.") from error
