"""Parts that several views use: headings, notices, lists of facts, tables, forms. htmltools escapes all text."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from htmltools import Tag, TagChild, div, h2, p, tags

from pipeline_assets.mart_page.route import Route


def heading(title: str, says: str = "") -> TagChild:
    """The head of a view: its title, and a sentence that says what the view shows."""
    return div(h2(title), p(says, class_="says") if says else None, class_="view-head")


def empty(what: str, do: str) -> Tag:
    """A notice that there is nothing to show, and what to do about it."""
    return div(p(what, class_="what"), p(do, class_="do"), class_="notice notice-empty", role="status")


def facts(pairs: Mapping[str, TagChild]) -> Tag:
    """A list of facts: names and values."""
    return tags.dl(*((tags.dt(name), tags.dd(value)) for name, value in pairs.items()), class_="facts")


def table(
    head: Sequence[TagChild], rows: Iterable[Sequence[TagChild]], caption: str, numbers: Sequence[int] = ()
) -> Tag:
    """A small table, which scrolls by itself on a narrow screen.

    Args:
        head: one cell per column.
        rows: one cell per column; the first is the row's name.
        caption: what the table shows; for screen readers.
        numbers: positions of the columns that hold numbers.
    """

    def cell(position: int, content: TagChild) -> Tag:
        kind = "number" if position in numbers else None
        return tags.th(content, scope="row", class_=kind) if position == 0 else tags.td(content, class_=kind)

    return div(
        tags.table(
            tags.caption(caption, class_="visually-hidden"),
            tags.thead(
                tags.tr(
                    *(
                        tags.th(content, scope="col", class_="number" if position in numbers else None)
                        for position, content in enumerate(head)
                    )
                )
            ),
            tags.tbody(*(tags.tr(*(cell(position, one) for position, one in enumerate(row))) for row in rows)),
            class_="table table-sm",
        ),
        class_="scrolls",
        tabindex="0",
        role="region",
        aria_label=caption,
    )


def bar(share: float, text: str) -> Tag:
    """A share of one as a small bar with its text beside it."""
    filled = tags.span(style=f"width: {min(max(share, 0.0), 1.0):.4%}", aria_hidden="true")
    return tags.span(tags.span(filled, class_="bar"), " ", text, class_="share")


def metric(name: str, *, greater: bool) -> str:
    """A metric's name with the direction in which it is better.

    >>> metric("log_loss", greater=False)
    'log_loss ↓'
    """
    return f"{name} {'↑' if greater else '↓'}"


def form(route: Route, *controls: TagChild, drop: Collection[str] = (), **attributes: str) -> Tag:
    """A form whose values go into the page's address; the rest of the address stays.

    A picker of :func:`chosen` takes effect as soon as something is picked; other controls need a submit button.

    Args:
        route: the address now.
        controls: those with a ``name`` go into the address; an empty value removes the name from it.
        drop: names that are removed from the address, such as the number of a page.
        attributes: of the form.
    """
    kept = [tags.input(type="hidden", name=name, value=value) for name, value in route.pairs().items()]
    hidden = [one for one in kept if one.attrs["name"] not in drop]
    return tags.form(hidden, *controls, **attributes, data_go="", data_drop=" ".join(drop), method="get")


def chosen(shown: Mapping[str, str], *, name: str, label: str, selected: str | None) -> Tag:
    """A picker in a :func:`form`, which takes effect as soon as something is picked.

    Args:
        shown: the text of each option, by value.
        name: of the address's parameter.
        label: what is picked.
        selected: the value now.
    """
    return tags.label(tags.span(label), options(shown, name=name, selected=selected, now=True), class_="picker")


def options(shown: Mapping[str, str], *, name: str, selected: str | None = None, now: bool = False) -> Tag:
    """A list of options without a label.

    Args:
        shown: the text of each option, by value.
        name: of the address's parameter.
        selected: the value now.
        now: whether a choice takes effect at once.
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
