"""Names of the pipeline's own columns that avoid users' names, and suggestions for misspelt names."""

import difflib
from collections.abc import Iterable

from pipeline_assets.errors import in_line

PREFIX = "pipeline_"
_LISTED = 50


def own_name(name: str, taken: Iterable[str]) -> str:
    """The name of one of the pipeline's own columns in a table that also has the columns ``taken``.

    The user's columns keep their names; the pipeline's own gets a prefix if a user's column has the same name.
    Names that differ only by case count as the same, as in databases.

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
    """Names for a sentence; only the first ones if there are very many.

    >>> listed(["carrier", "origin"]), listed([])
    ('carrier, origin', 'none')
    """
    names = list(known)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{in_line(names[:_LISTED]) or 'none'}{more}"


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """The end of a sentence: the nearest known name, ignoring case, or nothing.

    >>> did_you_mean("carier", ["carrier", "origin"]), did_you_mean("ЦЕНА", ["Цена"]), did_you_mean("x", ["origin"])
    ('; did you mean carrier?', '; did you mean Цена?', '')
    """
    by_folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(str(given).casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[near[0]]}?" if near else ""
