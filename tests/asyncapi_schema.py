"""The published JSON Schema of AsyncAPI 3.0.0, as far as a document of Kafka topics needs it; see tests/data/asyncapi.

    python -m tests.asyncapi_schema 'schemas/3.0.0-without-$id.json' > tests/data/asyncapi/3.0.0.schema.json

The file is that of the repository asyncapi/spec-json-schemas. Left out are descriptions, examples, and the bindings of
other protocols than Kafka.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema

FILE = Path(__file__).parent / "data/asyncapi/3.0.0.schema.json"
_PROSE = ("description", "examples", "example", "title", "$comment")


def validator() -> jsonschema.Draft7Validator:
    """Return a validator of documents."""
    return jsonschema.Draft7Validator(json.loads(FILE.read_text(encoding="utf-8")))


def _reduced(node: Any, *, names: bool = False) -> Any:
    """Return a schema without prose; ``names`` says that the keys are names of properties."""
    if isinstance(node, list):
        return [_reduced(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if names or key not in _PROSE or isinstance(value, bool)}
    return {
        key: _reduced(value, names=not names and key in {"properties", "patternProperties", "definitions"})
        for key, value in kept.items()
    }


def _of_kafka(name: str) -> bool:
    return not name.startswith("bindings-") or name.startswith("bindings-kafka-0.5.0")


def _without_others(node: Any) -> Any:
    """Return a schema in which what refers to a binding that is left out allows everything."""
    if isinstance(node, list):
        return [_without_others(item) for item in node]
    if not isinstance(node, dict):
        return node
    target = node.get("$ref", "")
    if isinstance(target, str) and not _of_kafka(target.rpartition("/")[2]):
        return {}
    return {key: _without_others(value) for key, value in node.items()}


if __name__ == "__main__":
    whole = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    whole["definitions"] = {name: own for name, own in whole["definitions"].items() if _of_kafka(name)}
    made = _without_others(_reduced(whole))
    lines = [
        f"    {json.dumps(name)}: {json.dumps(own, separators=(',', ':'))}"
        for name, own in made.pop("definitions").items()
    ]
    head = json.dumps(made, separators=(",", ":"))[:-1]
    sys.stdout.write(head + ',\n  "definitions": {\n' + ",\n".join(lines) + "\n  }\n}\n")
