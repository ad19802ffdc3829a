"""``gatewatch train --topics`` on a real Kafka: labels decide what alerted sessions are trained as."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from featurizer.features import GATEWAY_V1
from scorer.feedback import Said, SessionLabel
from scorer.verdicts import Readiness, Verdict
from stream.bundles import read_bundle
from stream.cli import main
from stream.clock import now_ms
from stream.kafka_config import producer_config
from stream.settings import load_settings
from stream.wire import vector_record
from tests.kafka_fixture import Kafka
from tests.kafka_workers import Gatewatch
from tests.labelled_sessions import EDGES, make_traffic

SCHEMA = GATEWAY_V1

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]


def write_features(gatewatch: Gatewatch) -> tuple[list[str], int]:
    """Write sessions as a worker would, with verdicts that find every attack; return the attacks, and all sessions.

    A transaction that is aborted at the end writes everything again, as alerted.
    """
    traffic, attacks = make_traffic()
    hostile = {own.client for own in attacks}
    settings = load_settings(None, gatewatch.settings)
    producer = Producer(producer_config(settings, f"{gatewatch.prefix}features"))
    producer.init_transactions(20)
    for score in (0.1, 0.9):
        producer.begin_transaction()
        for vector in traffic:
            own = 0.9 if vector.client in hostile else score
            verdict = Verdict(vector.session_id, vector.occasion, "old", own, 0.5, Readiness.READY, EDGES, 100)
            record = vector_record(gatewatch.features, vector, verdict, SCHEMA)
            producer.produce(record.topic, record.value, record.key)
        if score < 0.5:
            producer.commit_transaction(20)
        else:
            producer.flush(20)
            producer.abort_transaction(20)
    alerted = list(dict.fromkeys(vector.session_id for vector in traffic if vector.client in hostile))
    return alerted, len({vector.session_id for vector in traffic})


def write_label(gatewatch: Gatewatch, session: str, said: Said | None) -> None:
    """Write a label, or take it back."""
    label = None if said is None else SessionLabel(session_id=session, verdict=said, time=now_ms(), attack="scan")
    producer = gatewatch.producer()
    producer.produce(gatewatch.prefix + "labels", None if label is None else msgspec.json.encode(label), session)
    assert producer.flush(20) == 0


def train(gatewatch: Gatewatch, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    """Train, and return what is printed."""
    capsys.readouterr()
    code = main(["train", "--topics", "--json", *flags, *gatewatch.flags()])
    out, err = capsys.readouterr()
    assert code == 0, err
    printed: dict[str, Any] = json.loads(out)
    return printed


def test_alerted_sessions_are_trained_as_labelled_or_not_at_all(
    kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gatewatch = Gatewatch(kafka, tmp_path)
    gatewatch.create_topics()
    alerted, sessions = write_features(gatewatch)
    attacks, false, wrong = alerted[:-4], alerted[-4], alerted[-3]

    assert main(["train", "--topics", "--no-cache", *gatewatch.flags()]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "0 attacked sessions" in said
    assert f"label more sessions on the topic {gatewatch.prefix}labels" in said

    for session in attacks:
        write_label(gatewatch, session, Said.TRUE_POSITIVE)
    write_label(gatewatch, false, Said.FALSE_POSITIVE)
    write_label(gatewatch, wrong, Said.TEST)
    write_label(gatewatch, wrong, None)

    printed = train(gatewatch, capsys, "--out", "first", "--cache", "cache", "--label-weight", "3")
    assert printed["feedback"] == {
        "label_weight": 3.0,
        "attacks": len(attacks),
        "benign": 1,
        "unlabelled": sessions - len(alerted),
        "alerted": 3,
        "tests": 0,
        "going_on": 0,
        "without_session": 0,
        "foreign": 0,
    }
    bundle = read_bundle("./first", SCHEMA)
    assert bundle.manifest.data.name == f"{gatewatch.features}, {gatewatch.prefix}labels"
    assert bundle.manifest.parameters["feedback.alerted"] == 3
    card = " ".join(bundle.documents["MODEL_CARD.md"].decode().split())
    assert "| with an anomalous verdict, and not labelled | 3 | left out |" in card
    assert "nobody labelled are in no figure" in card

    again = train(gatewatch, capsys, "--out", "again", "--cache", "cache", "--label-weight", "3")
    assert again["uid"] == printed["uid"]
    assert [stage for stage, cached in again["stages"].items() if not cached] == ["vectors"]

    groups = {group.group_id for group in kafka.admin().list_consumer_groups().result().valid}
    assert not {group for group in groups if group.startswith(kafka.prefix)}, "training joins no group"
