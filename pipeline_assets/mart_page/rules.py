"""Names of the contract's rules in the reader's language; records hold them in English."""

import re

from pipeline_assets.mart_page.language import ViewTexts

# In the order of trying: a column's name may hold anything, so a pattern takes the last match.
_KNOWN = {
    r"key \((?P<column>.+)\): repeats": "rule_repeats",
    r"(?P<column>.+): null": "rule_null",
    r"(?P<column>.+): not allowed": "rule_allowed",
    r"(?P<column>.+?): breaks (?P<what>.+)": "rule_breaks",
    r"(?P<column>.+): not (?P<what>\S.*)": "rule_type",
}


def rule(name: str, says: ViewTexts) -> str:
    """A rule's name in the language of the texts of the view ``batches``; a name of an unknown form stays as it is."""
    for pattern, key in _KNOWN.items():
        if match := re.fullmatch(pattern, name, re.DOTALL):
            return says(key, n=None, **match.groupdict())
    return name
