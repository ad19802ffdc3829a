"""Items: the records of gatewatch's topics in the form in which they are compared; pure.

What the pipeline makes of the input is encoded as a worker encodes it, so that both sides come through here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import GATEWAY_V1, Occasion
from stream.wire import FeatureRecord

LOCAL_FEATURES = tuple(own.name for own in GATEWAY_V1.features if not own.of_traffic)
"""Features that depend on the session alone."""

_features = msgspec.json.Decoder(FeatureRecord)
_findings = msgspec.json.Decoder(dict[str, Any])
_NOTHING: Mapping[str, Any] = {}


class Item(NamedTuple):
    """One thing that must be there once, and be the same.

    Attributes:
        what: kind of thing.
        identity: what tells it from others of its kind.
        content: what else is compared.
    """

    what: str
    identity: tuple[Any, ...]
    content: Mapping[str, Any]


def call_item(key: bytes | None, value: bytes | None, timestamp: int) -> Item:
    """Return a record of the topic of calls: every byte is its identity."""
    return Item("call", (key, value, timestamp), _NOTHING)


def letter_item(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, str | bytes | None]]) -> Item:
    """Return a dead letter."""
    named = {name: text.decode() if isinstance(text, bytes) else text for name, text in headers}
    place = ("topic", "partition", "offset", "index", "reason")
    identity = tuple(named.pop(f"gatewatch.{name}", None) for name in place)
    return Item("dead letter", identity, {"key": key, "original": value, **named})


def vector_item(value: bytes | None, *, everything: bool) -> Item:
    """Return a vector with its verdict; a closed session is an item of its own kind.

    Args:
        value: record of the topic of features.
        everything: compare what depends on the degree tables too.
    """
    record = _features.decode(value or b"")
    content: dict[str, Any] = {
        "client": record.client,
        "start": record.start,
        "end": record.end,
        "close_reason": record.close_reason,
        "schema": record.schema,
    }
    if everything:
        content |= record.features | {"total_edges": record.total_edges, "verdict": record.verdict}
    else:
        content |= {name: record.features[name] for name in LOCAL_FEATURES}
    what = "session" if record.occasion is Occasion.CLOSED else "vector"
    return Item(what, (record.session_id, str(record.occasion), record.calls), content)


def alert_item(value: bytes | None) -> Item:
    """Return an alert by its uid."""
    finding = _findings.decode(value or b"")
    content = {
        "session_id": finding["metadata"]["correlation_uid"],
        "client": finding["evidences"][0]["actor"]["user"]["uid"],
        "start": finding["start_time"],
        "end": finding["end_time"],
        "calls": finding["count"],
        "severity": finding["severity"],
        "model": finding["finding_info"]["analytic"]["uid"],
        **finding["unmapped"],
    }
    return Item("alert", (finding["metadata"]["uid"],), content)


def degree_items(partition: str, snapshot: DegreeSnapshot) -> list[Item]:
    """Return the counts of one partition's degree table; an endpoint that is only numbered counts as absent."""
    items = [
        Item("degree", (partition, name), msgspec.structs.asdict(own))
        for name, own in snapshot.endpoints.items()
        if own.source or own.destination
    ]
    return [*items, Item("degree", (partition, "all edges"), {"edges": snapshot.edges})]
