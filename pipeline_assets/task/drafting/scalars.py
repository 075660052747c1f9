"""YAML scalars and lines with comments, as a person would write them."""

import json
import re
from collections.abc import Iterable
from typing import Any

from pipeline_assets.task.drafting.words import lines

WIDTH = 118
# Text that needs no quotes within braces and brackets, and within neither.
_PLAIN_IN_FLOW = re.compile(r"[^\W\d][\w./-]*( [\w./()+*%-]+)*")
_PLAIN = re.compile(r"[^\W\d]([^\n:#\\]|:(?=\S)|(?<=\S)#)*(?<!\s)")
# What YAML 1.1 reads as something else than text, in any case of letters.
_RESERVED = frozenset(("yes", "no", "on", "off", "true", "false", "null"))
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def scalar(value: Any, *, in_flow: bool = False) -> str:
    r"""A value as YAML.

    Args:
        value: text, a number, true or false.
        in_flow: whether it stands in braces or brackets.

    >>> scalar("mod(a, 2)"), scalar("NO"), scalar('"hours per week" > 40'), scalar("a: b"), scalar(True)
    ('mod(a, 2)', '"NO"', '\'"hours per week" > 40\'', '"a: b"', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value)
    text = str(value)
    bad = _UNPRINTABLE.search(text)
    plain = _PLAIN_IN_FLOW if in_flow else _PLAIN
    if not bad and plain.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    if bad:
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def _number(value: float) -> str:
    # YAML 1.1 needs a dot in a number with an exponent; 1e-05 would be text.
    text = repr(value)
    return text if "e" not in text or "." in text else text.replace("e", ".0e")


def flow(pairs: dict[str, Any]) -> str:
    """A mapping in braces.

    >>> flow({"type": "int64", "nullable": True})
    '{type: int64, nullable: true}'
    """
    return "{" + ", ".join(f"{scalar(key, in_flow=True)}: {listed(value)}" for key, value in pairs.items()) + "}"


def listed(value: Any) -> str:
    """A scalar within braces, or a list in brackets."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(scalar(one, in_flow=True) for one in value)}]"
    return scalar(value, in_flow=True)


def with_comment(line: str, comment: str, column: int = 0) -> list[str]:
    """A line with its comment behind it, or above it where both are too long for one line.

    Args:
        line: the YAML, indented.
        comment: why, and what else; may be empty.
        column: where comments start, if the line ends before.
    """
    if not comment:
        return [line]
    for start in (column, 0):
        together = f"{line.ljust(start)}  # {comment}"
        if len(together) <= WIDTH:
            return [together]
    indent = " " * (len(line) - len(line.lstrip()))
    return [*comment_lines(comment, indent), line]


def comment_lines(text: str, indent: str) -> list[str]:
    """A comment in lines of its own."""
    return [f"{indent}# {each}" for each in lines(text, WIDTH - len(indent) - 2)]


def aligned(pairs: Iterable[tuple[str, str, str]], indent: str) -> list[str]:
    """Lines ``key: value  # comment``, the comments of neighbours below each other.

    Args:
        pairs: key and value as YAML, and the comment.
        indent: before each.
    """
    rows = [(f"{indent}{key}: {value}", comment) for key, value, comment in pairs]
    short = [len(line) for line, comment in rows if len(line) + len(comment) + 4 <= WIDTH]
    column = min(max(short, default=0), 48)
    return [line for row in rows for line in with_comment(*row, column)]
