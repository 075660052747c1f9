"""What was predicted for a batch, and how good that was once the truth is known, by the kind of the task."""

from collections import Counter
from collections.abc import Mapping, Sequence

from htmltools import Tag, TagChild, TagList, div, h3, p, span

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page import training_facts as records_of
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.problem import Problem
from pipeline_assets.mart_page.scored import QUANTILES, ROWS, Scores
from pipeline_assets.mart_page.views.batches.queries import Truth
from pipeline_assets.monitoring.batch_status import BatchRecord
from pipeline_assets.monitoring.truth import Evaluation, form_of
from pipeline_assets.task.spec import TaskSpec

_LABELS = 30  # lines of a table by label


def said(task: TaskSpec, one: BatchRecord, found: Scores, says: ViewTexts, formats: Formats) -> Tag:
    """The predictions of a batch: rows in the output file, shares of predicted labels, quantiles of numbers."""
    form = form_of(task)
    facts: dict[str, TagChild] = {}
    if one.manifest is not None and one.written is not None:
        share = formats.share(one.written / max(one.manifest.accepted, 1))
        facts[says("in_output")] = says(
            "in_output_value",
            written=formats.number(one.written),
            accepted=formats.number(one.manifest.accepted),
            share=share,
        )
    if found.quantiles:
        write = formats.share if form == "binary" else formats.number
        quantiles = (
            f"{formats.share(at)}: {write(value)}" for at, value in zip(QUANTILES, found.quantiles, strict=True)
        )
        facts[says(f"quantiles_{form}")] = "; ".join(quantiles)
    if found.of > ROWS:
        facts[says("looked_at")] = says("looked_at_value", rows=formats.number(found.rows), of=formats.number(found.of))
    return div(
        h3(says("said")),
        parts.facts(facts),
        _bars({formats.value(label): share for label, share in found.shares.items()}, says, formats),
    )


def _bars(shares: Mapping[str, float], says: ViewTexts, formats: Formats) -> TagChild:
    """A bar per predicted label."""
    if not shares:
        return None
    shown = list(shares.items())[:_LABELS]
    rows: list[list[TagChild]] = [[name, parts.bar(share, formats.share(share))] for name, share in shown]
    rest = sum(list(shares.values())[_LABELS:])
    if rest:
        rows.append([says("others"), parts.bar(rest, formats.share(rest))])
    return parts.table([says("predicted_label"), says("share")], rows, says("said"))


def quality(
    task: TaskSpec, truth: Truth, evaluated: Evaluation | Problem | None, says: ViewTexts, formats: Formats
) -> TagChild:
    """The metrics of the kind, and what people ask of each kind beside them."""
    form = form_of(task, truth.scores)
    facts: dict[str, TagChild] = {
        says("truth_rows"): formats.number(len(truth.labels)),
        says("truth_from"): ", ".join(truth.batches),
    }
    if isinstance(evaluated, Evaluation):
        facts |= {
            parts.metric(name, greater=evaluated.greater_is_better[name]): formats.number(value)
            for name, value in evaluated.metrics.items()
        }
    if form == "binary":
        facts |= _decided(truth, says, formats)
    if form == "regression" and isinstance(evaluated, Evaluation):
        facts |= _means(truth, says, formats)
    return TagList(
        p(says("partly")) if truth.partly else None,
        parts.facts(facts),
        p(says("arrows"), class_="hint") if isinstance(evaluated, Evaluation) else None,
        records_of.problem(evaluated) if isinstance(evaluated, Problem) else None,
        _by_class(truth, says, formats) if form == "multiclass" else None,
    )


def _decided(truth: Truth, says: ViewTexts, formats: Formats) -> dict[str, TagChild]:
    """Precision and recall of the decision: of the output's rule, else of the predicted label."""
    predicted = truth.scores.get("predicted_label") or [value >= 0.5 for value in truth.scores["probability"]]  # noqa: PLR2004 - marts of former versions have no predicted label
    decision = [label if rule is None else rule for rule, label in zip(truth.decision, predicted, strict=True)]
    hits = sum(bool(label) and taken for label, taken in zip(truth.labels, decision, strict=True))
    taken, ones = sum(decision), sum(bool(label) for label in truth.labels)
    return {
        says("precision"): formats.share(hits / taken) if taken else says("no_decision"),
        says("recall"): formats.share(hits / ones) if ones else says("no_ones"),
    }


def _means(truth: Truth, says: ViewTexts, formats: Formats) -> dict[str, TagChild]:
    predicted, count = truth.scores["prediction"], len(truth.labels)
    return {
        says("mean_truth"): formats.number(float(sum(truth.labels)) / count),
        says("mean_prediction"): formats.number(float(sum(predicted)) / count),
    }


def _by_class(truth: Truth, says: ViewTexts, formats: Formats) -> Tag:
    """Each class: how many rows are of it, how many were predicted to be, and how many of both kinds were right."""
    predicted: Sequence[str] = truth.scores["predicted_label"]
    of, said_to_be = Counter(truth.labels), Counter(predicted)
    right = Counter(label for label, each in zip(truth.labels, predicted, strict=True) if label == each)
    names = sorted({*of, *said_to_be}, key=lambda name: (-of[name], str(name)))

    def share(part: int, whole: int) -> TagChild:
        return parts.bar(part / whole, formats.share(part / whole)) if whole else span("—", class_="null")

    rows: list[list[TagChild]] = [
        [
            name,
            formats.number(of[name]),
            formats.number(said_to_be[name]),
            share(right[name], said_to_be[name]),
            share(right[name], of[name]),
        ]
        for name in names[:_LABELS]
    ]
    head = [says(name) for name in ("class", "rows_of_class", "predicted_class", "class_precision", "class_recall")]
    more = len(names) - _LABELS
    return div(
        h3(says("by_class")),
        parts.table(head, rows, says("by_class"), numbers=(1, 2)),
        p(says("more_classes", n=more), class_="hint") if more > 0 else None,
    )
