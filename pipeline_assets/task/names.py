"""Names: where the pipeline's own columns step aside for a user's, and which name a misspelt one was meant to be."""

import difflib
from collections.abc import Iterable

PREFIX = "pipeline_"
_LISTED = 50


def own_name(name: str, taken: Iterable[str]) -> str:
    """What the pipeline calls one of its own columns in a table that also holds ``taken``.

    The user's columns keep their names; the pipeline's own gets a prefix if a user's column has the same name.
    Databases do not tell names apart by case, so neither does this.

    Args:
        name: the usual name, such as ``label``.
        taken: the user's columns in the same table or file.

    >>> own_name("label", ["price"]), own_name("label", ["Label"])
    ('label', 'pipeline_label')
    """
    used = {each.lower() for each in taken}
    while name.lower() in used:
        name = f"{PREFIX}{name}"
    return name


def listed(known: Iterable[str]) -> str:
    """Names for a sentence; of very many the first, because a table of a thousand columns is no sentence.

    >>> listed(["carrier", "origin"]), listed([])
    ('carrier, origin', 'none')
    """
    names = list(known)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED]) or 'none'}{more}"


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """The end of a sentence: the nearest known name, whatever its case, or nothing.

    >>> did_you_mean("carier", ["carrier", "origin"]), did_you_mean("ЦЕНА", ["Цена"]), did_you_mean("x", ["origin"])
    ('; did you mean carrier?', '; did you mean Цена?', '')
    """
    by_folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(str(given).casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[near[0]]}?" if near else ""
