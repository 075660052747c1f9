"""What a run shows while it goes on: moving lines where a person watches, plain lines elsewhere."""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TextIO

import click
import dagster as dg

# A run's config that puts the display in place of Dagster's own lines; a logger that no config names is not used.
SHOWN: dict[str, Any] = {"loggers": {"console": {}}}


class _Steps(logging.Handler):
    """Reads the log of a run for the steps of assets; checks are quick and stay unseen.

    Args:
        steps: what to call a step, by its key.
    """

    def __init__(self, steps: Mapping[str, str]) -> None:
        super().__init__(logging.DEBUG)
        self._steps = steps
        self._running: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a message or an event of a step."""
        meta: dict[str, Any] = getattr(record, "dagster_meta", {})
        step, event = self._steps.get(meta.get("step_key") or ""), meta.get("dagster_event")
        if step is None:
            return
        if event is None:
            # Dagster also logs in the name of steps that it leaves out because an earlier one failed.
            if record.levelno >= logging.INFO and step in self._running:
                self.say(step, meta["orig_message"].splitlines()[0])
        elif event.is_step_start:
            self._running.add(step)
            self.start(step)
        elif event.is_step_up_for_retry:
            self.say(step, "did not get through; tries again")
        elif event.is_step_success or event.is_step_failure:
            self._running.discard(step)
            self.end(step, succeeded=event.is_step_success)

    @abstractmethod
    def start(self, step: str) -> None:
        """A step begins."""

    @abstractmethod
    def say(self, step: str, text: str) -> None:
        """A step says how far it is."""

    @abstractmethod
    def end(self, step: str, *, succeeded: bool) -> None:
        """A step ends."""


class _Lines(_Steps):
    """Writes one line per message and per end of a step."""

    def __init__(self, steps: Mapping[str, str], stream: TextIO) -> None:
        super().__init__(steps)
        self._stream = stream
        self._begun: dict[str, float] = {}

    def start(self, step: str) -> None:
        """Starts the step's clock."""
        self._begun.setdefault(step, perf_counter())

    def say(self, step: str, text: str) -> None:
        """Writes the message."""
        click.echo(f"{step:<36} {text}", file=self._stream)

    def end(self, step: str, *, succeeded: bool) -> None:
        """Writes how long the step took."""
        seconds = perf_counter() - self._begun.get(step, perf_counter())
        self.say(step, f"{'done' if succeeded else 'failed'} after {seconds:.1f} s")


@contextmanager
def shown(location: dg.Definitions, stream: TextIO) -> Iterator[dg.Definitions]:
    """The code location with its runs shown on a stream instead of logged there.

    Args:
        location: whose jobs will run.
        stream: a terminal gets one moving line per step, anything else plain lines.
    """
    made = location.resolve_asset_graph().assets_defs
    # A step of checks alone has no keys.
    steps = {each.op.name: " + ".join(sorted(key.path[-1] for key in each.keys)) for each in made if each.keys}
    with _moving(steps, stream) if stream.isatty() else _plain(steps, stream) as handler:

        @dg.logger
        def display(_: dg.InitLoggerContext) -> logging.Logger:
            logger = logging.Logger("pipeline_assets.cli", logging.DEBUG)  # noqa: LOG001 - Dagster keeps no registry
            logger.addHandler(handler)
            return logger

        yield dg.Definitions.merge(location, dg.Definitions(loggers={"console": display}))


@contextmanager
def _plain(steps: Mapping[str, str], stream: TextIO) -> Iterator[_Steps]:
    yield _Lines(steps, stream)


@contextmanager
def _moving(steps: Mapping[str, str], stream: TextIO) -> Iterator[_Steps]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.table import Column

    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<36}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[word]}", style="dim", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    with Progress(*columns, console=Console(file=stream, highlight=False), expand=True) as progress:

        class Moving(_Steps):
            """One line per step with its time and its latest message."""

            lines: dict[str, TaskID]

            def start(self, step: str) -> None:
                if step not in self.lines:
                    self.lines[step] = progress.add_task(step, total=1, word="")

            def say(self, step: str, text: str) -> None:
                self.start(step)
                progress.update(self.lines[step], word=text)

            def end(self, step: str, *, succeeded: bool) -> None:
                self.start(step)
                if succeeded:
                    progress.update(self.lines[step], completed=1)
                else:
                    progress.update(self.lines[step], word="failed")
                    progress.stop_task(self.lines[step])

        moving = Moving(steps)
        moving.lines = {}
        yield moving
