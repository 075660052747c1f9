"""Names of the pipeline's own columns beside a user's: where a user's column has one, the pipeline's steps aside."""

from collections.abc import Iterable

PREFIX = "pipeline_"


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
