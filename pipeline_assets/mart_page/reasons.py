"""Why a version was chosen, or could not be, in the reader's language: from the codes and values in the records.

Records of former versions of the pipeline have no codes: theirs follow from the record's other facts. A reason of which
the page knows no text is shown in English, as the record has it.
"""

import re
from collections.abc import Mapping
from typing import Any

from pipeline_assets.mart_page.choices import Because, ChoiceMade, Looked, because
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts

_DIGITS = 4  # of a metric
# What a former version of the pipeline says of a version that cannot predict.
_WHY_NOT = {
    "its training did not finish": "unfinished",
    r"it has no (?P<metric>\S+)": "no_metric",
    r"its (?P<metric>\S+) (?P<value>[\d.]+) does not reach the limit (?P<limit>[\d.]+)": "below_limit",
    "its features differ: (?P<differences>.+)": "other_features",
}
_DIFFERENCES = {
    "not fitted on (?P<names>.+)": "features_missing",
    "fitted on (?P<names>.+), which the task no longer has": "features_gone",
    r"(?P<name>.+) was (?P<was>\S+) and is (?P<now>\S+)": "feature_kind",
    "another order": "features_order",
}


def reason(choice: ChoiceMade, texts: Texts) -> str:
    """Why the version was chosen, in one sentence."""
    says = texts("models")
    found = choice.because or _derived(choice)
    known = found is not None and f"reason_{found.code}" in says
    return _sentence(found, choice, says) if found is not None and known else choice.reason


def why_not(version: Looked, says: ViewTexts) -> str:
    """Why a version could not predict; empty if it could."""
    found = version.because or _parsed(version.why_not or "")
    known = found is not None and f"reason_{found.code}" in says
    return _sentence(found, None, says) if found is not None and known else version.why_not or ""


def _sentence(found: Because, choice: ChoiceMade | None, says: ViewTexts) -> str:
    values = {name: _value(name, value, choice, says) for name, value in found.values.items()}
    if choice is not None:
        values["on"] = _rows(choice.judged_on, says)
    return says(f"reason_{found.code}", n=None, **values)


def _value(name: str, value: Any, choice: ChoiceMade | None, says: ViewTexts) -> str:
    inner = because(value)
    if inner is not None:
        return _sentence(inner, choice, says)
    if name == "differences":
        parts = [(part, _match(part, _DIFFERENCES)) for part in str(value).split("; ")]
        return "; ".join(says(found.code, n=None, **found.values) if found else part for part, found in parts)
    if name == "slice":
        return says(f"slice_{value}") if f"slice_{value}" in says else str(value)
    return Formats(says.language).number(round(value, _DIGITS)) if isinstance(value, float) else str(value)


def _rows(judged_on: Mapping[str, Any] | None, says: ViewTexts) -> str:
    """The rows on which champion and challenger were compared."""
    if judged_on is None:
        return says("on_same_rows")
    key = "on_learned_rows" if judged_on["learned"] else "on_unseen_rows"
    return says(key, n=judged_on["rows"], learned=Formats(says.language).number(judged_on["learned"]))


def _derived(choice: ChoiceMade) -> Because | None:
    """The reason of a record without a code."""
    winner: dict[str, Any] = {"winner": choice.model_version}
    if choice.policy == "champion":
        made = _after_training if choice.stage == "train" else _before_scoring
        return made(choice, winner)
    if choice.policy == "best_metric":
        best = choice.candidate(choice.model_version)
        if best is None or choice.metric not in best.metrics:
            return None
        count = sum(each.why_not is None for each in choice.candidates)
        return Because(
            "best", {**winner, "metric": choice.metric, "value": best.metrics[choice.metric], "count": count}
        )
    codes = {"latest": "newest", "version": "named"}
    return Because(codes[choice.policy], winner) if choice.policy in codes else None


def _after_training(choice: ChoiceMade, winner: dict[str, Any]) -> Because | None:
    challenger, champion = choice.newest, choice.candidate(choice.previous_version)
    if challenger is None:
        return None
    if champion is None or champion.why_not is not None:
        return _without_champion(challenger, champion, winner)
    both = {**winner, "challenger": challenger.version, "previous": champion.version}
    if challenger.why_not is not None:
        return Because("challenger_unfit", {**both, "why_not": _inner(challenger)})
    if choice.gain is None or challenger.same_rows is None or champion.same_rows is None:
        return None
    against = {**both, "metric": choice.metric, "new": challenger.same_rows, "old": champion.same_rows}
    if choice.model_version == challenger.version:
        return Because("better", against)
    return Because("no_better" if choice.gain <= 0 else "gain_too_small", against)


def _without_champion(challenger: Looked, champion: Looked | None, winner: dict[str, Any]) -> Because:
    before = {} if champion is None else {"previous": champion.version, "why_not": _inner(champion)}
    if challenger.why_not is None:
        return Because("first_champion" if champion is None else "champion_unfit", {**winner, **before})
    unfit = {"challenger": challenger.version, "challenger_why_not": _inner(challenger)}
    code = "challenger_unfit_no_champion" if champion is None else "challenger_and_champion_unfit"
    return Because(code, {**winner, **before, **unfit})


def _before_scoring(choice: ChoiceMade, winner: dict[str, Any]) -> Because | None:
    champion = choice.candidate(choice.previous_version)
    if choice.model_version == choice.previous_version:
        return Because("champion", winner)
    if champion is None:
        return Because("no_champion", winner)
    if champion.why_not is None:
        return None
    return Because("champion_cannot", {**winner, "previous": champion.version, "why_not": _inner(champion)})


def _inner(version: Looked) -> object:
    """Why a version could not predict, as a reason inside another."""
    found = _parsed(version.why_not or "")
    return version.why_not if found is None else {"code": found.code, "values": found.values}


def _parsed(text: str) -> Because | None:
    found = _match(text, _WHY_NOT)
    if found is None:
        return None
    numbers = {name: float(value) for name, value in found.values.items() if name in ("value", "limit")}
    return Because(found.code, {**found.values, **numbers})


def _match(text: str, known: Mapping[str, str]) -> Because | None:
    for pattern, code in known.items():
        if match := re.fullmatch(pattern, text):
            return Because(code, match.groupdict())
    return None
