"""``pipeline-assets demo``: the command; what it does is in ``steps``."""

import click

from pipeline_assets.cli.report import refusals
from pipeline_assets.collector import collect_rarely


@click.command()
@click.pass_context
@refusals()
def demo(ctx: click.Context) -> None:
    """Train a model on real flights, predict three months and compare with what came true.

    Works on the stores that the environment names, by default in data/ and .pipeline/ of the working directory. Run
    again, it replaces what it made by the same.

    \b
    Examples:
      pipeline-assets demo
      pipeline-assets stack run pipeline-assets demo     # on the servers of `pipeline-assets stack up`

    Exit codes: 0 every run succeeded; 1 a run or a check failed; 2 nothing was started.
    """  # noqa: D301 - click reads the backspace
    collect_rarely()
    # Imported here: Dagster takes seconds, and --help should not.
    from pipeline_assets.demo.steps import run_demo

    ctx.exit(run_demo())


if __name__ == "__main__":
    demo(prog_name="python -m pipeline_assets.demo")
