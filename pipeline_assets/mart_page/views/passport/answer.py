"""The passport's answer: what was decided of the row, its score, the version, and the features that moved it most."""

from collections.abc import Sequence

from htmltools import Tag, TagChild, TagList, div, p, span, tags

from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.views.passport import charts as pictures
from pipeline_assets.mart_page.views.passport import explained
from pipeline_assets.mart_page.views.passport.queries import MartRows
from pipeline_assets.mart_page.views.passport.raw_row import RawRow
from pipeline_assets.mart_page.views.passport.row_facts import Row
from pipeline_assets.ml.explanation import Contribution, Explanation
from pipeline_assets.monitoring.truth import form_of

_REASONS = 3  # features that the answer names


def answer(page: Page, at: Row, found: RawRow, marts: MartRows) -> Tag:
    """What was decided, the score and the version; why there is none where there is none."""
    says, formats = page.texts("passport"), page.formats
    if not found.accepted:
        return _answer("bad", says("answer_rejected"), found.reason or "")
    prediction = marts.prediction
    if prediction is None:
        return _answer(
            "unknown", says("answer_accepted"), says("trained_from" if at.ref.stage == "train" else "no_prediction")
        )
    decided = prediction.decision
    if decided is None:
        decided = not at.task.output.where or None
    said = says("answer_scored") if decided is None else says("answer_yes" if decided else "answer_no")
    kind = "unknown" if decided is None else "good" if decided else "quiet"
    version = page.link(
        says("version_number", version=prediction.model_version),
        page.route().at(view="models", version=prediction.model_version, batch=None, row=None, stage=None),
    )
    when = says("answer_when", when=formats.moment(prediction.predicted_at))
    more = TagList(_of_rule(at, says), p(version, ", ", when, class_="by"))
    return _answer(kind, said, more, score=_score(says, formats, at, marts))


def _answer(kind: str, said: str, more: TagChild, *, score: TagChild = None) -> Tag:
    return div(div(tags.strong(said, class_="said"), more), score, class_=f"answer {kind}")


def _of_rule(at: Row, says: ViewTexts) -> TagChild:
    return p(says("answer_rule"), " ", tags.code(at.task.output.where)) if at.task.output.where else None


def _score(says: ViewTexts, formats: Formats, at: Row, marts: MartRows) -> TagChild:
    """The main number or class, large."""
    form, target = form_of(at.task), at.task.target
    scores = {} if marts.prediction is None else marts.prediction.scores
    what = target.description or target.expression
    if form == "binary":
        key = "probability_of" if target.positive is None else "probability_of_positive"
        positive = formats.value(target.positive)
        return _large(formats.share(scores["probability"]), says(key, what=what, positive=positive))
    if form == "multiclass":
        label = formats.value(scores["predicted_label"])
        sure = formats.share(scores["probability"]) if "probability" in scores else ""
        return _large(label, f"{says('probability')}: {sure}" if sure else what)
    if form == "regression":
        return _large(formats.number(scores["prediction"]), says("prediction_of", what=what))
    return None  # a third party's kind: its scores are below


def _large(value: str, what: str) -> Tag:
    return div(span(value, class_="large"), tags.small(what), class_="score")


def because(says: ViewTexts, formats: Formats, found: Explanation) -> Tag | None:
    """The features that moved the score most, in one sentence each way."""
    written = explained.values_of(found, says, formats)
    largest: Sequence[Contribution] = sorted(found.contributions, key=lambda each: -abs(each.effect))[:_REASONS]
    moved = [each for each in largest if each.effect]
    if not moved:
        return None
    items = [
        tags.li(
            span("▲" if each.effect > 0 else "▼", aria_hidden="true", class_="up" if each.effect > 0 else "down"),
            " ",
            tags.strong(f"{each.feature} = {written[each.feature]}"),
            " ",
            says("answer_raises" if each.effect > 0 else "answer_lowers", by=pictures.signed(each.effect, formats)),
        )
        for each in moved
    ]
    return div(p(says("answer_why", unit=explained.unit(says, found))), tags.ul(*items), class_="answer-why")
