"""Errors written for people: what was found, what was expected, what is there instead."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager


class PipelineError(Exception):
    """A problem that a person can act on.

    The message is one sentence, then one line per known fact, in the order task, stage, batch, file, column, found,
    expected, available, do. Where ``found`` is close to something ``available``, the message asks "did you mean".

    Args:
        what: the problem in one sentence.
        facts: any of the facts named above; ``available`` is an iterable of names, the others are shown by
            ``str``. ``None`` means unknown and is left out.

    >>> print(PipelineError("no such column", column="distanse", available=["carrier", "distance"]))
    no such column
      column:    distanse
      available: carrier, distance
      did you mean: distance?
    """

    _ORDER = ("task", "stage", "batch", "file", "column", "found", "expected", "available", "do")

    def __init__(self, what: str, **facts: object) -> None:
        unknown = set(facts) - set(self._ORDER)
        if unknown:
            raise TypeError(f"facts of an error are {', '.join(self._ORDER)}, not {', '.join(sorted(unknown))}")
        self.what = what
        self.facts = {name: facts[name] for name in self._ORDER if facts.get(name) is not None}
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [self.what]
        for name, value in self.facts.items():
            shown = in_line(_names(value)) or "nothing" if name == "available" else str(value)
            lines.append(f"  {name + ':':<10} {shown}")
        wanted = self.facts.get("column", self.facts.get("found"))
        if "available" in self.facts and isinstance(wanted, str):
            near = difflib.get_close_matches(wanted, _names(self.facts["available"]), n=1)
            if near:
                lines.append(f"  did you mean: {near[0]}?")
        return "\n".join(lines)

    def located(self, facts: Mapping[str, object]) -> "PipelineError":
        """The same error with more facts, such as the task and batch, which the raising code did not know."""
        return type(self)(self.what, **{**facts, **self.facts})


# The facts of an error that come from the task and its stores. What was found may be a value of a row.
_WITHOUT_VALUES = re.compile(r"  (file|column|expected|do): ")


def without_values(text: str) -> str:
    """An error's text for those who may not see the data: its first sentence and the facts that are no values of rows.

    >>> print(without_values(str(PipelineError("no number", column="price", found="12 Main St", do="mend it"))))
    no number
      column:    price
      do:        mend it
    """
    first, *facts = text.splitlines() or [""]
    return "\n".join([first, *(line for line in facts if _WITHOUT_VALUES.match(line))])


@contextmanager
def located(facts: Mapping[str, object]) -> Iterator[None]:
    """Adds facts to every PipelineError that passes through."""
    try:
        yield
    except PipelineError as error:
        raise error.located(facts) from error


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """If a library imported inside is not installed, names the extra of this package that installs it.

    Args:
        extra: of ``pip install 'pipeline-assets[...]'``.
        what: the part that needs it, such as ``the mart page``.

    Raises:
        SettingsError: a library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == __package__:
            raise
        raise SettingsError(
            f"{what} needs libraries that are not installed",
            found=f"no module {missing.name}",
            do=f"pip install 'pipeline-assets[{extra}]'",
        ) from missing


def in_line(names: Iterable[str]) -> str:
    """Names in a line; one that holds a comma stands in quotes, or it would read as two.

    >>> print(in_line(["age", "income, €"]))
    age, "income, €"
    """
    return ", ".join(f'"{name}"' if "," in name else name for name in names)


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, Iterable) and not isinstance(value, str) else [str(value)]


class SettingsError(PipelineError):
    """An environment variable is missing or wrong."""


class TaskError(PipelineError):
    """A task's YAML describes something that cannot be built."""


class ContractError(PipelineError):
    """A file as a whole breaks its contract; none of its rows is used."""


class DataError(PipelineError):
    """A batch cannot be processed: an expression fails on it, or its stored parts do not fit together."""


class StoreError(PipelineError):
    """A store refused a request; a retry will not help."""


class TransientError(StoreError):
    """A store did not answer (network, restart, lock); a retry may help."""


class SelectionError(PipelineError):
    """No model version can predict."""
