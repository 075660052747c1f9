"""Queries that a view does not wait for: it is shown, and what depends on them follows when the server has answered."""

import asyncio
from collections.abc import Callable
from typing import Concatenate, Generic, ParamSpec, TypeVar

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from shiny import reactive, req

from pipeline_assets.errors import PipelineError, TransientError
from pipeline_assets.mart_page.page import Page

P = ParamSpec("P")
T = TypeVar("T")


class Later(Generic[P, T]):
    """A query of one session, asked in the background; call it in a reactive function.

    Args:
        page: the session.
        query: a function that takes a cursor first. Its other arguments can be compared.
    """

    def __init__(self, page: Page, query: Callable[Concatenate[Cursor, P], T]) -> None:
        self._page = page
        self._query = query
        self._asked: object = None
        self._task = reactive.extended_task(self._run)

    async def ask(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer; other arguments than the last time are a new question, which takes the place of that one.

        Raises:
            SilentException: there is no answer yet; the output that asked is computed again when there is.
            SafeException: the server refuses; the output says why.
        """
        self._page.require_server()
        question = (args, kwargs)
        if question != self._asked:
            self._asked = question
            self._task.cancel()
            self._task.invoke(*args, **kwargs)
        of, found, fault = self._task.result()
        req(of == question)
        if fault is not None:
            if isinstance(fault, TransientError):
                self._asked = None  # asked again when the server is back
            raise self._page.refused(fault) from fault
        return found[0]

    def waits(self) -> bool:
        """Whether the answer is still to come; reactive."""
        return self._task.status() == "running"

    async def _run(self, *args: P.args, **kwargs: P.kwargs) -> tuple[object, tuple[T, ...], PipelineError | None]:
        """The question, its answer as the only item, and why there is none."""
        question = (args, kwargs)
        try:
            return question, (await asyncio.to_thread(lambda: self._page.read(self._query, *args, **kwargs)),), None
        except PipelineError as error:
            return question, (), error
