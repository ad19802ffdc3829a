"""What the docs say of the records on gatewatch's topics: tables of ``docs/alerts.md``, and all of ``docs/schemas``."""

import json
from collections.abc import Callable, Mapping

from stream.asyncapi import ALERT_HEADERS, document
from stream.encodings.signs import SIGNS, Sign
from stream.markdown import table
from stream.schemas import RECORDS, leaves, schema_of


def files() -> dict[str, str]:
    """Return the files of ``docs/schemas`` by name."""
    made = {f"{name}.json": json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n" for name in RECORDS}
    return made | {"asyncapi.yaml": document()}


def _fields(name: str) -> str:
    rows = [(f"`{path}`", kind, meaning) for path, kind, meaning in leaves(schema_of(name))]
    return table(("field", "value", "meaning"), rows)


def _headers() -> str:
    return table(("header", "value"), [(f"`{name}`", meaning) for name, meaning in ALERT_HEADERS.items()])


def _signs() -> str:
    rows = [
        (shown, _technique(sign), f"{sign.risk.uid} {sign.risk.name}" if sign.risk else "")
        for shown, sign in SIGNS.items()
    ]
    return table(("an alert shows", "MITRE ATT&CK", "OWASP API Security Top 10"), rows)


def _technique(sign: Sign) -> str:
    if sign.technique is None:
        return ""
    named = sign.technique.sub_technique or sign.technique.technique
    return f"{named.uid} {named.name} ({sign.technique.tactic.name})"


BLOCKS: Mapping[str, Callable[[], str]] = {
    "headers": _headers,
    "ocsf": lambda: _fields("alert-ocsf"),
    "ecs": lambda: _fields("alert-ecs"),
    "signs": _signs,
}
"""Generated tables of ``docs/alerts.md``."""
