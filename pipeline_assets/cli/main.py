"""The command ``pipeline-assets``: its verbs, each loaded when it is called."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click
from click.shell_completion import get_completion_class

from pipeline_assets.cli.ending import ending_at_once
from pipeline_assets.cli.report import refusals
from pipeline_assets.errors import needs_extra

PROGRAM = "pipeline-assets"
_COMPLETE = "_PIPELINE_ASSETS_COMPLETE"  # the variable by which click's scripts ask for completions

# Where a verb is, and its line in the list of verbs: --help must not import what the verbs need.
_VERBS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "demo": ("pipeline_assets.demo.__main__:demo", "Train and predict on real flights."),
        "forget": ("pipeline_assets.cli.commands:forget", "Remove all that is kept of a batch but its file."),
        "page": ("pipeline_assets.mart_page.__main__:page", "Serve the mart page."),
        "promote": ("pipeline_assets.cli.champion:promote", "Make a model version champion, and end a hold."),
        "replay": ("pipeline_assets.cli.replay:replay", "Run a batch again; what became of rejected rows."),
        "rollback": ("pipeline_assets.cli.champion:rollback", "Set the champion back, and hold it."),
        "reproduce": (
            "pipeline_assets.cli.reproduce:reproduce",
            "Make a version again, and say whether it is the same.",
        ),
        "run": ("pipeline_assets.cli.commands:run", "Train or predict batches of a task."),
        "sql": ("pipeline_assets.cli.commands:sql", "Open the marts in psql."),
        "stack": ("pipeline_assets.stack.__main__:stack", "Start and stop real servers on this machine."),
        "task": ("pipeline_assets.cli.task:task", "Draft a task from a file, check it, list the tasks."),
    }
)


class _Verbs(click.Group):
    """A group that imports the module of a verb only when the verb is called or asked for its help."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Called without arguments of its own it is the program, which ends when it does."""
        if args or kwargs.keys() - {"prog_name"}:
            return super().__call__(*args, **kwargs)
        with ending_at_once():
            return super().__call__(**kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_VERBS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return super().get_command(ctx, cmd_name)
        module, _, name = _VERBS[cmd_name][0].partition(":")
        with refusals(), needs_extra("dev", f"{PROGRAM} {cmd_name}"):
            command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        own = {name: command.get_short_help_str(60) for name, command in self.commands.items()}
        lines = own | {name: line for name, (_, line) in _VERBS.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(lines.items()))


@click.group(
    PROGRAM,
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all is well; 1 a run, a check or a task failed; 2 nothing was started, because a name,"
    " a setting or the installation is wrong. `sql` and `stack run` end with the code of the program that they start.",
)
def main() -> None:
    """Train models on parquet files and predict with them.

    \b
    Examples:
      pipeline-assets demo
      pipeline-assets run flight_delays train 2013-01_2013-09
      pipeline-assets run flight_delays predict --all
      pipeline-assets task new bank --from bank.parquet --target y
      pipeline-assets task list
      pipeline-assets forget flight_delays predict 2013-10
      pipeline-assets run --help
    """  # noqa: D301 - click reads the backspace


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, tasks and batches in a shell.

    \b
    Examples:
      eval "$(pipeline-assets completion bash)"          # this shell; put the line into ~/.bashrc to keep it
      eval "$(pipeline-assets completion zsh)"           # likewise, ~/.zshrc
      pipeline-assets completion fish > ~/.config/fish/completions/pipeline-assets.fish
    """  # noqa: D301 - click reads the backspace
    found = get_completion_class(shell)
    if found is None:  # click's own three are always there
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(main, {}, PROGRAM, _COMPLETE).source())
