"""What each role writes, to which topic, for a batch."""

from collections.abc import Iterable

import msgspec
import pytest

from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import GATEWAY_V1
from scorer.alerts import AlertPolicy
from stream.batches import Batch
from stream.challenger import Challenger
from stream.checkpoints import Restoration, Snapshot, restore_sessions
from stream.clock import now_ms
from stream.dead_letter_limit import DeadLetterPolicy, DeadLetterWindow
from stream.pipeline import Normaliser
from stream.records import TopicPartition
from stream.roles import DetectStage, NormaliseStage
from stream.sections.kafka import TopicsSettings
from stream.wire import Outgoing, decode_features
from tests.records import CALLS, LOGS, NOW, OTHER, SESSIONS, Made, call_record, decode_words, detect_stage, plain_judge

TOPICS = TopicsSettings()


def normalising() -> NormaliseStage:
    limit = DeadLetterWindow(DeadLetterPolicy(), "normalise")
    return NormaliseStage(Normaliser({"logs": decode_words}), TOPICS, limit)


def detecting(topics: TopicsSettings = TOPICS) -> DetectStage:
    stage = detect_stage(topics)
    begin(stage, CALLS)
    return stage


def begin(stage: DetectStage, name: TopicPartition, snapshot: Snapshot | None = None, start: int = 0) -> None:
    """Restore a partition from a snapshot, or from nothing."""
    snapshot = snapshot or Snapshot()
    restore_sessions(stage.restore(name, snapshot, partitions=4), snapshot)
    stage.go_live(name, start)


def snapshot_of(records: Iterable[Outgoing], name: TopicPartition = CALLS) -> Snapshot:
    """Return what the records of checkpoints amount to."""
    restoration = Restoration(name)
    restoration.feed([Made(own.value, name=own.key) for own in records if own.topic == TOPICS.state])
    return restoration.finish()


def scored(stage: DetectStage) -> Batch:
    """Return a batch with one vector, one alert and one dead letter."""
    records = [call_record(at, NOW + at, "ann", f"GET /{at}") for at in range(8)]
    batch = stage.detector.sessionize([*records, Made(b"no call", 8)])
    stage.detector.score(batch)
    return batch


def test_without_originals_neither_role_keeps_them_in_dead_letters() -> None:
    limit = DeadLetterWindow(DeadLetterPolicy(), "normalise")
    normalise = NormaliseStage(Normaliser({"logs": decode_words}), TOPICS, limit, originals=False)
    written = normalise.encode(normalise.normaliser.normalise([Made(b"? no", 7, LOGS)]))
    detect = detect_stage(TOPICS, originals=False)
    begin(detect, CALLS)
    written += detect.encode(scored(detect))

    letters = [own for own in written if own.topic == TOPICS.dead_letters]
    assert [(own.key, own.value) for own in letters] == [(None, b"")] * 2


def test_normalising_writes_calls_and_dead_letters() -> None:
    stage = NormaliseStage(
        Normaliser({"logs": decode_words}), TOPICS, DeadLetterWindow(DeadLetterPolicy(), "normalise")
    )
    batch = stage.normaliser.normalise([Made(b"%d ann /a\n? x\n%d bob /b" % (NOW, NOW), 7, LOGS)])
    assert [(own.topic, own.key) for own in stage.encode(batch)] == [
        (TOPICS.api_calls, b"ann"),
        (TOPICS.api_calls, b"bob"),
        (TOPICS.dead_letters, b"key"),
    ]


def test_a_backlog_is_stamped_so_that_retention_does_not_delete_it_unread() -> None:
    stage = NormaliseStage(
        Normaliser({"logs": decode_words}), TOPICS, DeadLetterWindow(DeadLetterPolicy(), "normalise")
    )
    fresh = now_ms()
    records = [Made(b"%d ann /a" % time, at, LOGS, time) for at, time in enumerate((1_500_000_000_000, fresh))]
    old, new = stage.encode(stage.normaliser.normalise(records))
    assert fresh - TOPICS.api_calls_retention_h * 3_600_000 < old.timestamp < fresh
    assert new.timestamp == fresh


def test_detecting_writes_alerts_vectors_and_dead_letters() -> None:
    stage = detecting()
    batch = scored(stage)
    records = stage.encode(batch)
    assert [own.topic for own in records] == [TOPICS.anomalies, TOPICS.features, TOPICS.dead_letters, TOPICS.state]
    assert repr(decode_features(records[1].value or b"", GATEWAY_V1).vector) == repr(batch.samples[0].vector)


def test_a_challenger_s_verdict_goes_with_the_vector_s() -> None:
    stage = detecting()
    stage.detector.challenger = Challenger(plain_judge(threshold_open=0.9), AlertPolicy())
    batch = scored(stage)
    (record,) = [own for own in stage.encode(batch) if own.topic == TOPICS.features]
    content = msgspec.json.decode(record.value or b"")
    assert content["challenger"] == msgspec.to_builtins(batch.challenger_verdicts[0])
    assert (content["verdict"]["threshold"], content["challenger"]["threshold"]) == (0.3, 0.9)


def test_vectors_are_written_only_if_they_are_wanted() -> None:
    stage = detecting(TopicsSettings(publish_features=False))
    assert [own.topic for own in stage.encode(scored(stage))] == [
        TOPICS.anomalies,
        TOPICS.dead_letters,
        TOPICS.state,
    ]


def test_partitions_that_are_given_up_end_with_a_checkpoint() -> None:
    stage = detecting()
    begin(stage, OTHER)
    scored(stage)
    batch = stage.release([CALLS, OTHER])
    assert stage.encode(batch) == []
    assert {own.topic for own in batch.checkpoint} == {TOPICS.state, TOPICS.degrees}
    assert batch.positions == {CALLS: 9}
    assert stage.detector.partitions == {}
    kept = snapshot_of(batch.checkpoint)
    assert kept.meta is not None
    assert (kept.meta.position, kept.meta.sessions, kept.meta.partitions) == (9, 1, 4)
    assert stage.release([CALLS]) == Batch()


@pytest.mark.parametrize(("now", "kept"), [("1-now", "1-now"), ("", "1-before")])
def test_state_says_which_templates_name_its_calls(now: str, kept: str) -> None:
    """Where no calls are named, as in a migration, it keeps those it was made under."""
    before = detect_stage(templates="1-before")
    begin(before, CALLS)
    scored(before)
    first = before.release([CALLS]).checkpoint
    after = detect_stage(templates=now)
    begin(after, CALLS, snapshot_of(first))
    meta = snapshot_of([*first, *after.release([CALLS]).checkpoint]).meta
    assert meta is not None
    assert meta.templates == kept


def test_partitions_that_are_lost_are_forgotten_without_a_word() -> None:
    stage = detecting()
    scored(stage)
    stage.drop([CALLS])
    assert stage.detector.partitions == {}
    assert stage.release([CALLS]) == Batch()


def test_a_partition_that_is_still_being_restored_is_given_up_without_a_checkpoint() -> None:
    stage = detecting()
    stage.restore(OTHER, Snapshot(), partitions=4)
    assert stage.release([OTHER]) == Batch()
    assert stage.detector.partitions.keys() == {CALLS}


class TestCheckpoints:
    def test_the_first_transaction_of_a_partition_holds_one(self) -> None:
        """Offsets without a checkpoint would look like state that was lost."""
        stage = detecting()
        assert stage.checkpoint(Batch(), now_s=100) == Batch(), "nothing was read yet"
        scored(stage)
        made = stage.checkpoint(Batch(), now_s=100)
        assert (made.checkpoints, made.positions) == (1, {CALLS: 9})
        assert stage.checkpoint(Batch(), now_s=100) == Batch()

    def test_further_ones_come_with_time_if_there_is_news(self) -> None:
        stage = checkpointed(now_s=100)
        assert stage.checkpoint(Batch(), now_s=200) == Batch(), "no news"
        more(stage)
        assert stage.checkpoint(Batch(), now_s=109.9) == Batch()
        assert stage.checkpoint(Batch(), now_s=110).positions == {CALLS: 10}

    def test_many_records_make_one_whatever_the_time(self) -> None:
        stage = checkpointed(now_s=100)
        stage.detector.partitions[CALLS].offset += 1000
        assert stage.checkpoint(Batch(), now_s=100).checkpoints == 1

    def test_partitions_take_turns_the_most_overdue_first(self) -> None:
        stage = checkpointed(now_s=100)
        begin(stage, OTHER, start=3)
        stage.checkpoint(Batch(), now_s=105)
        for state in stage.detector.partitions.values():
            state.offset += 1
        assert stage.checkpoint(Batch(), now_s=120).positions.keys() == {CALLS}
        assert stage.checkpoint(Batch(), now_s=120).positions.keys() == {OTHER}

    def test_a_partition_that_the_wall_clock_moved_gets_one_at_once(self) -> None:
        stage = detecting()
        scored(stage)
        first = stage.checkpoint(Batch(), now_s=100)
        batch = Batch()
        stage.detector.advance([CALLS], NOW + 10_000, batch)
        assert batch.moved == [CALLS]
        second = stage.checkpoint(batch, now_s=100)
        kept = snapshot_of([*first.checkpoint, *second.checkpoint])
        assert kept.meta is not None
        assert (kept.meta.max_time, kept.meta.sessions, kept.sessions) == (NOW + 10_000, 0, {})

    def test_other_limits_hold_from_a_checkpoint_on(self) -> None:
        before = detecting()
        scored(before)
        first = before.release([CALLS])
        kept = snapshot_of(first.checkpoint)
        assert kept.meta is not None
        assert kept.meta.policy == SESSIONS
        longer = msgspec.structs.replace(SESSIONS, gap=2000)
        after = detect_stage(TOPICS, longer)
        begin(after, CALLS, kept, start=9)
        made = after.checkpoint(Batch(), now_s=0)
        again = snapshot_of([*first.checkpoint, *made.checkpoint])
        assert again.meta is not None
        assert again.meta.policy == longer
        assert (made.positions, again.meta.sessions, len(again.sessions)) == ({CALLS: 9}, 1, 1)


def checkpointed(now_s: float) -> DetectStage:
    """Return a stage whose partition has just made its first checkpoint."""
    stage = detecting()
    scored(stage)
    stage.checkpoint(Batch(), now_s)
    return stage


def more(stage: DetectStage) -> None:
    """Process one more record."""
    stage.detector.score(stage.detector.sessionize([call_record(9, NOW + 9)]))


def test_normalising_keeps_nothing_of_a_partition() -> None:
    stage = normalising()
    assert stage.release([LOGS]) == Batch()
    stage.drop([LOGS])


def test_the_latest_number_of_partitions_counts() -> None:
    """The topic of degrees still has the older records of a table until it is compacted."""
    stage = detecting()
    for partitions in (2, 4):
        stage.learn(OTHER, DegreeSnapshot(0, {}), partitions)
    assert stage.partitions_of(OTHER.topic) == {4}
    stage.learn(CALLS, DegreeSnapshot(0, {}), 2)
    assert stage.partitions_of(OTHER.topic) == {2, 4}
    assert stage.partitions_of("another") == set()


def test_sessions_that_end_before_anything_was_read_are_fenced_and_durable() -> None:
    """A partition that sessions were moved to may be idle from its beginning."""
    before = detecting()
    scored(before)
    first = before.release([CALLS]).checkpoint
    kept = snapshot_of(first)
    assert kept.meta is not None
    kept.meta = msgspec.structs.replace(kept.meta, position=0)
    after = detect_stage()
    begin(after, CALLS, kept)
    batch = Batch()
    after.detector.advance([CALLS], NOW + 10_000, batch)
    assert (len(batch.samples), batch.positions) == (1, {CALLS: 0})
    again = snapshot_of([*first, *after.checkpoint(batch, now_s=0).checkpoint])
    assert again.meta is not None
    assert (again.meta.position, again.meta.sessions) == (0, 0)
