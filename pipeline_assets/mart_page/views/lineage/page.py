"""The lineage of a task's columns as a drawing; a picked column shows what it is made of and where it goes."""

from htmltools import Tag, TagChild, TagList, div, h3, p, tags
from shiny import Inputs, Outputs, Session, module, reactive, render, ui

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.views.lineage import charts as pictures
from pipeline_assets.task.column_lineage import Columns, Node, columns


@module.ui
def lineage_ui(texts: Texts, formats: Formats) -> Tag:  # noqa: ARG001 - every view is given both
    """The places of the view's outputs."""
    says = texts("lineage")
    return div(
        parts.heading(says("title"), says("lead")),
        ui.output_ui("picker"),
        div(output_picture("drawing", height="46rem"), class_="scrolls wide", tabindex="0"),
        p(says("legend"), class_="says"),
        ui.output_ui("path"),
        class_="reads",
    )


@module.server
def lineage_server(input: Inputs, output: Outputs, session: Session, page: Page) -> None:  # noqa: A002, ARG001
    """The lineage is read from the task's expressions; no store is read."""
    says = page.texts("lineage")

    @reactive.calc
    def found() -> Columns:
        return columns(page.task())

    @reactive.calc
    def picked() -> str | None:
        wanted = page.route().more.get("column")
        return wanted if wanted in found().nodes else None

    @render.ui
    def picker() -> TagChild:
        options = {"": says("all")}
        options.update({key: f"{node.name} ({says(f'kind_{node.kind}')})" for key, node in found().nodes.items()})
        picker = parts.chosen(options, name="column", label=says("pick"), selected=picked() or "")
        return div(parts.form(page.route(), picker), class_="tools")

    @render_picture
    def drawing() -> Picture:
        return pictures.lineage(found(), picked(), says)

    @reactive.effect
    @reactive.event(input.drawing_click)
    async def _pick() -> None:
        key = input.drawing_click()
        if key in found().nodes:
            await page.go(page.route().at(column=key))

    @render.ui
    def path() -> TagChild:
        key = picked()
        return _unused(found(), says) if key is None else _path(page, found(), key, says)


def _unused(found: Columns, says: ViewTexts) -> TagChild:
    used = {edge.source for edge in found.edges}
    names = [node.name for key, node in found.nodes.items() if node.kind == "raw" and key not in used]
    return p(says("unused", names=", ".join(names)), class_="says") if names else None


def _path(page: Page, found: Columns, key: str, says: ViewTexts) -> TagChild:
    node = found.nodes[key]
    upstream, downstream = found.upstream(key), found.downstream(key)
    before = [each for other, each in found.nodes.items() if other in upstream]
    after = [each for other, each in found.nodes.items() if other in downstream]
    facts: dict[str, TagChild] = {says("kind"): _kind(node, says)}
    if node.description:
        facts[says("meaning")] = node.description
    if node.expression:
        facts[says("expression")] = tags.code(node.expression)
    return TagList(
        h3(says("path", column=node.name)),
        parts.facts(facts),
        _columns(page, before, says("comes_from"), says("origin"), says),
        _columns(page, after, says("goes_to"), says("end"), says),
    )


def _kind(node: Node, says: ViewTexts) -> str:
    kind = says(f"kind_{node.kind}")
    return f"{kind}, {says('train_only')}" if node.trained_only else kind


def _columns(page: Page, nodes: list[Node], title: str, nothing: str, says: ViewTexts) -> TagChild:
    if not nodes:
        return TagList(tags.h4(title), p(nothing, class_="says"))
    rows: list[list[TagChild]] = [
        [
            page.link(node.name, page.route().at(column=node.key)),
            _kind(node, says),
            tags.code(node.expression) if node.expression else "",
            node.description,
        ]
        for node in nodes
    ]
    head = [says("column"), says("kind"), says("expression"), says("meaning")]
    return TagList(tags.h4(title), parts.table(head, rows, title))
