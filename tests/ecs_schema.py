"""Fields of the Elastic Common Schema that alerts could use, derived from elastic/ecs; see tests/data/ecs.

    python -m tests.ecs_schema generated/ecs/ecs_flat.yml > tests/data/ecs/fields-9.4.0.json

The file is that of the repository at tag v9.4.0. Kept is, of each field in the sets below, its type, whether it is a
list, and which values are allowed.
"""

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "data/ecs/fields-9.4.0.json"
SETS = (
    "@timestamp",
    "ecs",
    "event",
    "labels",
    "message",
    "observer",
    "related",
    "rule",
    "source",
    "tags",
    "threat",
    "user",
)
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "date": str,
    "float": (int, float),
    "ip": str,
    "keyword": str,
    "long": int,
    "match_only_text": str,
    "wildcard": str,
}


@cache
def published() -> dict[str, Any]:
    """Return the fields by their dotted name."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def errors(document: Mapping[str, Any], own: str) -> list[str]:
    """Return what of a document is against the schema, apart from a field set of its own."""
    known = published()
    return [
        problem
        for name, value in _leaves(document)
        if name.partition(".")[0] != own
        for problem in _problems(name, value, known.get(name))
    ]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for name, value in tree.items():
        found += _leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return found


def _problems(name: str, value: Any, field: Mapping[str, Any] | None) -> list[str]:
    if field is None:
        return [f"{name} is no field"]
    values = value if isinstance(value, list) else [value]
    found = []
    if field["list"] != isinstance(value, list):
        found.append(f"{name} is {'' if field['list'] else 'not '}a list in the schema")
    if field["type"] not in TYPES or not all(isinstance(item, TYPES[field["type"]]) for item in values):
        found.append(f"{name} is not of type {field['type']}")
    if not set(values) <= set(field.get("allowed", values)):
        found.append(f"{name} has another value than {', '.join(field['allowed'])}")
    return found


def _described(field: Mapping[str, Any]) -> dict[str, Any]:
    made = {"type": field["type"], "list": "array" in field["normalize"]}
    allowed = [entry["name"] for entry in field.get("allowed_values", ())]
    return {**made, "allowed": allowed} if allowed else made


if __name__ == "__main__":
    fields = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
    kept = {
        name: _described(field)
        for name, field in fields.items()
        if name.partition(".")[0] in SETS and not name.startswith(("threat.indicator", "threat.enrichments"))
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(own)}" for name, own in kept.items()]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")
