"""What is written as YAML is read as it was."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.task.drafting.scalars import WIDTH, flow, scalar, with_comment

# Names of columns may be anything that is Unicode; a key of YAML has at most 1024 characters.
ODD = [
    "NO", "yes", "y", "null", "~", "1", "1.5", "1e3", "0x1f", "1_000", "2024-01-01", "12:30:45", ".inf", "=", "<<",
    "a: b", "a #b", "- x", "? x", "[x]", "{x}", "&a", "*a", "!a", "%a", "@a", "`a", "|", ">", "'", '"', "\\", " a ",
    "a:", "\ufeff", "true", "Off", "a\u2028b", "a\x85b", "\N{PARTY POPPER}", "a, b", "it's", 'say "hi"',
]  # fmt: skip
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200) | st.sampled_from(ODD)


def read(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one


@given(TEXTS)
def test_any_text_comes_back(text: str) -> None:
    assert read(f"a: {scalar(text)}\n") == {"a": text}
    assert read(f"{scalar(text)}: 1\n") == {text: 1}
    assert read(f"a: {flow({'type': text, 'allowed': [text, 'b']})}\n") == {"a": {"type": text, "allowed": [text, "b"]}}


@given(st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_comes_back(value: float) -> None:
    found = read(f"a: {scalar(value)}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["education", "Цена", "seen at", "isodow(signed_up)", "hour(t) * 60 + minute(t)"])
def test_what_needs_no_quotes_has_none(text: str) -> None:
    assert scalar(text) == text


def test_a_comment_stands_behind_its_line_or_above_it() -> None:
    assert with_comment("  a: b", "why", 10) == ["  a: b      # why"]
    above = with_comment("  a: b", "why " * 50)
    assert above[-1] == "  a: b"
    assert all(line.startswith("  # why") and len(line) <= WIDTH for line in above[:-1])
