"""The generated descriptions of gatewatch's topics hold for the records that the program really makes."""

import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import typer
import yaml

from featurizer.calls import ApiCall
from featurizer.features import ACCESS_BEHAVIOUR_V1, Occasion
from scorer.budget import Overflow
from scorer.feedback import Said, SessionLabel
from scorer.reasons import Explanation
from scorer.severity import Factor, Grade, Severity
from scorer.suppression_file import RuleEntry
from stream import docs, topic_docs
from stream.asyncapi import MESSAGES, document
from stream.checkpoints import StateTopics, checkpoint
from stream.dead_letters import DeadLetter, Reason
from stream.encodings.records import alert_record
from stream.errors import ExitCode
from stream.model_records import ModelRecord, ModelRole, outgoing
from stream.schemas import RECORDS, leaves, schema_of
from stream.sections.kafka import OWN_TOPICS
from stream.settings import Settings
from stream.suppression_records import rule_record
from stream.topic_specs import wanted_topics
from stream.wire import Outgoing, call_record, client_key, dead_letter_record, vector_record
from tests import asyncapi_schema
from tests.alerting import VERDICT, alert_of, vector
from tests.records import CALLS, NOW, make_detector, run, walk

CHECKOUT = Path(__file__).parent.parent
CREATED = 1_700_000_050_000
LABEL = SessionLabel("5e551010", Said.TRUE_POSITIVE, NOW, "scraping", NOW, "ann")
DOCUMENT = yaml.safe_load(document())

GRADE = Grade(Severity.HIGH, Severity.MEDIUM, (Factor("sensitive", 1, "it called DELETE /a, which is sensitive"),))
ALERTS = [
    alert_of(grade=GRADE, overflow=Overflow(3, NOW)),
    alert_of(vector(occasion=Occasion.CLOSED, client="2001:db8::1"), follows=True, capped=True),
    alert_of(explanation=Explanation(()), transitions=[]),
]
SEEN = vector(close_reason="inactivity", occasion=Occasion.CLOSED)
ENTRY = RuleEntry("export", "Nightly export", date(2100, 2, 3), client=("svc-*",), when=("calls < 500",))
LETTER = DeadLetter(Reason.UNDECODABLE, "not JSON", "logs", 3, 4711, NOW, b"?" * 9, b"key", 2)


def made() -> dict[str, list[Outgoing]]:
    """Return records of every message of the document, by its name."""
    detector = make_detector()
    run(detector, walk("abcdefgh"))
    states = checkpoint(detector.partitions[CALLS], StateTopics("state", "degrees"), 4)
    return {
        "apiCall": [
            call_record("api-calls", ApiCall(NOW, "ann", "GET /a"), NOW, 0),
            call_record("api-calls", ApiCall(NOW, "ann", "GET /a", 200, 1.5, "r1"), NOW, 0),
        ],
        "vector": [
            vector_record("features", vector(), None, ACCESS_BEHAVIOUR_V1),
            vector_record("features", SEEN, VERDICT, ACCESS_BEHAVIOUR_V1, VERDICT),
        ],
        "ocsfAlert": [alert_record("anomalies", own, CREATED, "ocsf") for own in ALERTS],
        "ecsAlert": [alert_record("anomalies", own, CREATED, "ecs") for own in ALERTS],
        "cefAlert": [alert_record("anomalies", own, CREATED, "cef") for own in ALERTS],
        "deadLetter": [dead_letter_record("dead-letters", LETTER)],
        "checkpoint": [own for own in states if own.topic == "state"],
        "degreeTable": [own for own in states if own.topic == "degrees"],
        "modelBundle": [outgoing("models", ModelRecord(ModelRole.CHAMPION, b"PK", "m-1", "m", NOW))],
        "label": [Outgoing("labels", LABEL.session_id.encode(), msgspec.json.encode(LABEL))],
        "suppressionRule": [rule_record("suppressions", ENTRY)],
    }


MADE = made()


def valid(schema: Any, value: Any) -> list[str]:
    """Return what is wrong with a value."""
    check = jsonschema.Draft202012Validator(schema)
    return [f"{error.json_path}: {error.message}" for error in check.iter_errors(value)]


def payload_schema(name: str) -> Any:
    """Return the JSON Schema that the document names for a message's value, read from the file beside it."""
    payload = DOCUMENT["components"]["messages"][name]["payload"]
    return json.loads((CHECKOUT / "docs/schemas" / payload["schema"]["$ref"]).read_text(encoding="utf-8"))


def with_payload() -> Iterable[str]:
    """Return the names of the messages whose value has a schema."""
    return [name for name, own in DOCUMENT["components"]["messages"].items() if "payload" in own]


@pytest.mark.parametrize("name", with_payload())
def test_what_is_published_follows_the_schema_of_its_message(name: str) -> None:
    schema = payload_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    for record in MADE[name]:
        assert valid(schema, json.loads(record.value or b"")) == []


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("ocsfAlert", lambda own: own.pop("severity_id")),
        ("ocsfAlert", lambda own: own["finding_info"].update(uid=5)),
        ("ocsfAlert", lambda own: own.update(activity_id=3)),
        ("ecsAlert", lambda own: own.pop("@timestamp")),
        ("ecsAlert", lambda own: own["event"].update(kind="event")),
        ("apiCall", lambda own: own.__setitem__(0, "now")),
        ("apiCall", lambda own: own.__delitem__(slice(2, None))),
        ("vector", lambda own: own["features"].update(n_apis="9")),
        ("label", lambda own: own.update(verdict="perhaps")),
        ("suppressionRule", lambda own: own.update(clients=["ann"])),
    ],
)
def test_a_record_that_is_none_is_refused(name: str, spoil: Callable[[Any], object]) -> None:
    value = deepcopy(json.loads(MADE[name][0].value or b""))
    spoil(value)
    assert valid(payload_schema(name), value)


def test_the_document_follows_asyncapi_s_own_schema() -> None:
    assert [error.message[:200] for error in asyncapi_schema.validator().iter_errors(DOCUMENT)] == []


def test_a_document_that_breaks_asyncapi_s_schema_is_noticed() -> None:
    wrong = deepcopy(DOCUMENT)
    wrong["components"]["messages"]["label"]["bindings"]["kafka"]["keey"] = {}
    wrong["channels"]["labels"]["bindings"]["kafka"]["partitions"] = "one"
    found = {error.json_path for error in asyncapi_schema.validator().iter_errors(wrong)}
    assert found == {"$.components.messages.label", "$.channels.labels"}


def test_every_topic_of_gatewatch_s_own_is_a_channel() -> None:
    settings = Settings.model_validate({"model": {"bundle": "topic:"}, "alerts": {"suppressions": "topic:"}})
    own = {spec.name: spec for spec in wanted_topics(settings) if spec.own}
    channels = {channel["address"]: channel for channel in DOCUMENT["channels"].values()}
    assert tuple(DOCUMENT["channels"]) == tuple(MESSAGES) == OWN_TOPICS
    assert channels.keys() == own.keys()
    for name, spec in own.items():
        kafka = channels[name]["bindings"]["kafka"]
        assert (kafka["partitions"], kafka["replicas"]) == (spec.partitions, spec.replication_factor)
        assert kafka["topicConfiguration"]["cleanup.policy"] == [spec.config["cleanup.policy"]]


@pytest.mark.parametrize("topic", OWN_TOPICS)
def test_messages_are_on_their_channel(topic: str) -> None:
    channel = DOCUMENT["channels"][topic]
    for name in channel["messages"]:
        assert {record.topic for record in MADE[name]} == {channel["address"]}


@pytest.mark.parametrize("name", MADE)
def test_key_headers_and_content_type_are_as_the_document_says(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    key = message.get("bindings", {}).get("kafka", {}).get("key", {})
    for record in MADE[name]:
        headers = {own: value.decode() if isinstance(value, bytes) else value for own, value in record.headers}
        assert valid({**message.get("headers", {}), "additionalProperties": False}, headers) == []
        assert headers.get("content-type", message["contentType"]) == message["contentType"]
        assert valid(key, (record.key or b"").decode("utf-8", "replace")) == []
        if "client" in key.get("description", ""):
            assert record.key in {client_key(client) for client in ("ann", "user:ann", "2001:db8::1")}


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_has_a_meaning(name: str) -> None:
    found = list(leaves(schema_of(name)))
    assert all(path and kind and meaning for path, kind, meaning in found)
    assert len({path for path, _, _ in found}) == len(found)


def test_every_field_of_a_finding_is_in_the_table() -> None:
    """Each place in a finding that holds no further fields, lists of them told once."""
    rows = {path for path, _, _ in leaves(schema_of("alert-ocsf"))}
    assert set(places(json.loads(MADE["ocsfAlert"][0].value or b""))) <= rows


def places(value: Any, path: str = "") -> Iterable[str]:
    """Yield the paths of what a JSON value holds."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from places(below, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for below in value:
            yield from places(below, f"{path}[]")
    else:
        yield path


def test_a_field_without_a_description_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(msgspec.Struct):
        """Says nothing of its field."""

        field: int

    monkeypatch.setitem(RECORDS, "mute", Mute)
    with pytest.raises(LookupError, match="field"):
        schema_of("mute")


def test_an_outdated_schema_is_found_and_put_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "BLOCKS", {})  # the README's own are checked elsewhere
    readme = tmp_path / "README.md"
    readme.touch()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/alerts.md").write_text(
        (CHECKOUT / "docs/alerts.md").read_text(encoding="utf-8"), encoding="utf-8"
    )

    before = {path.name for path in docs.generated(readme) if not path.exists()}
    docs.main(readme)
    docs.main(readme, check=True)
    (tmp_path / "docs/schemas/label.json").write_text("{}", encoding="utf-8")

    assert before == {*topic_docs.files()}
    with pytest.raises(typer.Exit) as outdated:
        docs.main(readme, check=True)
    assert outdated.value.exit_code == ExitCode.DIFFERENT
