"""Words in names, and values and shares as comments say them."""

import re
from collections.abc import Iterable
from typing import Any

_SHOWN = 30
_BOUNDARY = re.compile(r"(?<=[a-zа-яё])(?=[A-ZА-ЯЁ])|[\W_]+|(?<=\D)(?=\d)|(?<=\d)(?=\D)")


def words(name: str) -> list[str]:
    """The words of a name, in lower case.

    >>> words("customerID"), words("Дата рождения"), words("dep_time2")
    (['customer', 'id'], ['дата', 'рождения'], ['dep', 'time', '2'])
    """
    return [word.lower() for word in _BOUNDARY.split(name) if word]


def has_word(name: str, known: Iterable[str]) -> bool:
    """Whether a name has one of some words.

    >>> has_word("star_rating", ("rating",)), has_word("operating", ("rating",))
    (True, False)
    """
    return bool(set(words(name)) & set(known))


def shown(value: Any) -> str:
    r"""A value as a comment shows it: in one line, not too long.

    >>> shown("a\nb"), shown(1.0), shown("")
    ('a␊b', '1', "''")
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004
        value = int(value)
    text = str(value)
    if not text.strip():
        return repr(text)
    plain = "".join(_plain(character) for character in text[: _SHOWN + 1])
    return plain if len(text) <= _SHOWN else f"{plain[:_SHOWN]}…"


def _plain(character: str) -> str:
    if character < " ":
        return chr(0x2400 + ord(character))  # pictures of control characters
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def percent(share: float) -> str:
    """A share for a sentence; what is not quite nothing or everything is not said to be.

    >>> percent(0.1234), percent(0.0004), percent(0.9999), percent(1.0)
    ('12 %', 'under 1 %', 'over 99 %', '100 %')
    """
    if 0 < share < 0.01:  # noqa: PLR2004
        return "under 1 %"
    if 0.99 < share < 1:  # noqa: PLR2004
        return "over 99 %"
    return f"{share * 100:.0f} %"


def lines(text: str, width: int) -> list[str]:
    """A sentence broken into lines of at most ``width`` characters where it has spaces."""
    import textwrap

    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
