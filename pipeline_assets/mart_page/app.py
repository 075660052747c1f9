"""The page as an application: its frame (head, navigation, language, light or dark) around the views."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from htmltools import Tag, TagChild, div, head_content, span, tags
from shiny import App, Inputs, Outputs, Session, reactive, render, ui
from shiny.session._session import AppSession
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp

from pipeline_assets.errors import TransientError
from pipeline_assets.mart_page import catalog, downloads, parts
from pipeline_assets.mart_page.database import HealthMonitor, ReadOnlyDatabase
from pipeline_assets.mart_page.downloads import Downloads
from pipeline_assets.mart_page.guard import Guard
from pipeline_assets.mart_page.language import LANGUAGES, Formats, Texts, ViewTexts, language_of
from pipeline_assets.mart_page.page import AppState, Links, Page
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.batches.page import batches_server, batches_ui
from pipeline_assets.mart_page.views.drift.page import drift_server, drift_ui
from pipeline_assets.mart_page.views.lineage.page import lineage_server, lineage_ui
from pipeline_assets.mart_page.views.marts.page import input_server, input_ui, output_server, output_ui
from pipeline_assets.mart_page.views.models.page import models_server, models_ui
from pipeline_assets.mart_page.views.passport.page import passport_server, passport_ui
from pipeline_assets.mart_page.views.quality.page import quality_server, quality_ui
from pipeline_assets.mart_page.warm_up import warm_up
from pipeline_assets.settings import Settings

STATIC = Path(__file__).parent / "static"
_DOWNLOAD_WAITS = 5.0  # seconds for a free connection; then the browser is asked to come back
_HEALTH_EVERY = 1.0  # seconds between two readings of the health monitor's result


@dataclass(frozen=True)
class View:
    """A view: its name in addresses, and the Shiny module that shows it. The frame's texts hold its title."""

    name: str
    ui: Callable[[str, Texts, Formats], Tag]
    server: Callable[[str, Page], None]


VIEWS: tuple[View, ...] = (
    View("batches", batches_ui, batches_server),
    View("input", input_ui, input_server),
    View("output", output_ui, output_server),
    View("passport", passport_ui, passport_server),
    View("models", models_ui, models_server),
    View("quality", quality_ui, quality_server),
    View("drift", drift_ui, drift_server),
    View("lineage", lineage_ui, lineage_server),
)


def application(
    settings: Settings,
    defs: Sequence[Path] = (),
    *,
    dagster: str | None = None,
    mlflow: str | None = None,
    names: Sequence[str] = (),
) -> ASGIApp:
    """The page as an ASGI application; it reads the registry ahead, other servers when asked.

    Args:
        settings: of the stores.
        defs: folders of tasks; those of the settings by default.
        dagster: base of Dagster's UI.
        mlflow: base of MLflow's UI; by default the registry says where a version is.
        names: host names of the page, beside those of this machine. Requests for other names are refused, so that no
            other site can point its own name at this server.
    """
    server = settings.greenplum or settings.state / "postgres"
    reading = partial(ReadOnlyDatabase, server, settings.schema)
    app_state = AppState(
        settings=settings,
        database=reading(),
        downloads=reading(downloads.SECONDS, connections=downloads.CONNECTIONS, wait_seconds=_DOWNLOAD_WAITS),
        health=HealthMonitor(reading(connections=1)),
        tasks=partial(catalog.tasks, tuple(defs) or settings.tasks),
        links=Links(dagster=without_credentials(dagster), mlflow=without_credentials(mlflow)),
    )
    app = App(partial(_ui, app_state), partial(_server, app_state), static_assets={"/static": STATIC})
    app.sanitize_errors = True
    app.on_shutdown(app_state.health.stop)
    app.on_shutdown(app_state.database.close)
    app.on_shutdown(app_state.downloads.close)
    any_name = any(name in ("0.0.0.0", "::") for name in names)  # noqa: S104 - compared, not bound
    known = ["*"] if any_name else [*names, "127.0.0.1", "localhost"]
    warm_up(app_state)
    return TrustedHostMiddleware(Guard(Downloads(app, app_state)), allowed_hosts=known)


def without_credentials(address: str | None) -> str | None:
    """An address without login and password, which no page shows.

    >>> without_credentials("https://ann:secret@mlflow.example/ui")
    'https://mlflow.example/ui'
    """
    if address is None:
        return None
    parsed = urlsplit(address)
    return urlunsplit(parsed._replace(netloc=parsed.netloc.rpartition("@")[2]))


def _ui(app_state: AppState, request: Request) -> Tag:
    language = language_of(request)
    texts, formats = Texts(language), Formats(language)
    says = texts("frame")
    known = app_state.tasks()
    route = Route.parse(request.url.query)
    return ui.page_fluid(
        head_content(
            tags.link(rel="stylesheet", href="static/page.css"),
            tags.link(rel="icon", href="static/icon.svg", type="image/svg+xml"),
            tags.script(src="static/page.js"),
        ),
        tags.a(says("skip"), href="#main", class_="visually-hidden-focusable skip"),
        tags.header(
            tags.a(says("title"), href="?", class_="brand"),
            _task_picker(list(known.known), route.task, says),
            tags.nav(
                *(
                    tags.a(says(f"view_{view.name}"), href=route.at(view=view.name), data_view=view.name)
                    for view in VIEWS
                ),
                aria_label=says("views"),
            ),
            div(
                *(_language(code, name, language) for code, name in LANGUAGES.items()),
                tags.button(
                    span("◐", aria_hidden="true"),
                    span(says("light"), class_="visually-hidden"),
                    type="button",
                    id="light",
                    class_="btn btn-sm",
                    title=says("light"),
                ),
                class_="switches",
            ),
            class_="shell",
        ),
        div(ui.output_ui("state"), role="alert", class_="state"),
        div(says("lost"), id="lost", class_="notice notice-error", role="alert", hidden=""),
        *(_broken(folder, why, says) for folder, why in known.broken.items()),
        None if known.known else parts.empty(says("no_tasks"), says("no_tasks_do")),
        tags.main(
            *(tags.section(view.ui(view.name, texts, formats), data_view=view.name, hidden="") for view in VIEWS),
            id="main",
            tabindex="-1",
        ),
        title=says("title"),
        lang=language,
    )


def _task_picker(names: list[str], chosen: str | None, says: ViewTexts) -> TagChild:
    if not names:
        return None
    picker = parts.chosen({name: name for name in names}, name="task", label=says("task"), selected=chosen or names[0])
    return tags.form(picker, data_go="task", class_="task", method="get")  # the script keeps the view


def _language(code: str, name: str, current: str) -> Tag:
    return tags.button(
        code.upper(),  # a whole name for each language takes a second line from narrow screens
        type="button",
        data_language=code,
        lang=code,
        title=name,
        aria_label=name,
        class_="btn btn-sm",
        aria_pressed="true" if code == current else "false",
    )


def _broken(folder: str, why: str, says: ViewTexts) -> Tag:
    return tags.details(
        tags.summary(says("broken", folder=folder)),
        tags.pre(why),
        class_="notice notice-error",
    )


def _server(app_state: AppState, input: Inputs, output: Outputs, session: Session) -> None:  # noqa: A002, ARG001 - Shiny's
    # Shiny's public Session has no request, whose headers and cookies say the language.
    language = language_of(cast("AppSession", session).http_conn)
    says = Texts(language)("frame")
    down: reactive.Value[TransientError | None] = reactive.value(None)

    @reactive.calc
    def route() -> Route:
        return Route.parse(input.query())

    @reactive.effect
    def _check_health() -> None:
        reactive.invalidate_later(_HEALTH_EVERY)
        down.set(app_state.health.fault)

    @render.ui
    def state() -> TagChild:
        fault = down()
        if fault is None:
            return None
        return div(
            tags.strong(says("down")),
            " ",
            says("down_do"),
            tags.details(tags.summary(says("details")), tags.pre(str(fault))),
            class_="notice notice-error",
        )

    page = Page(app_state, session, language, route, down)
    for view in VIEWS:
        view.server(view.name, page)
