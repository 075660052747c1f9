"""Why the score is what it is: in which unit, whether it is the stored one, and every feature's contribution."""

from collections.abc import Mapping
from math import isclose

from htmltools import Tag, TagChild, div, p, tags

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page import training_facts as records
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.loaded_models import Inexplicable
from pipeline_assets.mart_page.views.passport import charts as pictures
from pipeline_assets.mart_page.views.passport.queries import Prediction
from pipeline_assets.mart_page.views.passport.row_facts import PERMUTED
from pipeline_assets.ml.explanation import Explanation
from pipeline_assets.task.spec import TaskSpec

# A stored score and its explanation add the same numbers in another order, some packages in 32 bits.
_CLOSE = 1e-6


def inexplicable(says: ViewTexts, found: Inexplicable) -> Tag:
    """That the package cannot explain, and what can be done."""
    return div(
        p(says("inexplicable", package=found.package), class_="what"), p(says("inexplicable_do")), class_="notice"
    )


def lead(says: ViewTexts, formats: Formats, found: Explanation) -> str:
    """What the numbers are."""
    if found.kind == "permutation":
        return says("permutation_lead", unit=unit(says, found), rows=formats.number(PERMUTED))
    return says("contributions_lead", unit=unit(says, found))


def unit(says: ViewTexts, found: Explanation) -> str:
    """The unit of an explanation, in words."""
    key = f"unit_{found.unit}"
    return says(key) if found.of is None else says(f"{key}_of", of=found.of)


def agreement(says: ViewTexts, formats: Formats, found: Explanation, prediction: Prediction) -> TagChild:
    """Whether the stored score is the one that the explanation is of."""
    scores = prediction.scores
    if found.of is not None and found.of != scores.get("predicted_label"):
        return _agrees(says("disagrees", now=found.of, then=formats.value(scores.get("predicted_label"))), same=False)
    if found.unit == "score":
        return _agrees(says("agrees_class"), same=True)
    stored = scores.get("prediction" if found.unit in ("target", "log_target") else "probability")
    if not isinstance(stored, float):
        return None  # a kind of a third party, whose scores this page does not know
    now = pictures.own_unit(found, found.score)
    size = abs(found.base) + sum(abs(each.effect) for each in found.contributions) if found.unit == "target" else 1.0
    if isclose(now, stored, rel_tol=_CLOSE, abs_tol=_CLOSE * size):
        return _agrees(says("agrees_permuted" if found.kind == "permutation" else "agrees"), same=True)
    return _agrees(says("disagrees", now=formats.number(now), then=formats.number(stored)), same=False)


def _agrees(text: str, *, same: bool) -> Tag:
    return p(text, class_="verdict", data_agrees="yes" if same else "no")


def values_of(found: Explanation, says: ViewTexts, formats: Formats) -> Mapping[str, str]:
    """Each feature's value as the page writes it."""
    return {
        each.feature: says("missing") if records.is_missing(each.value) else formats.value(each.value)
        for each in found.contributions
    }


def contributions(says: ViewTexts, formats: Formats, task: TaskSpec, found: Explanation) -> Tag:
    """Every feature's contribution, as a table."""
    written = values_of(found, says, formats)
    rows: list[list[TagChild]] = [[says("base"), "", _effect(found.base, formats), ""]]
    rows += [
        [
            each.feature,
            written[each.feature],
            _effect(each.effect, formats),
            task.features.all[each.feature].description,
        ]
        for each in found.contributions
    ]
    head = [says("feature"), says("value"), says("adds", unit=unit(says, found)), says("meaning")]
    return tags.details(
        tags.summary(says("all_contributions")), parts.table(head, rows, says("all_contributions"), numbers=(2,))
    )


def _effect(value: float, formats: Formats) -> Tag:
    """A contribution as people read it; the tag's value holds every digit."""
    return tags.data(pictures.signed(value, formats), value=repr(value))
