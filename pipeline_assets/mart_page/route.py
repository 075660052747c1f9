"""The page's address as a value: the view, task, batch and row that it names, and addresses that differ from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, urlencode

_ROW_DIGITS = 18  # a number of so many digits fits a bigint


@dataclass(frozen=True)
class Route:
    """What an address ``?view=&task=&batch=&row=`` names.

    Attributes:
        view: name of a view; the page shows the first view where there is no such view.
        task: name of a task.
        batch: name of a batch.
        row: number of a row in its batch, from 0.
        more: what the view itself keeps in the address: filters, order, columns.
    """

    view: str | None = None
    task: str | None = None
    batch: str | None = None
    row: int | None = None
    more: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, query: str) -> Self:
        """From the query of any address; parts that are not valid are left out.

        >>> Route.parse("?view=passport&batch=a%27b&row=12&row=oops&stage=train").more["stage"]
        'train'
        """
        given = {name: value for name, value in parse_qsl(query.removeprefix("?")) if "\0" not in value}
        row = given.pop("row", "")
        return cls(
            view=given.pop("view", None),
            task=given.pop("task", None),
            batch=given.pop("batch", None),
            row=int(row) if row.isascii() and row.isdecimal() and len(row) <= _ROW_DIGITS else None,
            more=given,
        )

    def query(self) -> str:
        """The address's query.

        >>> Route("passport", "flights", "2013 10", 3).query()
        '?view=passport&task=flights&batch=2013+10&row=3'
        """
        return "?" + urlencode(self.pairs())

    def pairs(self) -> dict[str, str]:
        """The address's names and values."""
        named = {"view": self.view, "task": self.task, "batch": self.batch, "row": self.row}
        return {**{name: str(value) for name, value in named.items() if value is not None}, **self.more}

    def at(self, **changes: str | int | None) -> str:
        """The query of an address that differs in some names; ``None`` removes a name.

        >>> Route("input", "flights", "2013-10", more={"page": "2"}).at(page=None, sort="carrier")
        '?view=input&task=flights&batch=2013-10&sort=carrier'
        """
        changed: dict[str, str | int | None] = {**self.pairs(), **changes}
        return "?" + urlencode({name: value for name, value in changed.items() if value is not None})
