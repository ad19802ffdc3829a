"""What each role writes, to which topic, for a batch."""

from collections import Counter

from featurizer.features import ACCESS_BEHAVIOUR_V1
from stream.batches import Batch
from stream.clock import now_ms
from stream.dead_letter_limit import DeadLetterPolicy, DeadLetterWindow
from stream.pipeline import Normaliser
from stream.roles import DetectStage, NormaliseStage
from stream.sections.kafka import TopicsSettings
from stream.wire import decode_vector
from tests.records import CALLS, LOGS, NOW, OTHER, Made, call_record, decode_words, make_detector

TOPICS = TopicsSettings()


def limit() -> DeadLetterWindow:
    return DeadLetterWindow(DeadLetterPolicy(), "role")


def detecting(topics: TopicsSettings = TOPICS) -> DetectStage:
    return DetectStage(make_detector(CALLS), topics, ACCESS_BEHAVIOUR_V1, limit())


def scored(stage: DetectStage) -> Batch:
    """Return a batch with one vector, one alert and one dead letter."""
    records = [call_record(at, NOW + at, "ann", f"GET /{at}") for at in range(8)]
    batch = stage.detector.sessionize([*records, Made(b"no call", 8)])
    stage.detector.score(batch)
    return batch


def test_normalising_writes_calls_and_dead_letters() -> None:
    stage = NormaliseStage(Normaliser({"logs": decode_words}), TOPICS, limit())
    batch = stage.normaliser.normalise([Made(b"%d ann /a\n? x\n%d bob /b" % (NOW, NOW), 7, LOGS)])
    assert [(own.topic, own.key) for own in stage.encode(batch)] == [
        (TOPICS.api_calls, b"ann"),
        (TOPICS.api_calls, b"bob"),
        (TOPICS.dead_letters, b"key"),
    ]


def test_a_backlog_is_stamped_so_that_retention_does_not_delete_it_unread() -> None:
    stage = NormaliseStage(Normaliser({"logs": decode_words}), TOPICS, limit())
    fresh = now_ms()
    records = [Made(b"%d ann /a" % time, at, LOGS, time) for at, time in enumerate((1_500_000_000_000, fresh))]
    old, new = stage.encode(stage.normaliser.normalise(records))
    assert fresh - TOPICS.api_calls_retention_h * 3_600_000 < old.timestamp < fresh
    assert new.timestamp == fresh


def test_detecting_writes_alerts_vectors_and_dead_letters() -> None:
    stage = detecting()
    batch = scored(stage)
    records = stage.encode(batch)
    assert [own.topic for own in records] == [TOPICS.anomalies, TOPICS.features, TOPICS.dead_letters]
    assert repr(decode_vector(records[1].value, ACCESS_BEHAVIOUR_V1)) == repr(batch.samples[0].vector)


def test_vectors_are_written_only_if_they_are_wanted() -> None:
    stage = detecting(TopicsSettings(publish_features=False))
    assert [own.topic for own in stage.encode(scored(stage))] == [TOPICS.anomalies, TOPICS.dead_letters]


def test_partitions_that_are_given_up_write_their_sessions_ends() -> None:
    stage = detecting()
    stage.assign([OTHER])
    scored(stage)
    batch = stage.release([CALLS, OTHER])
    assert Counter(own.topic for own in stage.encode(batch)) == {TOPICS.features: 1, TOPICS.anomalies: 1}
    assert batch.positions == {CALLS: 9}
    assert stage.detector.partitions == {}


def test_partitions_that_are_lost_are_forgotten_without_a_word() -> None:
    stage = detecting()
    scored(stage)
    stage.drop([CALLS])
    assert stage.detector.partitions == {}
    assert stage.encode(stage.release([CALLS])) == []


def test_normalising_keeps_nothing_of_a_partition() -> None:
    stage = NormaliseStage(Normaliser({}), TOPICS, limit())
    stage.assign([LOGS])
    assert stage.release([LOGS]) == Batch()
    stage.drop([LOGS])
