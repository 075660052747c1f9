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
            TagList(why(each, says), tags.ul(*map(tags.li, elsewhere)) if (elsewhere := _elsewhere(each)) else None),
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


def why(made: Reproduced, says: ViewTexts) -> str:
    """Why the verdict is as it is; in English, as the mart has it, where the version could not be made again at all."""
    key = f"why_{made.verdict.replace(' ', '_')}"
    if key not in says or (made.step is None and "{place}" in says(key)):
        return made.because
    return says(key, place="" if made.step is None else _place(made, says))


def _place(made: Reproduced, says: ViewTexts) -> str:
    """Where the first difference is, and both values."""
    step = says(f"step_{made.step}") if f"step_{made.step}" in says else made.step
    numbered = says("place_trial" if made.step == "search" else "place_row", number=made.row_number)
    row = "" if made.row_number is None else f", {numbered}"
    return says("place", step=step, column=made.column_name, row=row, found=made.found, expected=made.expected)


def _elsewhere(made: Reproduced) -> list[str]:
    """What was other than at training, in English, as the mart has it."""
    return [*(json.loads(made.environment) or {}).values()]
