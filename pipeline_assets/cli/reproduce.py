"""The verb ``reproduce``: makes a version again from its record and says whether it is the same."""

import json
from typing import TYPE_CHECKING, Any

import click

from pipeline_assets.cli.commands import task_names
from pipeline_assets.cli.report import FAILED, refusals
from pipeline_assets.collector import collect_rarely

if TYPE_CHECKING:
    import dagster as dg


@click.command()
@click.argument("task", shell_complete=task_names)
@click.argument("version", type=click.IntRange(min=1))
@click.option("--debug", is_flag=True, help="Show Dagster's log and the stack trace of each error.")
@click.pass_context
def reproduce(ctx: click.Context, *, task: str, version: int, debug: bool) -> None:
    """Make a VERSION of a TASK again from its record, and say whether it is the same.

    The input is found by its name and must have the sha256 that the version learned from. The task is used as it was
    then. It is checked, prepared and trained again in a scratch folder, and features, predictions and metrics are
    compared. The verdict is: identical, equal within tolerance, different (with the first difference), or cannot be
    asked here (with the reason). It is kept with the version in MLflow and in the mart TASK_reproductions.

    \b
    Examples:
      pipeline-assets reproduce flight_delays 1

    Exit codes: 0 identical or equal within tolerance; 1 different, or it cannot be asked here; 2 nothing was started:
    there is no such version, or its input has been changed.
    """  # noqa: D301 - click reads the backspace
    with refusals():
        collect_rarely()
        from pipeline_assets.cli.operate import operate
        from pipeline_assets.operations.reproduce import REPRODUCE, refuse
        from pipeline_assets.resources import resources
        from pipeline_assets.settings import Settings

        stores = resources(Settings.from_env())
        refuse(stores["files"], stores["registry"], task, version)
        click.echo(f"{task} version {version}: is made again", err=True)
        result = operate(REPRODUCE, {"task": task, "version": version}, debug=debug)
    for line in _lines(result):
        click.echo(line)
    if not result.success:
        ctx.exit(FAILED)


def _lines(result: "dg.ExecuteInProcessResult") -> list[str]:
    """The verdict, and what a reader should know beside it; why it is bad is said as the run's failure."""
    for event in result.all_events:
        if event.is_asset_observation:
            seen = event.asset_observation_data.asset_observation
            outcome: dict[str, Any] = json.loads(json.dumps(seen.metadata["outcome"].value))
            compared = ", ".join(f"{count:,} rows of {name}" for name, count in outcome["compared"].items())
            elsewhere = outcome["environment"] or {}
            return [
                str(outcome["verdict"]),
                *([f"  {outcome['because']}"] if result.success else []),
                *([f"  compared: {compared}"] if compared else []),
                *(f"  {text}" for text in [*outcome["notes"], *elsewhere.values()]),
            ]
    return []
