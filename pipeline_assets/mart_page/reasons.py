"""Why a version was chosen, or could not be, in the reader's language: built from the facts of the record of choice.

The record holds the same sentences in English; they are shown where a record does not fit any of these cases.
"""

import re

from pipeline_assets.mart_page.choices import ChoiceMade, Looked
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts

# What a record says of a version that could not predict, and the text for it. Groups fill the text's fields.
_WHY_NOT = {
    "its training did not finish": "why_unfinished",
    "it does not say which features it takes": "why_features_unknown",
    r"it has no (?P<metric>\S+)": "why_no_metric",
    r"its (?P<metric>\S+) (?P<value>\S+) does not reach the limit (?P<limit>\S+)": "why_below_limit",
}
_DIFFER = "its features differ: "
_DIFFERENCES = {
    "not fitted on (?P<names>.+)": "why_features_missing",
    "fitted on (?P<names>.+), which the task no longer has": "why_features_gone",
    r"(?P<name>.+) was (?P<was>\S+) and is (?P<now>\S+)": "why_features_kind",
    "another order": "why_features_order",
}


def reason(choice: ChoiceMade, texts: Texts) -> str:
    """Why the version was chosen, in one sentence."""
    says, formats = texts("models"), Formats(texts.language)
    made = {
        ("champion", "train"): _after_training,
        ("champion", "predict"): _before_scoring,
        ("best_metric", "train"): _best,
        ("best_metric", "predict"): _best,
    }.get((choice.policy, choice.stage))
    if made is not None:
        return made(choice, says, formats) or choice.reason
    if choice.policy in ("latest", "version"):
        return says(f"reason_{choice.policy}", winner=choice.model_version)
    return choice.reason


def why_not(text: str, says: ViewTexts) -> str:
    """Why a version could not predict; the record's own words where they are none of the known ones."""
    if text.startswith(_DIFFER):
        found = [_told(part, _DIFFERENCES, says) or part for part in text.removeprefix(_DIFFER).split("; ")]
        return says("why_features", differences="; ".join(found))
    return _told(text, _WHY_NOT, says) or text


def _told(text: str, known: dict[str, str], says: ViewTexts) -> str | None:
    for pattern, key in known.items():
        if match := re.fullmatch(pattern, text):
            return says(key, n=None, **match.groupdict())
    return None


def _after_training(choice: ChoiceMade, says: ViewTexts, formats: Formats) -> str | None:
    winner, previous = choice.model_version, choice.previous_version
    challenger, champion = choice.newest, choice.candidate(previous)
    if challenger is None:
        return None
    if champion is None or champion.why_not is not None:
        because = [_cannot("champion_cannot", champion, says) if champion else says("no_champion")]
        if challenger.why_not is not None:
            because.append(_cannot("challenger_cannot", challenger, says))
        return says("reason_becomes", winner=winner, because=", ".join(because))
    if challenger.why_not is not None:
        cannot = _cannot("version_cannot", challenger, says)
        return says("reason_stays", winner=winner, because=cannot)
    if choice.gain is None or challenger.same_rows is None or champion.same_rows is None:
        return None
    facts = {
        "challenger": challenger.version,
        "champion": champion.version,
        "metric": choice.metric,
        "new": formats.number(round(challenger.same_rows, 4)),
        "old": formats.number(round(champion.same_rows, 4)),
    }
    if winner == challenger.version:
        return says("reason_becomes", winner=winner, because=says("better", n=None, **facts))
    because = says("no_better" if choice.gain <= 0 else "too_little", n=None, **facts)
    return says("reason_stays", winner=winner, because=because)


def _before_scoring(choice: ChoiceMade, says: ViewTexts, formats: Formats) -> str | None:  # noqa: ARG001 - as its like
    winner, champion = choice.model_version, choice.candidate(choice.previous_version)
    if winner == choice.previous_version:
        return says("reason_is_champion", winner=winner)
    if champion is None:
        return says("reason_newest", winner=winner, because=says("no_champion_now"))
    if champion.why_not is None:
        return None
    return says("reason_newest", winner=winner, because=_cannot("champion_cannot_now", champion, says))


def _best(choice: ChoiceMade, says: ViewTexts, formats: Formats) -> str | None:
    winner = choice.candidate(choice.model_version)
    if winner is None or choice.metric not in winner.metrics:
        return None
    able = sum(each.why_not is None for each in choice.candidates)
    value = formats.number(round(winner.metrics[choice.metric], 4))
    return says("reason_best", n=able, winner=winner.version, metric=choice.metric, value=value)


def _cannot(key: str, version: Looked, says: ViewTexts) -> str:
    return says(key, version=version.version, why=why_not(version.why_not or "", says))
