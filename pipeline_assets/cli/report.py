"""How commands end: an error for people goes to stderr once, and the exit code says what kind of end it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from pipeline_assets.errors import PipelineError

OK, FAILED, REFUSED = 0, 1, 2


class Refusal(click.ClickException):
    """Ends a command with the text of a PipelineError, without click's own words before it."""

    exit_code = REFUSED

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        """Prints the text to stderr."""
        click.echo(self.message, err=True)


@contextmanager
def refusals() -> Iterator[None]:
    """Turns a PipelineError into the end of the command with exit code 2; also a decorator.

    Raises:
        Refusal: a PipelineError was raised inside.
    """
    try:
        yield
    except PipelineError as error:
        raise Refusal(str(error)) from error
