"""The rows of a mart as a table."""

from dataclasses import dataclass
from typing import Any

from htmltools import Tag, div, span, tags

from pipeline_assets.mart_page.catalog import Column
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.scored import shares_of
from pipeline_assets.mart_page.views.marts.controls import describe
from pipeline_assets.mart_page.views.marts.queries import Rows
from pipeline_assets.mart_page.views.marts.request import Request
from pipeline_assets.task.spec import Stage, TaskSpec

_CLASSES = 3  # that a cell with probabilities names; its title names all
_LONG = 40  # characters that a cell shows; its title has the whole text


@dataclass(frozen=True)
class MartTable:
    """The rows of one page as a table; each row links to its passport."""

    route: Route
    task: TaskSpec
    stage: Stage
    seen: Request
    found: Rows
    says: ViewTexts
    formats: Formats

    def tag(self) -> Tag:
        """The table."""
        says, caption = self.says, self.says("caption", mart=self.seen.asked.mart.name)
        heads = [self._head(self.found.columns[place], place) for place in self._order]
        return div(
            tags.table(
                tags.caption(caption, class_="visually-hidden"),
                tags.thead(tags.tr(tags.th(span(says("row"), class_="visually-hidden"), scope="col"), *heads)),
                tags.tbody(*map(self._row, self.found.rows)),
                class_="table table-sm mart",
            ),
            class_="scrolls",
            tabindex="0",
            role="region",
            aria_label=caption,
        )

    @property
    def _order(self) -> list[int]:
        """Positions of the columns as they are shown: those of the other mart come after the address."""
        own, every = range(self._own), range(len(self.found.columns))
        address = [place for place in own if self.found.columns[place] in self.seen.asked.mart.address]
        return [*address, *every[self._own :], *(place for place in own if place not in address)]

    @property
    def _own(self) -> int:
        """How many columns are the mart's own; the others belong to the other mart."""
        return len(self.seen.columns)

    def _head(self, name: str, place: int) -> Tag:
        if place >= self._own:
            return tags.th(name, scope="col", class_="beside")
        says, column, order = self.says, self.seen.asked.mart.columns[name], self.seen.asked.order
        ordered = (order.column.name if order.column else self.seen.asked.mart.address[0]) == name
        if ordered and order.column is not None and order.down:
            query, what, arrow, way = self.route.at(sort=None, down=None, page=None), "sort_none", " ▼", "descending"
        elif ordered and order.column is not None:
            query, what, arrow, way = self.route.at(sort=name, down=1, page=None), "sort_down", " ▲", "ascending"
        else:
            query, what, arrow, way = self.route.at(sort=name, down=None, page=None), "sort_up", "", None
        label = says(what, column=name)
        return tags.th(
            tags.a(name, span(arrow, aria_hidden="true"), href=query, title=label, aria_label=label),
            " ",
            tags.a(
                "?",
                href=self.route.at(about=name),
                class_="about-link",
                aria_label=says("about_column", column=name),
                title=describe(column, self.task, says) or says("about_column", column=name),
            ),
            scope="col",
            aria_sort=way,
            class_="number" if column.numeric else None,
        )

    def _row(self, row: tuple[Any, ...]) -> Tag:
        batch, number = (row[self.found.columns.index(name)] for name in self.seen.asked.mart.address)
        stage = {"stage": "train"} if self.stage == "train" else {}
        passport = Route("passport", self.task.name, batch, number, stage).query()
        label = self.says("open", row=number, batch=batch)
        link = tags.a("→", href=passport, aria_label=label, title=label)
        return tags.tr(
            tags.th(link, scope="row"),
            *(self._cell(place, row[place]) for place in self._order),
            data_href=passport,
        )

    def _cell(self, place: int, value: object) -> Tag:
        column = self._column(place)
        if value is None:
            kind = "null number" if column.numeric and not column.json else "null"
            return tags.td("∅", class_=kind, title=self.says("empty"))
        text = self.formats.value(value, code=column.code or column.role == "technical")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        kind = " ".join(name for name, there in (("number", number), ("beside", place >= self._own)) if there)
        if column.role == "score" and column.json and isinstance(value, str):
            shares = shares_of(value)
            if shares is not None:
                return tags.td(self.formats.shares(shares, _CLASSES), class_=kind, title=self.formats.shares(shares))
        return tags.td(text, class_=kind or None, title=text if len(text) > _LONG else None)

    def _column(self, place: int) -> Column:
        """The column at a position: the mart's own, or the other mart's."""
        beside = self.seen.beside
        mart = beside.mart if place >= self._own and beside is not None else self.seen.asked.mart
        return mart.columns[self.found.columns[place]]
