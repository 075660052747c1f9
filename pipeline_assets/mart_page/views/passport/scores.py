"""What a model said of a row, by the kind of the task."""

from collections.abc import Mapping
from typing import Any

from htmltools import Tag, TagChild, TagList, tags

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.monitoring.truth import form_of
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec

_CLASSES = 10  # that are shown, the most probable ones


def facts(says: ViewTexts, formats: Formats, task: TaskSpec, scores: Mapping[str, Any]) -> dict[str, TagChild]:
    """The scores as a list of facts; those of a third party's kind as they are, with the kind's own words."""
    form, target = form_of(task), task.target
    what = target.description or target.expression
    if form == "binary":
        key = "probability_of" if target.positive is None else "probability_of_positive"
        return {
            says("probability"): _probability(
                formats, scores["probability"], says(key, what=what, positive=formats.value(target.positive))
            ),
            **(
                {says("predicted_label"): _predicted(says, formats, task, scores)}
                if "predicted_label" in scores
                else {}
            ),
            **_others(formats, task, scores, ("probability", "predicted_label")),
        }
    if form == "multiclass":
        label = formats.value(scores["predicted_label"])
        found: dict[str, TagChild] = {says("predicted_class"): tags.strong(label, data_score=scores["predicted_label"])}
        if "probability" in scores:
            of_label = says("probability_of_class", label=label, what=what)
            found[says("probability")] = _probability(formats, scores["probability"], of_label)
        return {**found, **_others(formats, task, scores, ("predicted_label", "probability", "probabilities"))}
    if form == "regression":
        value = scores["prediction"]
        shown = TagList(
            tags.strong(formats.number(value), data_score=repr(value)),
            tags.br(),
            tags.small(says("prediction_of", what=what)),
        )
        return {says("prediction"): shown, **_others(formats, task, scores, ("prediction",))}
    return _others(formats, task, scores, ())


def classes(says: ViewTexts, formats: Formats, task: TaskSpec, scores: Mapping[str, Any]) -> TagChild:
    """The most probable classes with their probabilities; nothing for kinds without any."""
    found = scores.get("probabilities")
    if form_of(task) != "multiclass" or not isinstance(found, Mapping):
        return None
    ordered = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    rows: list[list[TagChild]] = [[name, parts.bar(share, formats.share(share))] for name, share in ordered[:_CLASSES]]
    rest = ordered[_CLASSES:]
    if rest:
        share = sum(value for _, value in rest)
        rows.append([says("other_classes", n=len(rest)), parts.bar(share, formats.share(share))])
    return parts.table([says("class"), says("probability")], rows, says("classes"))


def _probability(formats: Formats, value: float, of: str) -> TagChild:
    return TagList(
        tags.strong(formats.share(value), data_probability=repr(value)),
        f" ({formats.number(value)})",
        tags.br(),
        tags.small(of),
    )


def _predicted(says: ViewTexts, formats: Formats, task: TaskSpec, scores: Mapping[str, Any]) -> str:
    label, positive = scores["predicted_label"], task.target.positive
    if positive is None:
        return formats.value(label)
    return says("predicted_positive" if label else "predicted_other", positive=formats.value(positive))


def _others(formats: Formats, task: TaskSpec, scores: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, TagChild]:
    """Score columns that this page knows nothing of."""
    described = plugins.kind(task.target.kind).score_descriptions
    return {
        name: TagList(formats.value(value), *_note(described.get(name, "")))
        for name, value in scores.items()
        if name not in known
    }


def _note(text: str) -> list[Tag]:
    return [tags.br(), tags.small(text)] if text else []
