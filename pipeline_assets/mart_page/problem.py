"""A part of a view that could not be had: the rest is shown all the same, and the part says why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from pipeline_assets.errors import PipelineError

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """Why a part is not there, as its error says it."""

    text: str


def attempt(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Problem:
    """What a function gives, or what it says instead; errors that are not for people go through."""
    try:
        return function(*args, **kwargs)
    except PipelineError as error:
        return Problem(str(error))
