"""The parts of the reference that are read from the source: keys of a task, environment variables."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from pipeline_assets.components.ml_task import MLTask
from pipeline_assets.settings import VARIABLES

MEANINGS = Path(__file__).parent / "environment.yaml"
_KEYS = {"en": ("key", "value", "default"), "ru": ("ключ", "значение", "по умолчанию")}
_VARIABLES = {"en": ("variable", "meaning", "default"), "ru": ("переменная", "смысл", "по умолчанию")}
_MUST = {"en": "must be given", "ru": "обязателен"}


class Key(NamedTuple):
    """A key of a task's YAML.

    Attributes:
        path: the keys that lead to it, with dots; a name that the task gives is ``<name>``.
        value: what the schema allows.
        default: as JSON would write it; ``None`` for a key that must be given.
    """

    path: str
    value: str
    default: str | None


def keys_of_a_task() -> list[Key]:
    """Every key of ``attributes``, from the component's schema, in the order of the schema."""
    schema = MLTask.get_model_cls().model_json_schema()
    return list(_keys(schema, schema["$defs"], ""))


def _keys(schema: Mapping[str, Any], shared: Mapping[str, Any], before: str) -> Iterator[Key]:
    required = schema.get("required", [])
    for name, given in schema.get("properties", {}).items():
        forms = list(_forms(given, shared))
        default = None if name in required else _shown(given.get("default"))
        path = f"{before}{name}"
        yield Key(path, " / ".join(dict.fromkeys(_value(form) for form in forms)), default)
        for form in forms:
            yield from _keys(form, shared, f"{path}.")
            if isinstance(named := form.get("additionalProperties"), dict):
                for one in _forms(named, shared):
                    yield from _keys(one, shared, f"{path}.<name>.")


def _forms(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a value may be: alternatives one by one, references followed, null left out."""
    if "$ref" in schema:
        yield from _forms(shared[schema["$ref"].rpartition("/")[2]], shared)
    elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
        for one in alternatives:
            yield from _forms(one, shared)
    elif schema.get("type") != "null":
        yield schema


def _value(schema: Mapping[str, Any]) -> str:
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "any")
    if kind == "array" and (items := schema.get("items")):
        kind = f"list of {items.get('type', 'any')}"
    if kind == "object":
        kind = "mapping"
    signs = {"minimum": "≥ ", "exclusiveMinimum": "> ", "maximum": "≤ ", "exclusiveMaximum": "< "}
    bounds = [f"{sign}{schema[name]:g}" for name, sign in signs.items() if name in schema]
    return ", ".join([kind, *bounds])


def _shown(default: object) -> str:
    if default is None or default in ({}, [], ""):
        return ""
    if isinstance(default, dict):
        return ""  # its keys have rows of their own
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def meanings(language: str) -> dict[str, str]:
    """What each environment variable means, in one language."""
    told: dict[str, dict[str, str]] = yaml.safe_load(MEANINGS.read_text(encoding="utf-8"))
    return {name: texts[language] for name, texts in told.items()}


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


class TaskKeys(SphinxDirective):
    """The table of every key of a task."""

    def run(self) -> list[nodes.Node]:
        """The table as nodes."""
        language = self.config.language
        rows = [
            (f"`{key.path}`", key.value, _MUST[language] if key.default is None else key.default)
            for key in keys_of_a_task()
        ]
        return self.parse_text_to_nodes(_table(_KEYS[language], rows))


class Environment(SphinxDirective):
    """The table of every environment variable that the settings read."""

    def run(self) -> list[nodes.Node]:
        """The table as nodes."""
        told = meanings(self.config.language)
        rows = [(f"`{name}`", told[name], f"`{default}`" if default else "") for name, default in VARIABLES.items()]
        return self.parse_text_to_nodes(_table(_VARIABLES[self.config.language], rows))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Sphinx's door."""
    app.add_directive("task-keys", TaskKeys)
    app.add_directive("environment", Environment)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
