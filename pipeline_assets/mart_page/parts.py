"""Pieces that several views are made of: notices, tables of facts, lists of batches. Text is escaped by htmltools."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from htmltools import Tag, TagChild, div, h2, p, tags

from pipeline_assets.mart_page.route import Route


def heading(title: str, says: str = "") -> TagChild:
    """The head of a view: its title and a sentence on what one sees."""
    return div(h2(title), p(says, class_="says") if says else None, class_="view-head")


def empty(what: str, do: str) -> Tag:
    """Says that there is nothing to see, and what to do about it."""
    return div(p(what, class_="what"), p(do, class_="do"), class_="notice notice-empty", role="status")


def facts(pairs: Mapping[str, TagChild]) -> Tag:
    """A list of facts: name and value."""
    return tags.dl(*((tags.dt(name), tags.dd(value)) for name, value in pairs.items()), class_="facts")


def table(
    head: Sequence[TagChild], rows: Iterable[Sequence[TagChild]], caption: str, numbers: Sequence[int] = ()
) -> Tag:
    """A small table, which scrolls by itself on a narrow screen.

    Args:
        head: a cell a column.
        rows: a cell a column each; the first names the row.
        caption: what the table shows; seen by screen readers.
        numbers: places of the columns that hold numbers.
    """

    def cell(route: int, content: TagChild) -> Tag:
        kind = "number" if route in numbers else None
        return tags.th(content, scope="row", class_=kind) if route == 0 else tags.td(content, class_=kind)

    return div(
        tags.table(
            tags.caption(caption, class_="visually-hidden"),
            tags.thead(
                tags.tr(
                    *(
                        tags.th(content, scope="col", class_="number" if route in numbers else None)
                        for route, content in enumerate(head)
                    )
                )
            ),
            tags.tbody(*(tags.tr(*(cell(route, one) for route, one in enumerate(row))) for row in rows)),
            class_="table table-sm",
        ),
        class_="scrolls",
        tabindex="0",
        role="region",
        aria_label=caption,
    )


def form(route: Route, *controls: TagChild, drop: Collection[str] = (), **attributes: str) -> Tag:
    """A form that leads to another place: its controls' values go into the address, the rest of which stays.

    A picker of :func:`chosen` in it leads there as soon as something is picked; other controls need a submit button.

    Args:
        place: where one is.
        controls: of which those that have a ``name`` are put into the address; an empty value takes the name out.
        drop: names that leave the address too, such as the number of a page.
        attributes: of the form.
    """
    kept = [tags.input(type="hidden", name=name, value=value) for name, value in route.pairs().items()]
    hidden = [one for one in kept if one.attrs["name"] not in drop]
    return tags.form(hidden, *controls, **attributes, data_go="", data_drop=" ".join(drop), method="get")


def chosen(shown: Mapping[str, str], *, name: str, label: str, selected: str | None) -> Tag:
    """A picker in a :func:`form`: a choice leads to the address with it.

    Args:
        shown: what is shown, by value.
        name: of the address's parameter.
        label: what is picked.
        selected: the value that is picked now.
    """
    return tags.label(tags.span(label), options(shown, name=name, selected=selected, now=True), class_="picker")


def options(shown: Mapping[str, str], *, name: str, selected: str | None = None, now: bool = False) -> Tag:
    """A list to choose from, without a label.

    Args:
        shown: what is shown, by value.
        name: of the address's parameter.
        selected: the value that is picked now.
        now: whether a choice leads on at once.
    """
    return tags.select(
        *(
            tags.option(text, value=value, selected="selected" if value == selected else None)
            for value, text in shown.items()
        ),
        {"data-now": ""} if now else {},
        name=name,
        class_="form-select form-select-sm",
    )
