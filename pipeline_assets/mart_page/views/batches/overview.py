"""The predict batches at a glance: one small chart per question, each of which leads to the view that answers it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from htmltools import Tag, div, h3, span, svg, tags
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier

from pipeline_assets.mart_page import catalog, parts
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.route import Route
from pipeline_assets.monitoring.batch_status import BatchRecord
from pipeline_assets.stores.marts.quality import metric_columns
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec

SHOWN = 24  # batches of a chart, the latest by name: two years of months
_WIDTH, _HEIGHT, _EDGE = 168.0, 44.0, 4.0  # of a drawing, in pixels
_WIDEST = 24.0  # pixels of a bar and the gap after it, so that three batches do not look like three walls


@dataclass(frozen=True)
class Monitored:
    """What the marts keep of each batch beside its rows.

    Attributes:
        quality: the task's metric of the version that predicted last, by batch.
        drift: the largest distance of a feature, by batch.
        drifted: batches with a feature over a limit of the task.
        judged: when the predictions that were judged last were made, by batch.
    """

    quality: Mapping[str, float] = field(default_factory=dict)
    drift: Mapping[str, float] = field(default_factory=dict)
    drifted: Collection[str] = ()
    judged: Mapping[str, datetime] = field(default_factory=dict)

    def is_outdated(self, one: BatchRecord) -> bool:
        """Whether the predictions that were judged last were replaced since; those to be made anew come first."""
        at = self.judged.get(one.ref.batch)
        return one.ref.stage == "predict" and bool(at and one.current and at < one.current.finished)


@dataclass(frozen=True)
class Chart:
    """One question over batches.

    Attributes:
        name: key of its title.
        values: by batch, in the order of batches; at least one.
        said: how a value is written.
        href: the view that answers the question.
        lines: whether it is a line, whose axis need not begin at zero; else bars.
        marked: batches that stand out.
        title: instead of the text of the key.
    """

    name: str
    values: Mapping[str, float]
    said: Callable[[float], str]
    href: str
    lines: bool = False
    marked: Collection[str] = ()
    title: str | None = None


def monitored(cursor: Cursor, schema: str, task: TaskSpec) -> Monitored:
    """Quality and drift of every batch, as far as their marts exist."""
    quality: dict[str, float] = {}
    judged: dict[str, datetime] = {}
    mart, (column, _) = catalog.mart(cursor, schema, task, "quality"), metric_columns(task)[task.training.metric]
    if mart is not None and column in mart.columns:
        query = SQL("SELECT batch, {}, predicted_at FROM {} WHERE segment = '' ORDER BY predicted_at")
        cursor.execute(query.format(Identifier(column), mart.sql))
        latest = {batch: (value, predicted_at) for batch, value, predicted_at in cursor.fetchall()}
        quality = {batch: float(value) for batch, (value, _) in latest.items() if value is not None}
        judged = {batch: predicted_at for batch, (_, predicted_at) in latest.items()}
    drift: dict[str, float] = {}
    drifted: tuple[str, ...] = ()
    mart = catalog.mart(cursor, schema, task, "drift")
    if mart is not None:
        query = SQL(
            "SELECT batch, max(distance), bool_or(verdict IN ('warn', 'fail')) FROM {} WHERE role = 'feature'"
            " GROUP BY batch"
        )
        cursor.execute(query.format(mart.sql))
        rows = cursor.fetchall()
        drift = {batch: float(distance) for batch, distance, _ in rows}
        drifted = tuple(sorted(batch for batch, _, over in rows if over))
    return Monitored(quality, drift, drifted, judged)


def charts(records: Sequence[BatchRecord], known: Monitored, task: TaskSpec, formats: Formats) -> list[Chart]:
    """The charts that have something to show.

    Args:
        records: of the task's batches.
        known: what the marts keep of them.
        task: whose.
        formats: of the language.
    """
    found = {one.ref.batch: one for one in records if one.ref.stage == "predict" and one.manifest is not None}
    names = sorted(found)[-SHOWN:]
    if not names:
        return []
    rows, rejected, decided = {}, {}, {}
    for name in names:
        one = found[name]
        if one.manifest is None:
            continue
        rows[name] = float(one.manifest.rows)
        rejected[name] = one.manifest.rejected / max(one.manifest.rows, 1)
        if task.output.where and one.current is not None and one.written is not None and one.manifest.accepted:
            decided[name] = one.written / one.manifest.accepted
    last = names[-1]
    metric = task.training.metric
    better = parts.metric(metric, greater=plugins.kind(task.target.kind).metrics[metric])
    quality = {name: known.quality[name] for name in names if name in known.quality}
    drift = {name: known.drift[name] for name in names if name in known.drift}
    at = Route(task=task.name, batch=last)
    shown = [
        Chart("rows", rows, lambda value: formats.number(int(value)), at.at(view="input")),
        Chart("rejected", rejected, formats.share, at.at(view="batches", stage="predict"),
              marked=[name for name, share in rejected.items() if share]),
        Chart("decided", decided, formats.share, at.at(view="output")),
        Chart("quality", quality, lambda value: formats.number(round(value, 3)),
              at.at(view="quality", batch=next(reversed(quality), None)), lines=True, title=better,
              marked=[name for name in quality if known.is_outdated(found[name])]),
        Chart("drift", drift, lambda value: formats.number(round(value, 3)), at.at(view="drift"), marked=known.drifted),
    ]  # fmt: skip
    return [each for each in shown if each.values]


def overview(shown: Sequence[Chart], says: ViewTexts) -> Tag | None:
    """The charts side by side; nothing where there are none."""
    if not shown:
        return None
    return div(h3(says("glance")), div(*(_card(each, says) for each in shown), class_="multiples"))


def _card(chart: Chart, says: ViewTexts) -> Tag:
    title = chart.title or says(f"glance_{chart.name}")
    last, value = list(chart.values.items())[-1]
    sign = tags.span("▲ ", title=says("glance_marked"), class_="marked") if last in chart.marked and last else None
    return tags.a(
        span(title, class_="hint"),
        tags.strong(sign, chart.said(value)),
        _drawing(chart, title),
        span(last, class_="hint"),
        href=chart.href,
        class_="multiple",
        data_chart=chart.name,
    )


def _drawing(chart: Chart, title: str) -> Tag:
    words = "; ".join(f"{batch}: {chart.said(value)}" for batch, value in chart.values.items())
    draw = _line if chart.lines else _bars
    return svg.svg(
        *draw(chart),
        width=f"{_WIDTH:g}",
        height=f"{_HEIGHT:g}",
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        role="img",
        aria_label=f"{title}. {words}",
    )


def _bars(chart: Chart) -> list[Tag]:
    step = min(_WIDTH / len(chart.values), _WIDEST)
    most = max(chart.values.values()) or 1.0
    wide = step * len(chart.values)
    drawn = [svg.line(x1="0", x2=f"{wide:g}", y1=f"{_HEIGHT - 0.5:g}", y2=f"{_HEIGHT - 0.5:g}", class_="base")]
    for place, (batch, value) in enumerate(chart.values.items()):
        high = value / most * (_HEIGHT - _EDGE)
        drawn.append(
            svg.rect(
                svg.title(f"{batch}: {chart.said(value)}"),
                x=f"{place * step:.1f}",
                y=f"{_HEIGHT - high:.1f}",
                width=f"{step * 0.75:.1f}",
                height=f"{high:.1f}",
                class_="marked" if batch in chart.marked else None,
            )
        )
    return drawn


def _line(chart: Chart) -> list[Tag]:
    step = min((_WIDTH - 2 * _EDGE) / len(chart.values), _WIDEST)
    low, high = min(chart.values.values()), max(chart.values.values())
    span_of_values = high - low
    places = []
    for place, value in enumerate(chart.values.values()):
        share = (value - low) / span_of_values if span_of_values else 0.5
        places.append((_EDGE + place * step, _HEIGHT - _EDGE - share * (_HEIGHT - 2 * _EDGE)))
    dots = [
        svg.circle(svg.title(f"{batch}: {chart.said(value)}"), cx=f"{x:.1f}", cy=f"{y:.1f}", r="3")
        for (batch, value), (x, y) in zip(chart.values.items(), places, strict=True)
    ]
    return [svg.polyline(points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places)), *dots]
