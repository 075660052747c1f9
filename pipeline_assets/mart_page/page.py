"""What every view gets: the route of the page's address, the stores to read, and the texts of the language."""

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
from pipeline_assets.mart_page.loaded_models import LoadedModels
from pipeline_assets.mart_page.route import Route
from pipeline_assets.resources import Resources, resources
from pipeline_assets.settings import Settings
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.spec import TaskSpec

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Links:
    """Addresses of other web interfaces.

    Attributes:
        dagster: base of Dagster's UI; ``None`` if it is not known.
        mlflow: base of MLflow's UI; ``None`` for the addresses that the registry gives.
    """

    dagster: str | None
    mlflow: str | None


@dataclass(frozen=True)
class AppState:
    """What all sessions share.

    Attributes:
        database: the marts, for the views.
        downloads: the marts, for downloads.
        health: whether the marts' server answers.
        tasks: reads the tasks' YAML files again if they changed.
    """

    settings: Settings
    database: ReadOnlyDatabase
    downloads: ReadOnlyDatabase
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
    def models(self) -> LoadedModels:
        """Models that explain predictions, loaded once for all sessions."""
        return LoadedModels(self.stores["registry"])


class Page:
    """One session, as its views see it.

    Args:
        app_state: what sessions share.
        session: Shiny's.
        language: of the whole page.
        route: reactive; what the page's address names.
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
        """What the page's address names: view, task, batch, row; reactive."""
        return self._route()

    def task(self) -> TaskSpec:
        """The task that is shown; reactive. If there is no task at all, the output stays empty: the frame says so."""
        known = self.app_state.tasks().known
        name = self._route().task
        req(known)
        return known[name] if name is not None and name in known else next(iter(known.values()))

    async def go(self, query: str) -> None:
        """Moves the browser to another address, a query as :meth:`Route.at` returns it."""
        await self._session.send_custom_message("go", {"query": query})

    def link(self, content: str, query: str, **attributes: str) -> Tag:
        """A link to another address of the page, which can be copied or opened in another tab."""
        return a(content, href=query, **attributes)

    async def ask(self, query: Callable[Concatenate[Cursor, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a query, run in a thread; it runs again by itself when a lost server is back.

        Args:
            query: a function that takes a cursor first.
            args: its other arguments.
            kwargs: its other arguments.

        Raises:
            SilentException: the server does not answer: the output is empty, and the page's frame says why.
            SafeException: the server refuses; the output says why.
        """
        self.require_server()
        try:
            return await asyncio.to_thread(lambda: self.read(query, *args, **kwargs))
        except PipelineError as error:
            raise self.refused(error) from error

    def read(self, query: Callable[Concatenate[Cursor, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a query, here and now.

        Raises:
            PipelineError: the server refuses, or does not answer.
        """
        with self.app_state.database.reading() as cursor:
            return query(cursor, *args, **kwargs)

    def require_server(self) -> None:
        """Goes on if the server answers; reactive: the output is computed again when it is back.

        Raises:
            SilentException: it does not.
        """
        req(self._down() is None)

    def refused(self, error: PipelineError) -> Exception:
        """What an output raises for an error of the marts' server; a server that does not answer is noted."""
        if isinstance(error, TransientError):
            self.app_state.health.missed(error)
            self._down.set(error)
            return SilentException()
        return SafeException(self.texts("frame")("too_slow") if isinstance(error, TooSlow) else str(error))

    async def mart(self, task: TaskSpec, which: Which) -> Mart | None:
        """A mart of a task as it is on the server; ``None`` if it does not exist yet. Raises what :meth:`ask` does."""
        return await self.ask(catalog.mart, self.schema, task, which)

    async def work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The value of a slow function, such as one that reads files, features or MLflow; it runs in a thread.

        Raises:
            SafeException: a store refuses, or does not answer; the output says so.
        """
        self._down()  # reactive: other servers may be back when the marts' server is
        try:
            return await asyncio.to_thread(function, *args, **kwargs)
        except PipelineError as error:
            raise SafeException(str(error)) from error
