"""The published OCSF schema of a Detection Finding as JSON Schema, derived from ocsf/ocsf-schema; see tests/data/ocsf.

    ocsf-schema-compiler --ignore-platform-extensions ocsf-schema > compiled.json
    python -m tests.ocsf_schema compiled.json > tests/data/ocsf/detection_finding-1.8.0.schema.json

The first command is OCSF's own compiler, run on the schema's repository at tag 1.8.0.
"""

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

CLASS = "detection_finding"
FILE = Path(__file__).parent / "data/ocsf/detection_finding-1.8.0.schema.json"
OTHER = "99"
"""Enum value whose caption is the source's own."""
_PRIMITIVES: Mapping[str, Mapping[str, Any]] = {
    "boolean_t": {"type": "boolean"},
    "float_t": {"type": "number"},
    "integer_t": {"type": "integer"},
    "long_t": {"type": "integer"},
    "json_t": {},
    "string_t": {"type": "string"},
}

Compiled = Mapping[str, Any]


def schema_of(compiled: Compiled) -> dict[str, Any]:
    """Return the JSON Schema of the class and of the objects it reaches, without attributes of profiles.

    Attributes that are not the schema's, or deprecated, are refused.
    """
    types = {name: _type(compiled["dictionary"]["types"]["attributes"], name) for name in _types(compiled)}
    found = compiled["classes"][CLASS]
    objects: dict[str, Any] = {}
    reached = [found]
    while reached:
        for attribute in _own(reached.pop()).values():
            name = attribute.get("object_type")
            if name is not None and name not in objects:
                objects[name] = _object(compiled["objects"][name])
                reached.append(compiled["objects"][name])
    document = _object(found)
    document["allOf"] = [
        *document.get("allOf", []),
        *(
            _implied("activity_id", int(activity), "type_uid", found["uid"] * 100 + int(activity))
            for activity in found["attributes"]["activity_id"]["enum"]
        ),
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"OCSF {compiled['version']}, class {CLASS}",
        **document,
        "$defs": types | dict(sorted(objects.items())),
    }


@cache
def validator() -> jsonschema.Draft202012Validator:
    """Return a validator of findings."""
    return jsonschema.Draft202012Validator(json.loads(FILE.read_text(encoding="utf-8")))


def errors(finding: Mapping[str, Any]) -> list[str]:
    """Return what of a finding is against the schema: attributes, types, enums with their captions, constraints."""
    return [f"{error.json_path}: {error.message}" for error in validator().iter_errors(finding)]


def _types(compiled: Compiled) -> list[str]:
    return sorted(compiled["dictionary"]["types"]["attributes"])


def _type(types: Compiled, name: str) -> dict[str, Any]:
    own = types[name]
    made = dict(_PRIMITIVES.get(own.get("type", name), {}))
    if "regex" in own:
        made["pattern"] = own["regex"]
    if "max_len" in own:
        made["maxLength"] = own["max_len"]
    if "range" in own:
        made["minimum"], made["maximum"] = own["range"]
    return made


def _own(item: Compiled) -> dict[str, Any]:
    """Return the attributes that no profile has to be applied for."""
    return {
        name: attribute
        for name, attribute in item["attributes"].items()
        if not attribute.get("profiles") and "@deprecated" not in attribute
    }


def _object(item: Compiled) -> dict[str, Any]:
    attributes = _own(item)
    if not attributes:
        return {"type": "object"}  # the object named object: any attributes
    constraints = item.get("constraints") or {}
    made: dict[str, Any] = {
        "type": "object",
        "properties": {name: _attribute(attribute) for name, attribute in attributes.items()},
        "required": sorted(name for name, attribute in attributes.items() if attribute["requirement"] == "required"),
        "additionalProperties": False,
    }
    if "at_least_one" in constraints:
        made["anyOf"] = [{"required": [name]} for name in constraints["at_least_one"]]
    if "just_one" in constraints:
        made["oneOf"] = [{"required": [name]} for name in constraints["just_one"]]
    captions = [
        _implied(name, int(value), attribute["sibling"], entry["caption"])
        for name, attribute in attributes.items()
        if attribute.get("sibling") in attributes and not attribute.get("is_array")
        for value, entry in attribute.get("enum", {}).items()
        if value != OTHER
    ]
    return {**made, "allOf": captions} if captions else made


def _attribute(attribute: Compiled) -> dict[str, Any]:
    made: dict[str, Any] = {"$ref": f"#/$defs/{attribute.get('object_type') or attribute['type']}"}
    if "enum" in attribute:
        of_numbers = attribute["type"] in {"integer_t", "long_t"}
        made["enum"] = sorted(int(value) for value in attribute["enum"]) if of_numbers else sorted(attribute["enum"])
    return {"type": "array", "items": made} if attribute.get("is_array") else made


def _implied(name: str, value: Any, other: str, implied: Any) -> dict[str, Any]:
    """Return that an attribute of this value has another beside it, if any, of that value."""
    condition = {"properties": {name: {"const": value}}, "required": [name]}
    return {"if": condition, "then": {"properties": {other: {"const": implied}}}}


if __name__ == "__main__":
    made = schema_of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    objects = made.pop("$defs")
    lines = [f"    {json.dumps(name)}: {json.dumps(own, separators=(',', ':'))}" for name, own in objects.items()]
    sys.stdout.write(
        json.dumps(made, separators=(",", ":"))[:-1] + ',\n  "$defs": {\n' + ",\n".join(lines) + "\n  }\n}\n"
    )
