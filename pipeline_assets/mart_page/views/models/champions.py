"""Who was champion when and by whose decision, and what the latest challenger changes in a batch."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from htmltools import TagChild, TagList, p, tags

from pipeline_assets.mart_page import parts, reasons
from pipeline_assets.mart_page.choices import ChoiceMade, Record
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.page import Page


def history(page: Page, known: Record, says: ViewTexts, formats: Formats) -> TagChild:
    """Who was champion from when on, and by whose decision, the latest first."""
    if not known.changes:
        return None
    version = partial(page.route().at, view="models")
    rows: list[list[TagChild]] = [
        [
            formats.moment(each.chosen_at),
            page.link(str(each.model_version), version(version=each.model_version)),
            "" if each.previous_version is None else str(each.previous_version),
            by_whom(each, says),
            reasons.reason(each, page.texts),
        ]
        for each in known.changes
    ]
    head = [says("since"), says("champion_version"), says("previous"), says("decided_by"), says("reason")]
    count = len(known.changes)
    return tags.details(tags.summary(says("history", n=count)), parts.table(head, rows, says("champions")))


def by_whom(choice: ChoiceMade, says: ViewTexts) -> str:
    """Which run or which person chose."""
    if choice.chosen_by is not None:
        return says("by_person", name=choice.chosen_by)
    return says("by_prediction" if choice.stage == "predict" else "by_training", batch=choice.batch)


def latest_challenge(page: Page, known: Record, says: ViewTexts, formats: Formats) -> TagChild:
    """What the last challenger that was compared on a predict batch changes in it, or has changed."""
    choice = next((each for each in known.trainings if each.difference is not None), None)
    if choice is None or choice.difference is None:
        return None
    found = choice.difference
    words = says(
        "difference_lead",
        n=found["flipped"],
        challenger=found["challenger"],
        champion=found["champion"],
        rows=formats.number(found["rows"]),
        of=formats.number(found["of"]),
        batch=found["batch"],
        share=formats.share(found["share"]),
    )
    opened = page.link(found["batch"], page.route().at(view="output", batch=found["batch"], version=None))
    return tags.details(
        tags.summary(says("difference", challenger=found["challenger"], share=formats.share(found["share"]))),
        p(words, " ", says("difference_batch"), " ", opened, class_="says"),
        _ways(found["ways"], found["flipped"], says, formats),
        _segments(found["segments"], says, formats),
        _changed(found["changed"], says, formats),
    )


def _ways(ways: Sequence[Mapping[str, Any]], flipped: int, says: ViewTexts, formats: Formats) -> TagChild:
    rows: list[list[TagChild]] = [
        [
            says(f"way_{each['way']}") if f"way_{each['way']}" in says else each["way"],
            formats.number(each["rows"]),
            parts.bar(each["rows"] / flipped, formats.share(each["rows"] / flipped)),
        ]
        for each in ways
    ]
    head = [says("way"), says("rows"), says("share_of_flips")]
    return parts.table(head, rows, says("ways"), numbers=(1,)) if rows else None


def _segments(segments: Sequence[Mapping[str, Any]], says: ViewTexts, formats: Formats) -> TagChild:
    rows: list[list[TagChild]] = [
        [
            tags.code(each["feature"]),
            each["value"] or tags.em(says("empty_text"), class_="null"),
            formats.number(each["rows"]),
            formats.number(each["flipped"]),
            parts.bar(each["flipped"] / each["rows"], formats.share(each["flipped"] / each["rows"])),
        ]
        for each in segments
    ]
    if not rows:
        return None
    head = [says("feature"), says("value"), says("rows"), says("flipped"), says("flip_share")]
    return TagList(tags.h5(says("by_segment")), parts.table(head, rows, says("by_segment"), numbers=(2, 3)))


def _changed(changed: Sequence[Mapping[str, Any]], says: ViewTexts, formats: Formats) -> TagChild:
    if not changed:
        return None
    names = list(changed[0]["champion"])
    rows: list[list[TagChild]] = [
        [
            str(each["row_number"]),
            *(
                f"{_shown(each['champion'][name], formats)} → {_shown(each['challenger'][name], formats)}"
                for name in names
            ),
        ]
        for each in changed
    ]
    return TagList(
        tags.h5(says("most_changed")), parts.table([says("row"), *names], rows, says("most_changed"), numbers=(0,))
    )


def _shown(value: Any, formats: Formats) -> str:
    return formats.number(round(value, 4)) if isinstance(value, float) else str(value)
