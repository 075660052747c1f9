"""What an address asks to see of a mart: stage, rows, columns, page."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from pipeline_assets.mart_page.catalog import Column, Mart, Which
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.marts import filters
from pipeline_assets.mart_page.views.marts import queries as marts
from pipeline_assets.mart_page.views.marts.filters import NoSuchValue
from pipeline_assets.mart_page.views.marts.queries import Asked, Beside
from pipeline_assets.task.spec import STAGES, Stage

Side = Literal["input", "output"]


@dataclass(frozen=True)
class Request:
    """What an address asks to see of a mart.

    Attributes:
        asked: which rows.
        columns: names of the columns shown, in order.
        page: its number, from 1.
        beside: columns of the other mart.
        wrong: filters whose value does not fit their column.
        about: the column whose values are described.
    """

    asked: Asked
    columns: tuple[str, ...]
    page: int
    beside: Beside | None
    wrong: tuple[NoSuchValue, ...]
    about: Column | None


def stage_of(side: Side, route: Route) -> Stage:
    """The stage whose mart is shown."""
    wanted = route.more.get("stage")
    if side == "output" or wanted not in STAGES:
        return "predict"
    return "train" if wanted == "train" else "predict"


def which_mart(side: Side, route: Route) -> Which:
    """The mart that is shown."""
    if side == "output":
        return "predict_output"
    return "train_input" if stage_of(side, route) == "train" else "predict_input"


def asked_of(route: Route, mart: Mart, language: str) -> tuple[Asked, list[NoSuchValue]]:
    """The rows of a mart that an address asks for, and its filters whose value does not fit their column."""
    found, wrong = filters.filters_of(route, mart, language)
    order = marts.order_of(mart, found, route.more.get("sort"), down=route.more.get("down") == "1")
    return Asked(mart, route.batch, tuple(found), order), wrong


def columns_of(route: Route, mart: Mart) -> tuple[str, ...]:
    """The columns that an address asks for; without any, all but the features."""
    wanted = {unquote(name) for name in route.more.get("show", "").split(",")}
    chosen = tuple(name for name in mart.columns if name in wanted or name in mart.address)
    if len(chosen) > len(mart.address):
        return chosen
    return tuple(name for name, column in mart.columns.items() if not _hidden(column))


def _hidden(column: Column) -> bool:
    """Features, and the one object of all columns that have no room of their own: a cell of it may be very long."""
    return column.role == "feature" or (column.role == "technical" and column.json)
