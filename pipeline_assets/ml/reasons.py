"""Reasons of a choice as data: a code and its values. Here they become an English sentence; the page has its own."""

from dataclasses import dataclass
from typing import Any

SENTENCES = {
    # why a version cannot predict
    "unfinished": "its training did not finish",
    "other_features": "its features differ: {differences}",
    "no_fingerprints": "it was made by an older version of the pipeline; run {task}_train",
    "other_fingerprint": (
        "it was made under other {slice}: their fingerprint is {found} and the task's is {expected}; run {task}_train"
    ),
    "no_metric": "it has no {metric}",
    "below_limit": "its {metric} {value:.4f} does not reach the limit {limit:g}",
    # after a training
    "first_champion": "version {winner} becomes champion: no version was champion before",
    "champion_unfit": (
        "version {winner} becomes champion: the champion before, version {previous}, cannot predict ({why_not})"
    ),
    "challenger_unfit_no_champion": (
        "version {winner} becomes champion: no version was champion before, and version {challenger}, just trained,"
        " cannot predict ({challenger_why_not})"
    ),
    "challenger_and_champion_unfit": (
        "version {winner} becomes champion: the champion before, version {previous}, cannot predict ({why_not}), and"
        " version {challenger}, just trained, cannot predict ({challenger_why_not})"
    ),
    "challenger_unfit": "version {winner} stays champion: version {challenger} cannot predict ({why_not})",
    "no_better": (
        "version {winner} stays champion: version {challenger} is no better, {metric} {new:.4f} against {old:.4f} on"
        " {on}"
    ),
    "gain_too_small": (
        "version {winner} stays champion: version {challenger} is better by less than {minimum_gain:g}, {metric}"
        " {new:.4f} against {old:.4f} on {on}"
    ),
    "better": (
        "version {winner} becomes champion: it is better than {previous}, {metric} {new:.4f} against {old:.4f} on {on}"
    ),
    "flips_too_many": (
        "version {winner} stays champion: version {challenger} would change {flipped} of {rows} decisions of batch"
        " {batch}, {share:.2f} % against the limit {limit:g} %; pipeline-assets promote {task} {challenger} gives it"
        " the alias; without the limit: {otherwise}"
    ),
    # by a person
    "rolled_back": (
        "version {winner} becomes champion: {by} set it back from version {previous} ({words}); it stays until someone"
        " promotes a version"
    ),
    "held_from_now": "version {winner} stays champion until someone promotes a version: {by} holds it ({words})",
    "promoted": "version {winner} becomes champion: {by} promoted it over version {previous} ({words})",
    "promoted_first": "version {winner} becomes champion: {by} promoted it ({words}); no version was champion before",
    "confirmed": "version {winner} stays champion: {by} promoted it ({words}); trainings may replace it again",
    "held": "version {winner} is champion: {by} holds it since {since} ({words})",
    "held_against": (
        "version {winner} stays champion: {by} holds it since {since} ({words}), until someone runs pipeline-assets"
        " promote {task}; otherwise: {otherwise}"
    ),
    # before scoring, and with the other policies
    "champion": "version {winner} is champion",
    "no_champion": "no version is champion, and version {winner} is the newest that can predict",
    "champion_cannot": (
        "the champion, version {previous}, cannot predict ({why_not}), and version {winner} is the newest that can"
    ),
    "best": "version {winner} has the best {metric} {value:.4f} of {count} that can predict",
    "newest": "version {winner} is the newest that can predict",
    "named": "version {winner} is the one that the task names",
}


@dataclass(frozen=True, init=False)
class Reason:
    """A reason.

    Args:
        code: a key of :data:`SENTENCES`.
        values: of the sentence's fields; a value may be a reason itself.
    """

    code: str
    values: dict[str, Any]

    def __init__(self, code: str, **values: Any) -> None:
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "values", values)

    @property
    def sentence(self) -> str:
        """The reason as an English sentence."""
        shown = {name: each.sentence if isinstance(each, Reason) else each for name, each in self.values.items()}
        return SENTENCES[self.code].format(**shown)

    def to_json(self) -> dict[str, Any]:
        """As plain values: ``code`` and ``values``; a value that is a reason is converted too."""
        values = {name: each.to_json() if isinstance(each, Reason) else each for name, each in self.values.items()}
        return {"code": self.code, "values": values}
