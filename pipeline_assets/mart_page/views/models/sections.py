"""The sections of the view of models: each turns what the registry and the marts know into tags."""

from collections.abc import Mapping, Sequence
from functools import partial

from htmltools import Tag, TagChild, TagList, div, p, tags

from pipeline_assets.mart_page import parts, reasons
from pipeline_assets.mart_page import training_facts as records_of
from pipeline_assets.mart_page.choices import ChoiceMade, Record
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem
from pipeline_assets.mart_page.views.models import champions
from pipeline_assets.ml.selection import Candidate
from pipeline_assets.stores.registry.training import Training
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec

_COUNTS = ("training_rows", "stopping_rows", "validation_rows", "unlabelled_rows")
_BASELINE = "baseline/"


def versions(
    page: Page,
    there: Sequence[Candidate],
    known: Record,
    shown: Candidate | None,
    says: ViewTexts,
    *,
    badges: Mapping[int, TagChild],
) -> TagChild:
    """Every version with its package and metrics, the newest first, and a picker of one.

    Args:
        badges: whether it could be made again, by version.
    """
    names = list(dict.fromkeys(name for each in there for name in each.metrics))
    rows = [[*_version(page, each, names, known, says), badges.get(each.version)] for each in reversed(there)]
    ways = plugins.kind(page.task().target.kind).metrics
    head = [
        says("version"),
        says("package"),
        says("created"),
        *(_named(name, ways) for name in names),
        says("predicted"),
        says("reproduced"),
    ]
    options = {str(each.version): says("of_version", version=each.version) for each in reversed(there)}
    selected = None if shown is None else str(shown.version)
    return TagList(
        p(says("metric_lead", metric=page.task().training.metric), class_="says"),
        parts.table(head, rows, says("versions"), numbers=range(3, len(head) - 2)),
        p(says("arrows"), class_="hint"),
        div(
            parts.form(page.route(), parts.chosen(options, name="version", label=says("pick"), selected=selected)),
            class_="tools",
        ),
    )


def _intervals(version: Candidate, known: Record) -> dict[str, tuple[float, float]]:
    """The interval of the task's metric, if the version's own training judged it by the rows that the metric is of."""
    choice = known.of_run(version.dagster_run)
    judged = None if choice is None else choice.candidate(version.version)
    if choice is None or judged is None or judged.interval is None:
        return {}
    same = judged.same_rows is not None and judged.same_rows == version.metrics.get(choice.metric)
    return {choice.metric: judged.interval} if same else {}


def _version(page: Page, each: Candidate, names: Sequence[str], known: Record, says: ViewTexts) -> list[TagChild]:
    formats = page.formats
    batches = sum(made.model_version == each.version for made in known.batches)
    intervals = _intervals(each, known)
    metrics = [records_of.with_interval(each.metrics.get(name), intervals.get(name), formats) for name in names]
    mark = "" if each.ready else f" ({says('not_ready')})"
    champion = f" {says('champion')}" if each.champion else ""
    return [
        TagList(page.link(str(each.version), page.route().at(version=each.version)), champion, mark),
        each.package or says("unknown"),
        tags.span(formats.moment(each.created), class_="moment"),
        *metrics,
        says("batches", n=batches),
    ]


def training_input(page: Page, made_of: Training, run: str | Problem, there: str | Problem, says: ViewTexts) -> Tag:
    """What a version was trained from, and where its run is."""
    formats = page.formats
    unknown = says("unknown")
    facts: dict[str, TagChild] = {
        says("batch"): made_of.batch or unknown,
        says("file"): tags.code(made_of.input_uri or unknown),
        says("sha256"): tags.code(made_of.input_sha256 or unknown),
    }
    if "package" in made_of.parameters:
        facts[says("package")] = _package(made_of)
    facts.update(
        {says(name): formats.number(int(made_of.metrics[name])) for name in _COUNTS if name in made_of.metrics}
    )
    if made_of.dagster_run_id is not None:
        facts[says("dagster_run")] = records_of.dagster_run(page, made_of.dagster_run_id)
    for key, address in (("mlflow_run", run), ("mlflow_version", there)):
        facts[says(key)] = records_of.problem(address) if isinstance(address, Problem) else records_of.away(address)
    return parts.facts(facts)


def _package(made_of: Training) -> TagChild:
    """The package, and the estimator or the module of the user's own where the task names one."""
    own = next(
        (made_of.parameters[key] for key in ("estimator", "module", "builder") if key in made_of.parameters), None
    )
    package = made_of.parameters["package"]
    return TagList(package, " ", tags.code(own)) if own else package


def quality(task: TaskSpec, made_of: Training, says: ViewTexts, formats: Formats) -> TagChild:
    """The metrics of the kind beside those of the baseline, then the other numbers that the training wrote down."""
    ways, found = plugins.kind(task.target.kind).metrics, made_of.metrics
    metrics = [name for name in ways if name in found]
    rows: list[list[TagChild]] = [
        [_named(name, ways), _metric(found.get(name), formats), _metric(found.get(f"{_BASELINE}{name}"), formats)]
        for name in metrics
    ]
    table = parts.table([says("metric"), says("model"), says("baseline")], rows, says("quality"), numbers=(1, 2))
    known = {*metrics, *_COUNTS}
    # Curves and baselines have a side before a stroke in their names.
    more = {name: value for name, value in found.items() if "/" not in name and name not in known}
    facts: dict[str, TagChild] = {
        says(f"number_{name}") if f"number_{name}" in says else name: _metric(value, formats)
        for name, value in sorted(more.items())
    }
    return TagList(
        table if rows else None,
        p(says("baseline_lead"), class_="hint") if rows else None,
        tags.details(tags.summary(says("more_numbers")), parts.facts(facts)) if facts else None,
    )


def _named(name: str, ways: Mapping[str, bool]) -> str:
    return parts.metric(name, greater=ways[name]) if name in ways else name


def _metric(value: float | None, formats: Formats) -> str:
    return "" if value is None else formats.number(round(value, 4) if abs(value) < 1 else value)


def choices(page: Page, version: Candidate, made_of: Training | Problem, known: Record, says: ViewTexts) -> TagChild:
    """The choice that made it champion, and the one at the end of its training, which may be the same."""
    own = known.of_run(made_of.dagster_run_id) if isinstance(made_of, Training) else None
    crowned = known.crowned(version.version)
    found = {"became": crowned, "of_its_training": None if own == crowned else own}
    shown = [TagList(tags.h5(says(key)), _choice(page, each, says)) for key, each in found.items() if each is not None]
    return TagList(*shown) if shown else p(says("no_choice"), class_="says")


def _choice(page: Page, choice: ChoiceMade, says: ViewTexts) -> TagChild:
    formats, route = page.formats, page.route()
    version = partial(route.at, view="models")
    facts: dict[str, TagChild] = {
        says("reason"): tags.strong(reasons.reason(choice, page.texts)),
        says("chosen_at"): f"{formats.moment(choice.chosen_at)}. {champions.by_whom(choice, says)}",
        says("winner"): page.link(str(choice.model_version), version(version=choice.model_version)),
    }
    if choice.previous_version is not None:
        facts[says("previous")] = page.link(str(choice.previous_version), version(version=choice.previous_version))
    if choice.gain is not None:
        gain = records_of.with_interval(choice.gain, choice.gain_interval, formats)
        facts[says("gain")] = f"{choice.metric} {gain}. {says('interval')}" if choice.gain_interval else gain
    facts[says("policy")] = tags.code(choice.policy)
    return TagList(parts.facts(facts), records_of.candidates(choice, page.texts, formats))


def predicted(page: Page, version: Candidate, known: Record, says: ViewTexts, formats: Formats) -> TagChild:
    """The batches in the output mart that a version predicted."""
    made = [each for each in known.batches if each.model_version == version.version]
    if not made:
        return p(says("none_predicted"), class_="says")
    rows: list[list[TagChild]] = [
        [
            page.link(each.batch, page.route().at(view="output", batch=each.batch, version=None)),
            formats.moment(each.predicted_at),
            records_of.dagster_run(page, each.run_id),
        ]
        for each in made
    ]
    return parts.table([says("batch"), says("when"), says("dagster_run")], rows, says("predictions"))
