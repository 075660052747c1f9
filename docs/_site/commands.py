"""The command with all its verbs loaded, for the page on it: ``pipeline-assets`` loads each when it is called."""

import click

from pipeline_assets.cli.main import PROGRAM, main

_CONTEXT = main.make_context(PROGRAM, ["task"])
_LOADED = {name: main.get_command(_CONTEXT, name) for name in main.list_commands(_CONTEXT)}
everything = click.Group(
    PROGRAM, {name: verb for name, verb in _LOADED.items() if verb is not None}, help=main.help, epilog=main.epilog
)
