"""Whether a version could be made again from its record: a badge, and each time that it was tried."""

import json
from collections.abc import Mapping, Sequence

from htmltools import Tag, TagChild, TagList, p, tags

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page import training_facts as records_of
from pipeline_assets.mart_page.language import ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.views.models.queries import Reproduced

# A sign says the same as the words, and as the colour.
_SIGNS = {"identical": "✓", "equal within tolerance": "≈", "different": "✗"}


def badge(made: Sequence[Reproduced], says: ViewTexts) -> Tag | None:
    """The last verdict on a version; ``None`` if it was never made again."""
    if not made:
        return None
    last = made[0]
    kind = {"✓": "good", "≈": "good", "✗": "bad"}.get(_SIGNS.get(last.verdict, "?"), "unknown")
    return tags.span(f"{_SIGNS.get(last.verdict, '?')} {_verdict(last, says)}", class_=f"badge-verdict {kind}")


def badges(known: Mapping[int, Sequence[Reproduced]], says: ViewTexts) -> dict[int, TagChild]:
    """The last verdict by version."""
    return {version: badge(made, says) for version, made in known.items()}


def section(page: Page, version: int, known: Mapping[int, Sequence[Reproduced]], says: ViewTexts) -> TagChild:
    """Each time that a version was made again; without any, how to do it."""
    made = known.get(version, ())
    if not made:
        command = tags.code(f"pipeline-assets reproduce {page.task().name} {version}")
        return p(says("never_reproduced"), " ", command, class_="says")
    rows: list[list[TagChild]] = [
        [
            badge([each], says),
            TagList(each.because, tags.ul(*map(tags.li, _elsewhere(each)))) if _elsewhere(each) else each.because,
            page.formats.moment(each.reproduced_at),
            records_of.dagster_run(page, each.run_id),
        ]
        for each in made
    ]
    head = [says("verdict"), says("because"), says("when"), says("dagster_run")]
    return parts.table(head, rows, says("reproductions"))


def _verdict(made: Reproduced, says: ViewTexts) -> str:
    key = f"verdict_{made.verdict.replace(' ', '_')}"
    return says(key) if key in says else made.verdict


def _elsewhere(made: Reproduced) -> list[str]:
    """What was other than at training, where the sentence does not say it already."""
    texts = (json.loads(made.environment) or {}).values()
    return [text for text in texts if text not in made.because]
