"""The AsyncAPI 3 document of gatewatch's own topics: what is on them, under which key, and who writes it."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import yaml

from scorer.feedback import Said
from stream.dead_letters import Reason
from stream.sections.kafka import OWN_TOPICS
from stream.settings import Settings
from stream.topic_specs import TopicSpec, wanted_topics

VERSION: Final = "1.0.0"
"""Of the messages: its first number rises with a change that a consumer has to follow."""

_BINDING: Final = "0.5.0"
_DRAFT: Final = "application/schema+json;version=draft-2020-12"
_JSON: Final = "application/json"
_TEXT: Final = {"type": "string"}
_CLIENT: Final = {"type": "string", "description": "Identity of the client, UTF-8."}

ALERT_HEADERS: Final[Mapping[str, str]] = {
    "content-type": "Media type of the value.",
    "ce_specversion": "1.0: the headers are the attributes of a CloudEvent in binary mode.",
    "ce_id": "Id of the alert, deterministic: a record that comes twice is one alert.",
    "ce_source": "/gatewatch/ and the topic of the calls. Together with the id it is unique.",
    "ce_type": "gatewatch.finding.created, or gatewatch.finding.updated for an alert that follows one of its session.",
    "ce_subject": "Id of the session, which is the finding's.",
    "ce_time": "When the alert was made.",
    "ce_dataschema": "Where the schema of the value is published; absent with CEF.",
}
_LETTER_HEADERS: Final[Mapping[str, str]] = {
    "gatewatch.reason": f"Why it could not be used: {', '.join(Reason)}.",
    "gatewatch.detail": "What was wrong, one sentence.",
    "gatewatch.topic": "Topic of the record.",
    "gatewatch.partition": "Partition of the record, in digits.",
    "gatewatch.offset": "Offset of the record, in digits.",
    "gatewatch.timestamp": "Kafka timestamp of the record, epoch milliseconds in digits; -1 when it had none.",
    "gatewatch.index": "Position of the element when the record held an array; absent otherwise.",
    "gatewatch.truncated-from": "Size of the original in bytes when it is cut, or not kept at all; absent otherwise.",
}
_MODEL_HEADERS: Final[Mapping[str, str]] = {
    "uid": "Uid of the bundle.",
    "name": "Name of the bundle.",
    "time": "When it was given the role, epoch milliseconds in digits.",
}
_NOT_ALWAYS: Final = frozenset({"ce_dataschema", "gatewatch.index", "gatewatch.truncated-from"})


class Message(NamedTuple):
    """A kind of record.

    Attributes:
        name: of the message.
        summary: one sentence.
        key: JSON Schema of the record's key.
        content_type: media type of the value.
        schema: name of the value's JSON Schema beside the document; None for a value that is no JSON.
        headers: what the headers say; empty for none.
    """

    name: str
    summary: str
    key: Mapping[str, Any]
    content_type: str = _JSON
    schema: str | None = None
    headers: Mapping[str, str] = {}


_PRIVATE: Final = "gatewatch's own; the form may change with any version. Read it with `gatewatch state show`."

MESSAGES: Final[Mapping[str, tuple[Message, ...]]] = {
    "api_calls": (Message("apiCall", "A call, normalised.", _CLIENT, _JSON, "api-call"),),
    "features": (
        Message(
            "vector",
            "A session's feature vector, with the model's verdict.",
            _CLIENT,
            _JSON,
            "features",
            {"content-type": "Media type of the value."},
        ),
    ),
    "anomalies": (
        Message(
            "ocsfAlert",
            'An alert as OCSF Detection Finding (`alerts.encoding = "ocsf"`, the default).',
            _CLIENT,
            _JSON,
            "alert-ocsf",
            ALERT_HEADERS,
        ),
        Message(
            "ecsAlert",
            'An alert as document of the Elastic Common Schema (`alerts.encoding = "ecs"`).',
            _CLIENT,
            _JSON,
            "alert-ecs",
            ALERT_HEADERS,
        ),
        Message(
            "cefAlert",
            'An alert as line of the Common Event Format (`alerts.encoding = "cef"`).',
            _CLIENT,
            "text/plain; charset=utf-8",
            None,
            ALERT_HEADERS,
        ),
    ),
    "dead_letters": (
        Message(
            "deadLetter",
            "A record, or an element of one, that could not be used: its bytes as they came.",
            {"description": "The record's own key; none when it had none or it was too long."},
            "application/octet-stream",
            None,
            _LETTER_HEADERS,
        ),
    ),
    "state": (Message("checkpoint", _PRIVATE, {}, "application/octet-stream"),),
    "degrees": (
        Message(
            "degreeTable",
            "The degree table of one input partition. " + _PRIVATE,
            {"type": "string", "description": "The input partition, `topic-partition`."},
            "application/msgpack",
        ),
    ),
    "models": (
        Message(
            "modelBundle",
            "A model bundle as zip file; without a value the role is empty.",
            {"enum": ["champion", "challenger", "previous"], "description": "Role of the bundle."},
            "application/zip",
            None,
            _MODEL_HEADERS,
        ),
    ),
    "labels": (
        Message(
            "label",
            f"What somebody found a session to be ({', '.join(Said)}); the latest of a session counts.",
            {"type": "string", "description": "Id of the session, as in the label."},
            _JSON,
            "label",
        ),
    ),
    "suppressions": (
        Message(
            "suppressionRule",
            "A rule that accounts for alerts beforehand; the latest of a name counts, without a value there is none.",
            {"type": "string", "description": "Name of the rule, as in the rule."},
            _JSON,
            "suppression-rule",
        ),
    ),
}
"""Messages by setting that names the topic (``topics.…``)."""

_READ: Final = frozenset({"labels", "suppressions"})
"""Topics that others write and gatewatch reads; it reads ``models``, ``state`` and ``degrees`` back itself."""


def document() -> str:
    """Return the document as YAML, for the topics of default settings."""
    settings = Settings.model_validate({"model": {"bundle": "topic:"}, "alerts": {"suppressions": "topic:"}})
    specs = {spec.name: spec for spec in wanted_topics(settings)}
    topics = {name: specs[getattr(settings.topics, name)] for name in OWN_TOPICS}
    made = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "gatewatch",
            "version": VERSION,
            "description": "Topics of gatewatch. Names, partitions and retention are those of the default settings "
            "(`topics.*`). Read `anomalies` and `features` with `isolation.level=read_committed`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _JSON,
        "channels": {name: _channel(name, spec) for name, spec in topics.items()},
        "operations": {_operation(name): _named(name) for name in topics},
        "components": {"messages": {own.name: _message(own) for messages in MESSAGES.values() for own in messages}},
    }
    return yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=110)


def _operation(name: str) -> str:
    return f"{'read' if name in _READ else 'write'}_{name}"


def _named(name: str) -> dict[str, Any]:
    return {"action": "receive" if name in _READ else "send", "channel": {"$ref": f"#/channels/{name}"}}


def _channel(name: str, spec: TopicSpec) -> dict[str, Any]:
    messages = {own.name: {"$ref": f"#/components/messages/{own.name}"} for own in MESSAGES[name]}
    config = {key: yaml.safe_load(value) for key, value in spec.config.items()}
    config["cleanup.policy"] = [config["cleanup.policy"]]
    kafka = {"partitions": spec.partitions, "replicas": spec.replication_factor, "topicConfiguration": config}
    return {
        "address": spec.name,
        "summary": f"{spec.purpose[0].upper()}{spec.purpose[1:]}.",
        "messages": messages,
        "bindings": {"kafka": {**kafka, "bindingVersion": _BINDING}},
    }


def _message(own: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"summary": own.summary, "contentType": own.content_type}
    if own.headers:
        made["headers"] = {
            "type": "object",
            "properties": {name: {**_TEXT, "description": text} for name, text in own.headers.items()},
            "required": [name for name in own.headers if name not in _NOT_ALWAYS],
        }
    if own.schema is not None:
        made["payload"] = {"schemaFormat": _DRAFT, "schema": {"$ref": f"./{own.schema}.json"}}
    if own.key:
        made["bindings"] = {"kafka": {"key": dict(own.key), "bindingVersion": _BINDING}}
    return made
