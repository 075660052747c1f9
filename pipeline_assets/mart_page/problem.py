"""A part of a view that could not be read: the other parts are shown, and this one says why it is missing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from pipeline_assets.errors import PipelineError

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """Why a part is missing: the text of its error."""

    text: str


def attempt(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Problem:
    """The result of a function, or its PipelineError as a problem; other errors are raised."""
    try:
        return function(*args, **kwargs)
    except PipelineError as error:
        return Problem(str(error))
