"""A worker that follows the topic of models, with a consumer that hands out what the test says."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from prometheus_client import CollectorRegistry

import stream.topic_feed
from stream import assembly
from stream.measuring import TimedJudge
from stream.model_feed import ModelFeed
from stream.model_records import ModelRecord, ModelRole, TopicModels, outgoing, trial_record
from stream.model_reload import ModelReload
from stream.settings import load_settings
from stream.telemetry import Telemetry
from tests.model_factory import make_bundle
from tests.polled_topics import FakeConsumer, failure, polled
from tests.records import decode_words

CHAMPION, CHALLENGER, PREVIOUS = ModelRole
FIRST, SECOND, THIRD = (trial_record(make_bundle(seed=seed), 0, 8_388_608) for seed in range(3))


def message(record: ModelRecord) -> Any:
    """Return a record as the client library hands it out."""
    return polled(outgoing("models", record))


class Following:
    """A detector that judges with the first model of a topic, and the feed that follows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, polls: list[list[Any]]) -> None:
        settings = load_settings(overrides={"model.bundle": "topic:"})
        self.consumer = FakeConsumer(polls)
        monkeypatch.setattr(stream.topic_feed, "Consumer", lambda _: self.consumer)
        models = TopicModels("models", assembly.SCHEMA)
        models.take([FIRST._replace(role=CHAMPION)])
        judge = assembly.make_judge(settings, models.models().champion, TimedJudge)
        self.detector = assembly.detector(settings, judge, {"logs": decode_words})
        self.telemetry = Telemetry(CollectorRegistry())
        self._reload = ModelReload(settings, self.detector, self.telemetry, models.models)
        self._models = models

    def run(self) -> BaseException | None:
        """Follow until everything was handed out; return what ended it, if anything did."""

        async def follow() -> BaseException | None:
            feed = ModelFeed({}, "models", start=7, models=self._models, reload=self._reload)
            await feed.start()
            while self.consumer.polls and not feed.crashed:  # noqa: ASYNC110 -- the polls are in another thread
                await asyncio.sleep(0.01)
            await feed.stop()
            return feed.crash_reason

        return asyncio.run(follow())

    @property
    def uids(self) -> tuple[str, str | None]:
        """The uids of champion and challenger at work."""
        trial = self.detector.challenger
        return self.detector.judge.bundle.uid, None if trial is None else trial.judge.bundle.uid

    def reloads(self, result: str) -> float | None:
        return self.telemetry.registry.get_sample_value("gatewatch_model_reloads_total", {"result": result})

    def trials(self) -> int:
        return sum(len(own.samples) for own in self.telemetry.challenger_info.collect())


@pytest.fixture
def following(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Following]:
    monkeypatch.chdir(tmp_path)
    return lambda *polls: Following(monkeypatch, list(polls))


def test_a_promotion_is_taken_up(following: Callable[..., Following]) -> None:
    trial = message(SECOND)
    promotion = [FIRST._replace(role=PREVIOUS), SECOND._replace(role=CHAMPION), ModelRecord(CHALLENGER, None)]
    own = following([trial])
    assert own.run() is None
    assert (own.uids, own.trials()) == ((FIRST.uid, SECOND.uid), 1)

    own = following([trial], [message(record) for record in promotion])
    assert own.run() is None
    assert (own.uids, own.trials()) == ((SECOND.uid, None), 0)
    assert (own.reloads("done"), own.reloads("refused")) == (2, 0)


def test_it_goes_on_after_what_the_worker_has_read_and_lets_go_in_the_end(following: Callable[..., Following]) -> None:
    own = following([])
    assert own.run() is None
    (place,) = own.consumer.places
    assert (place.topic, place.partition, place.offset) == ("models", 0, 7)
    assert own.consumer.closed


def test_a_bad_record_is_counted_and_the_next_good_one_is_taken_up(following: Callable[..., Following]) -> None:
    own = following([message(ModelRecord(CHAMPION, b"broken"))])
    assert own.run() is None
    assert own.uids == (FIRST.uid, None)
    assert (own.reloads("done"), own.reloads("refused")) == (0, 1)

    own = following([message(ModelRecord(CHAMPION, b"broken"))], [message(THIRD._replace(role=CHAMPION))])
    assert own.run() is None
    assert own.uids == (THIRD.uid, None)


def test_errors_of_the_topic_are_waited_out(following: Callable[..., Following]) -> None:
    passing = [KafkaError._TRANSPORT, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._PARTITION_EOF]
    own = following([failure(code) for code in passing], [message(SECOND._replace(role=CHAMPION))])
    assert own.run() is None
    assert own.uids == (SECOND.uid, None)


def test_a_consumer_that_is_of_no_more_use_ends_the_worker(following: Callable[..., Following]) -> None:
    own = following([failure(KafkaError._FATAL, fatal=True)], [message(SECOND._replace(role=CHAMPION))])
    assert isinstance(own.run(), KafkaException)
    assert own.uids == (FIRST.uid, None)
