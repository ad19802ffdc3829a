"""JSON Schemas of what gatewatch's topics hold, made from the types that the records are encoded from.

What a field means is said once, in the docstring of its type, and comes from there.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from featurizer.calls import ApiCall
from scorer.feedback import SessionLabel
from stream.encodings.ecs_objects import EcsAlert
from stream.encodings.ocsf_finding import DetectionFinding
from stream.suppression_records import RuleRecord
from stream.wire import FeatureRecord

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
RECORDS: Final[Mapping[str, type]] = {
    "alert-ocsf": DetectionFinding,
    "alert-ecs": EcsAlert,
    "api-call": ApiCall,
    "features": FeatureRecord,
    "label": SessionLabel,
    "suppression-rule": RuleRecord,
}
"""Types of the records that are JSON, by name of their schema."""

_ATTRIBUTE: Final = re.compile(r"^ {4}([@\w]+): (.*(?:\n {8}.*)*)", re.MULTILINE)

Schema = Mapping[str, Any]


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a record.

    Args:
        name: one of RECORDS.

    Raises:
        LookupError: a field has no description.
    """
    made = msgspec.json.schema(RECORDS[name])
    definitions = {title: _described(own) for title, own in sorted(made["$defs"].items())}
    return {"$schema": DIALECT, "$ref": made["$ref"], "$defs": definitions}


def _described(schema: Schema) -> dict[str, Any]:
    """Return the schema of a type with the descriptions of its fields, from the docstring, beside them."""
    told = inspect.cleandoc(schema.get("description", ""))
    head, _, attributes = told.partition("\n\nAttributes:\n")
    meanings = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}
    made = {**schema, "description": " ".join(head.split())}
    if "properties" in schema:
        made["properties"] = {
            name: {**own, "description": meanings[name]} for name, own in schema["properties"].items()
        }
    if "prefixItems" in schema:
        made["prefixItems"] = [
            {**own, "title": name, "description": meaning}
            for own, (name, meaning) in zip(schema["prefixItems"], meanings.items(), strict=True)
        ]
    return made


def leaves(schema: Schema) -> Iterator[tuple[str, str, str]]:
    """Yield each field of a record that has no fields of its own: path, type and meaning."""
    yield from _leaves(schema, schema, "")


def _leaves(node: Schema, whole: Schema, path: str) -> Iterator[tuple[str, str, str]]:
    own = _resolved(node, whole)
    if "properties" in own:
        for name, below in own["properties"].items():
            yield from _leaves(below, whole, f"{path}.{name}" if path else name)
    elif "prefixItems" in own:
        for at, below in enumerate(own["prefixItems"]):
            yield from _leaves(below, whole, f"[{at}] {below['title']}")
    elif "$ref" in own.get("items", {}) and "properties" in _resolved(own["items"], whole):
        yield from _leaves(own["items"], whole, f"{path}[]")
    elif "anyOf" in own and (below := _record_or_null(own, whole)) is not None:
        yield from _leaves(below, whole, path)
    else:
        yield path, _type(own, whole), node.get("description", own.get("description", ""))


def _record_or_null(own: Schema, whole: Schema) -> Schema | None:
    """Return which of the alternatives has fields."""
    found = (item for item in own["anyOf"] if "properties" in _resolved(item, whole))
    return next(found, None)


def _resolved(node: Schema, whole: Schema) -> Schema:
    found: Schema = whole["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found


def _type(own: Schema, whole: Schema) -> str:
    own = _resolved(own, whole)
    if "enum" in own:
        return ", ".join(str(value) for value in own["enum"])
    if "anyOf" in own:
        return " or ".join(_type(item, whole) for item in own["anyOf"])
    if own.get("type") == "array":
        return f"list of {_type(own['items'], whole)}"
    if own.get("type") == "object" and "additionalProperties" in own:
        return f"{_type(own['additionalProperties'], whole)} by name"
    return str(own["type"])
