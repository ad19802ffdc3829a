"""Records of the topic of anomalies: key, encoding and the attributes of a CloudEvent in binary mode."""

import json
import re
from typing import get_args
from urllib.parse import urlsplit

import pytest

from featurizer.features import Occasion
from scorer.alerts import Alert
from stream.app import _detect_stage as assembled_stage
from stream.dead_letter_limit import DeadLetterPolicy, DeadLetterWindow
from stream.encodings.records import FORMS, alert_record
from stream.sections.detection import AlertEncoding, AlertsSettings
from stream.settings import load_settings
from stream.wire import Outgoing
from tests.alerting import alert_of, vector
from tests.records import make_detector, run, walk

CREATED = 1_700_000_050_123
EARLY = alert_of()
FOLLOWING = alert_of(vector(occasion=Occasion.CLOSED), follows=True)
ENCODINGS: tuple[AlertEncoding, ...] = get_args(AlertEncoding)


def attributes(record: Outgoing) -> dict[str, str]:
    """Return the record's headers as text, each once."""
    found = {name: value.decode() if isinstance(value, bytes) else value for name, value in record.headers}
    assert len(found) == len(record.headers)
    return found


def test_every_encoding_that_can_be_set_is_one() -> None:
    assert tuple(FORMS) == ENCODINGS


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_record_is_keyed_by_client_so_that_a_client_s_alerts_stay_in_order(encoding: AlertEncoding) -> None:
    record = alert_record("anomalies", EARLY, CREATED, encoding)
    assert (record.topic, record.key, record.partition) == ("anomalies", b"user:ann", -1)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("alert", [EARLY, FOLLOWING], ids=["first", "following"])
def test_the_headers_are_those_of_a_cloud_event_in_binary_mode(alert: Alert, encoding: AlertEncoding) -> None:
    """CloudEvents 1.0: required attributes, none empty, a source that is a URI reference, a time of RFC 3339."""
    found = attributes(alert_record("anomalies", alert, CREATED, encoding))
    assert found.keys() >= {"ce_specversion", "ce_id", "ce_source", "ce_type", "content-type"}
    assert all(found.values())
    assert found["ce_specversion"] == "1.0"
    assert (found["ce_id"], found["ce_subject"]) == (alert.uid, alert.session_id)
    assert urlsplit(found["ce_source"]).path == found["ce_source"] == "/gatewatch/calls"
    assert found["ce_time"] == "2023-11-14T22:14:10.123Z"
    assert not found["content-type"].startswith("application/cloudevents"), "that would be structured mode"
    assert all(re.fullmatch(r"ce_[a-z0-9]+", name) for name in found if name != "content-type")


def test_the_type_says_whether_the_finding_is_new() -> None:
    kinds = [attributes(alert_record("anomalies", alert, CREATED))["ce_type"] for alert in (EARLY, FOLLOWING)]
    assert kinds == ["gatewatch.finding.created", "gatewatch.finding.updated"]


def test_an_alert_that_is_published_again_is_the_same_event() -> None:
    one, again = (attributes(alert_record("anomalies", EARLY, CREATED + later)) for later in (0, 99_000))
    assert (one["ce_source"], one["ce_id"]) == (again["ce_source"], again["ce_id"])


@pytest.mark.parametrize(
    ("encoding", "content_type", "host"),
    [
        ("ocsf", "application/json", "schema.ocsf.io"),
        ("ecs", "application/json", "github.com"),
        ("cef", "text/plain; charset=utf-8", None),
    ],
)
def test_content_type_and_schema_are_those_of_the_value(
    encoding: AlertEncoding, content_type: str, host: str | None
) -> None:
    record = alert_record("anomalies", EARLY, CREATED, encoding)
    found = attributes(record)
    assert found["content-type"] == content_type
    assert urlsplit(found.get("ce_dataschema", "")).hostname == host
    if content_type == "application/json":
        assert json.loads(record.value or b"")


def test_a_version_in_the_schema_s_address_is_the_version_in_the_value() -> None:
    ocsf, ecs = (alert_record("anomalies", EARLY, CREATED, encoding) for encoding in ENCODINGS[:2])
    assert f"/{json.loads(ocsf.value or b'')['metadata']['version']}/" in attributes(ocsf)["ce_dataschema"]
    assert f"/v{json.loads(ecs.value or b'')['ecs']['version']}/" in attributes(ecs)["ce_dataschema"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_worker_writes_the_encoding_that_is_set(encoding: AlertEncoding) -> None:
    settings = load_settings(None, {"alerts.encoding": encoding})
    stage = assembled_stage(settings, make_detector(), DeadLetterWindow(DeadLetterPolicy(), "detect"), "1-abc")
    record = stage.encode(run(stage.detector, walk("abcdefgh")))[0]
    assert (record.topic, attributes(record)["content-type"]) == ("anomalies", FORMS[encoding].content_type)


def test_ocsf_is_what_it_writes_unless_told_otherwise() -> None:
    assert AlertsSettings().encoding == "ocsf"
