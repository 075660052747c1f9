"""OpenLineage's standard as JSON schemas.

They are made from the classes of its client, which its authors generate from the standard. With the folder ``spec`` of
a copy of the standard's repository in ``OPENLINEAGE_SPEC``, events must keep the schemas there as well.
"""

import json
import os
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import attr
from jsonschema import Draft202012Validator, FormatChecker
from openlineage.client import event_v2, facet_v2
from openlineage.client.generated import base
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

# Which facets belong where in an event.
PLACES = {
    "run": (base.RunFacet, "facets"),
    "job": (base.JobFacet, "facets"),
    "dataset": (base.DatasetFacet, "facets"),
    "input": (base.InputDatasetFacet, "inputFacets"),
    "output": (base.OutputDatasetFacet, "outputFacets"),
}


def problems(event: Mapping[str, Any]) -> list[str]:
    """What in an event breaks the standard."""
    found = [_said(error) for error in _validator(event_v2.RunEvent).iter_errors(event)]
    for place, name, facet in facets(event):
        cls = _facets().get(facet.get("_schemaURL", ""))
        if cls is None:
            found.append(f"{name}: unknown schema")
        elif not issubclass(cls, PLACES[place][0]):
            found.append(f"{name}: no facet of {place}")
        else:
            found += [f"{name}: {_said(error)}" for error in _validator(cls).iter_errors(facet)]
    folder = os.environ.get("OPENLINEAGE_SPEC")
    return found + (_problems_by_files(event, Path(folder)) if folder else [])


def facets(event: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every facet of an event: its place, name and content."""
    holders = [("run", event["run"]), ("job", event["job"])]
    for side in ("input", "output"):
        for dataset in event.get(f"{side}s", ()):
            holders += [("dataset", dataset), (side, dataset)]
    for place, holder in holders:
        for name, facet in (holder.get(PLACES[place][1]) or {}).items():
            yield place, name, facet


def schema_of(cls: type[Any]) -> dict[str, Any]:
    """The JSON schema of a class of the client."""
    hints = get_type_hints(cls)
    fields = attr.fields(cls)
    return {
        "type": "object",
        "properties": {field.name: _schema(hints[field.name]) for field in fields},
        "required": [
            field.name
            for field in fields
            if field.default is attr.NOTHING or field.name in ("_producer", "_schemaURL", "producer", "schemaURL")
        ],
    }


def _schema(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), [each for each in get_args(hint) if each is not type(None)]
    if origin is UnionType:  # with None, which is left out of an event
        return _schema(arguments[0]) if len(arguments) == 1 else {"anyOf": [_schema(each) for each in arguments]}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    return _schema_of_type(hint) if isinstance(hint, type) else {}


def _schema_of_type(kind: type[Any]) -> dict[str, Any]:
    if issubclass(kind, Enum):
        return {"enum": [each.value for each in kind]}
    if kind.__module__ == base.__name__ and issubclass(kind, base.BaseFacet):
        return {"type": "object"}  # any facet: each is looked at by its own schema
    if attr.has(kind):
        return {} if kind.__name__ == "SchemaDatasetFacetFields" else schema_of(kind)  # it holds itself
    return {str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}}.get(kind, {})


def _validator(cls: type[Any]) -> Draft202012Validator:
    return Draft202012Validator(schema_of(cls))


@cache
def _facets() -> dict[str, type[Any]]:
    """The classes of facets by the address of their schema."""
    found: dict[str, type[Any]] = {}
    for module in vars(facet_v2).values():
        for cls in vars(module).values() if hasattr(module, "__name__") else ():
            if isinstance(cls, type) and issubclass(cls, base.BaseFacet) and attr.has(cls):
                address: str = getattr(cls, "_get_schema")()  # noqa: B009 - attrs' types hide it
                found[address] = cls
    return found


def _said(error: Any) -> str:
    return f"{'.'.join(map(str, error.path))}: {error.message}"


@cache
def _files(folder: Path) -> tuple[Registry[Any], dict[str, Any]]:
    paths = [folder / "OpenLineage.json", *sorted((folder / "facets").glob("*.json"))]
    contents = {content["$id"]: content for content in (json.loads(path.read_text()) for path in paths)}
    resources = [(name, Resource.from_contents(each, DRAFT202012)) for name, each in contents.items()]
    return Registry().with_resources(resources), contents


def _problems_by_files(event: Mapping[str, Any], folder: Path) -> list[str]:
    registry, contents = _files(folder)
    (main,) = (name for name in contents if name.endswith("OpenLineage.json"))

    def errors(reference: str, value: Any) -> list[str]:
        validator = Draft202012Validator({"$ref": reference}, registry=registry, format_checker=FormatChecker())
        return [_said(error) for error in validator.iter_errors(value)]

    found = errors(f"{main}#/$defs/RunEvent", event)
    for _, name, facet in facets(event):
        url = facet["_schemaURL"]
        if name not in contents[url.partition("#")[0]]["properties"]:
            found.append(f"{name} is not the name of {url}")
        found += errors(url, facet)
    return found
