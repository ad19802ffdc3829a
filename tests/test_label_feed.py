"""A worker that follows the topic of labels: what its metrics say, whatever is written there."""

import asyncio
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

import stream.topic_feed
from scorer.feedback import UNNAMED, Said, SessionLabel
from stream.app import Role
from stream.assembly import Models
from stream.label_feed import LabelFeed
from stream.settings import load_settings
from stream.telemetry import Telemetry
from stream.wire import Outgoing, label_record
from stream.worker import assemble
from tests.model_factory import make_bundle
from tests.polled_topics import FakeConsumer, failure, polled

MISSING = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
BROKEN = [b"{", b"{}", b'{"session_id": "other", "verdict": "benign", "time": 0}', b'{"x":' + b"[" * 100_000]


def record(session: str, verdict: Said | None, model: str = "m1") -> Any:
    label = None if verdict is None else SessionLabel(session, verdict, 0, model=model)
    return polled(label_record("labels", session, label))


def followed(
    monkeypatch: pytest.MonkeyPatch, *polls: list[Any], error: KafkaError | None = None
) -> tuple[Telemetry, FakeConsumer]:
    """Follow until everything was handed out; return the metrics."""
    monkeypatch.setattr(LabelFeed, "rest_s", 0.001)
    consumer, telemetry = FakeConsumer(list(polls), error), Telemetry(CollectorRegistry())
    monkeypatch.setattr(stream.topic_feed, "Consumer", lambda _: consumer)

    async def follow() -> None:
        feed = LabelFeed({}, "labels", telemetry)
        await feed.start()
        while consumer.polls and not feed.crashed:  # noqa: ASYNC110 -- the polls are in another thread
            await asyncio.sleep(0.001)
        await feed.stop()
        assert not feed.crashed

    asyncio.run(follow())
    return telemetry, consumer


def sessions(telemetry: Telemetry, model: str) -> dict[str, float | None]:
    """Return how many sessions a model is said to have alerted, by what they were."""
    value = telemetry.registry.get_sample_value
    found = {own: value("gatewatch_labelled_sessions", {"model": model, "verdict": own}) for own in Said}
    return {own: count for own, count in found.items() if count != 0}


def precision(telemetry: Telemetry, model: str) -> float | None:
    return telemetry.registry.get_sample_value("gatewatch_model_precision", {"model": model})


def test_metrics_follow_labels_that_come_are_replaced_and_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = [record("a", Said.TRUE_POSITIVE), record("b", Said.BENIGN), record("c", Said.TEST)]
    later = [record("b", Said.TRUE_POSITIVE, "m2"), record("d", Said.FALSE_POSITIVE), record("e", Said.BENIGN, "")]
    telemetry, consumer = followed(monkeypatch, first)
    assert sessions(telemetry, "m1") == {Said.TRUE_POSITIVE: 1, Said.BENIGN: 1, Said.TEST: 1}
    assert precision(telemetry, "m1") == 0.5
    assert [own.offset for own in consumer.places] == [OFFSET_BEGINNING]

    telemetry, consumer = followed(monkeypatch, first, [], later, [record("a", None)])
    assert sessions(telemetry, "m1") == {Said.FALSE_POSITIVE: 1, Said.TEST: 1}
    assert sessions(telemetry, "m2") == {Said.TRUE_POSITIVE: 1}
    assert sessions(telemetry, UNNAMED) == {Said.BENIGN: 1}
    assert [precision(telemetry, own) for own in ("m1", "m2", UNNAMED)] == [0, 1, None]
    assert consumer.closed


def test_a_model_without_labels_is_not_shown_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry, _ = followed(monkeypatch, [record("a", Said.TRUE_POSITIVE)], [record("a", None)])
    assert set(sessions(telemetry, "m1").values()) == {None}
    assert precision(telemetry, "m1") is None


@pytest.mark.parametrize("value", BROKEN, ids=["cut off", "empty", "of another session", "nested"])
def test_a_record_that_is_no_label_says_nothing_of_its_session_and_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    broken = polled(Outgoing("labels", b"a", value))
    telemetry, _ = followed(monkeypatch, [record("a", Said.BENIGN), record("b", Said.TRUE_POSITIVE), broken])
    assert sessions(telemetry, "m1") == {Said.TRUE_POSITIVE: 1}


def test_a_topic_that_cannot_be_read_is_named_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = failure(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with capture_logs() as logged:
        telemetry, _ = followed(monkeypatch, [refused], [record("a", Said.BENIGN)], error=MISSING)
    assert precision(telemetry, "m1") == 0
    assert [(own["log_level"], own["topic"]) for own in logged] == [("warning", "labels")] * 2


@pytest.mark.parametrize(("role", "follows"), [(Role.ALL, True), (Role.DETECT, True), (Role.NORMALISE, False)])
def test_workers_that_judge_follow_the_topic(role: Role, follows: bool) -> None:  # noqa: FBT001 -- a case
    worker = assemble(load_settings(), Models(make_bundle()), role)
    assert any(isinstance(feed, LabelFeed) for feed in worker.app.feeds) is follows
