"""What the shell gives to every view: the place one is at, the stores to ask, and the language to speak."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Concatenate, ParamSpec, TypeVar

from htmltools import Tag, a
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from shiny import reactive, req
from shiny.session import Session
from shiny.types import SafeException, SilentException

from pipeline_assets.errors import PipelineError, TransientError
from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.catalog import Mart, Tasks, Which
from pipeline_assets.mart_page.database import HealthMonitor, ReadOnlyDatabase, TooSlow
from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.passport.explanation import Models
from pipeline_assets.resources import Resources, resources
from pipeline_assets.settings import Settings
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.spec import TaskSpec

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Links:
    """Where the neighbours' own pages are, as far as one can know.

    Attributes:
        dagster: base of Dagster's UI.
        mlflow: base of MLflow's UI.
    """

    dagster: str | None
    mlflow: str | None


@dataclass(frozen=True)
class AppState:
    """What all sessions share."""

    settings: Settings
    database: ReadOnlyDatabase
    health: HealthMonitor
    tasks: Callable[[], Tasks]
    links: Links

    @cached_property
    def files(self) -> FileStore:
        """Inputs, outputs and rejected rows."""
        return self.stores["files"]

    @cached_property
    def stores(self) -> Resources:
        """Every store of the pipeline; building them connects to nothing."""
        return resources(self.settings)

    @cached_property
    def models(self) -> Models:
        """Versions that were asked for an explanation, loaded once for all sessions."""
        return Models(self.stores["registry"])


class Page:
    """One session, as its views see it.

    Args:
        house: what sessions share.
        session: Shiny's.
        language: of the whole page.
        place: reactive; where the reader is.
        down: reactive; why the server of the marts does not answer, ``None`` while it does.
    """

    def __init__(
        self,
        app_state: AppState,
        session: Session,
        language: str,
        route: Callable[[], Route],
        down: reactive.Value[TransientError | None],
    ) -> None:
        self.app_state = app_state
        self.settings = app_state.settings
        self.links = app_state.links
        self.texts = Texts(language)
        self.formats = Formats(language)
        self._session = session
        self._route = route
        self._down = down

    @property
    def files(self) -> FileStore:
        """Inputs, outputs and rejected rows."""
        return self.app_state.files

    @property
    def schema(self) -> str:
        """Of the marts."""
        return self.settings.schema

    def route(self) -> Route:
        """Where the reader is; reactive."""
        return self._route()

    def task(self) -> TaskSpec:
        """The task that is looked at; reactive. Without any task, the output stays empty: the shell says so."""
        known = self.app_state.tasks().known
        name = self._route().task
        req(known)
        return known[name] if name is not None and name in known else next(iter(known.values()))

    async def go(self, query: str) -> None:
        """Takes the reader to another place, given as :meth:`Route.at` gives it."""
        await self._session.send_custom_message("go", {"query": query})

    def link(self, content: str, query: str, **attributes: str) -> Tag:
        """A link to another place of the page; it is a real one, to be copied or opened in another tab."""
        return a(content, href=query, **attributes)

    async def ask(self, query: Callable[Concatenate[Cursor, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of a query, asked in a thread; asked again by itself once a lost server is back.

        Args:
            query: a function over a cursor, of :mod:`pipeline_assets.mart_page.queries`.
            args: of the query.
            kwargs: of the query.

        Raises:
            SilentException: the server does not answer: the output is empty, and the shell says why.
            SafeException: the server refuses; the output says why.
        """

        def asked() -> T:
            with self.app_state.database.reading() as cursor:
                return query(cursor, *args, **kwargs)

        req(self._down() is None)  # and all over again once it is
        try:
            return await asyncio.to_thread(asked)
        except TransientError as fault:
            self.app_state.health.missed(fault)
            self._down.set(fault)
            raise SilentException from fault
        except TooSlow as error:
            raise SafeException(self.texts("shell")("too_slow")) from error
        except PipelineError as error:
            raise SafeException(str(error)) from error

    async def mart(self, task: TaskSpec, which: Which) -> Mart | None:
        """A mart of a task as it is on the server; ``None`` if it is not there yet. Raises what :meth:`ask` does."""
        return await self.ask(catalog.mart, self.schema, task, which)

    async def work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The value of a function that reads a store (files, features, MLflow) or takes its time, in a thread.

        Raises:
            SafeException: a store refuses, or does not answer; the output says so.
        """
        self._down()  # what came up with the server of the marts is worth another try when it is back
        try:
            return await asyncio.to_thread(function, *args, **kwargs)
        except PipelineError as error:
            raise SafeException(str(error)) from error
