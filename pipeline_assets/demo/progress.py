"""A run as a few moving lines: a line a step with its time and its latest word."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

# A run's config that puts the display in place of Dagster's own lines; a logger that no config names is not used.
SHOWN: dict[str, Any] = {"loggers": {"console": {}}}


class _Steps(logging.Handler):
    """Turns the events and log lines of asset steps into lines of the display; checks are quick and stay unseen.

    Args:
        progress: the display.
        steps: what to call a step, by its key.
    """

    def __init__(self, progress: Progress, steps: Mapping[str, str]) -> None:
        super().__init__(logging.DEBUG)
        self._progress, self._steps = progress, steps
        self._lines: dict[str, TaskID] = {}

    def emit(self, record: logging.LogRecord) -> None:
        meta: dict[str, Any] = getattr(record, "dagster_meta", {})
        step, event = meta.get("step_key"), meta.get("dagster_event")
        if step is None or step not in self._steps:
            return
        if step not in self._lines:
            self._lines[step] = self._progress.add_task(self._steps[step], total=1, word="")
        line = self._lines[step]
        if event is None and record.levelno >= logging.INFO:
            self._progress.update(line, word=meta["orig_message"].splitlines()[0])
        elif event is not None and event.is_step_success:
            self._progress.update(line, completed=1)
        elif event is not None and event.is_step_failure:
            self._progress.update(line, word="failed")
            self._progress.stop_task(line)


@contextmanager
def shown(console: Console, location: dg.Definitions) -> Iterator[dg.Definitions]:
    """The code location with its runs shown on the console instead of logged there."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<36}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[word]}", style="dim", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    made = location.resolve_asset_graph().assets_defs
    steps = {each.op.name: " + ".join(key.path[-1] for key in each.keys) for each in made if each.is_executable}
    with Progress(*columns, console=console, expand=True) as progress:
        handler = _Steps(progress, steps)

        @dg.logger
        def display(_: dg.InitLoggerContext) -> logging.Logger:
            logger = logging.Logger("pipeline_assets.demo", logging.DEBUG)  # noqa: LOG001 - Dagster keeps no registry
            logger.addHandler(handler)
            return logger

        yield dg.Definitions.merge(location, dg.Definitions(loggers={"console": display}))
