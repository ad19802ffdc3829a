"""What is fed back, where to and as what; the topic and the delivery are made up."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from stream.cycle import AbandonedError, Cycle, DeliveryError
from stream.dead_letter_progress import Selection
from stream.dead_letter_replay import DeadLetterReplay, Summary
from stream.dead_letter_topic import Kept
from stream.dead_letters import DeadLetter, Reason
from stream.errors import CommandError, ExitCode
from stream.wire import Outgoing, StoredDeadLetter

LETTER = DeadLetter(Reason.LATE_CALL, "late", "calls", 1, 7, 1000, b"original", b"key")
LATE = Selection(reasons=frozenset({Reason.LATE_CALL}))


def kept(offset: int, *, truncated_from: int | None = None, partition: int = 0, **change: Any) -> Kept:
    letter = msgspec.structs.replace(LETTER, **change)
    return Kept("dead-letters", partition, offset, 2000, StoredDeadLetter(letter, truncated_from))


class Topic:
    """A topic of dead letters that remembers what was committed."""

    name = "dead-letters"
    consumer = None

    def __init__(self, *records: Kept) -> None:
        self.records = list(records)
        self.marks: dict[int, tuple[int, str | None]] = {record.partition: (-1001, None) for record in records}

    def committed(self) -> dict[int, tuple[int, str | None]]:
        return dict(self.marks)

    def remaining(self, starts: Mapping[int, int]) -> int:
        return len(list(self.read(starts, None)))

    def read(self, starts: Mapping[int, int], _: object) -> Iterator[Kept]:
        return (record for record in self.records if record.offset >= starts[record.partition])


class Delivered:
    """A delivery that keeps the records, and may fail."""

    def __init__(self, topic: Topic, error: Exception | None = None) -> None:
        self.outgoing: list[Any] = []
        self._topic = topic
        self._error = error

    def start(self) -> None:
        pass

    def deliver(self, cycle: Cycle, _: object) -> None:
        if self._error:
            raise self._error
        self.outgoing += cycle.outgoing
        self._topic.marks |= {own.partition: (own.offset, own.metadata) for own in cycle.offsets()}


def replay(topic: Any, delivery: Any, selection: Selection = Selection(), **how: Any) -> Summary:  # noqa: B008 -- frozen
    own = DeadLetterReplay(topic, delivery, selection=selection, there={"calls", "logs", "other"}, **how)
    return own.run(lambda _: None)


def test_an_original_goes_back_with_its_key_and_time_and_says_where_it_was() -> None:
    topic = Topic(kept(3, partition=2))
    delivered = Delivered(topic)
    replay(topic, delivered)
    headers = (("gatewatch.replayed-from", "dead-letters-2@3"),)
    assert delivered.outgoing == [Outgoing("calls", b"key", b"original", 1000, headers)]


def test_a_second_replay_feeds_back_only_what_is_new() -> None:
    topic = Topic(kept(0), kept(1))
    delivered = Delivered(topic)
    assert replay(topic, delivered).fed.total() == 2
    topic.records.append(kept(2))
    assert replay(topic, delivered).fed.total() == 1
    assert len(delivered.outgoing) == 3


def test_what_a_filter_leaves_out_stays_for_another() -> None:
    topic = Topic(kept(0), kept(1, reason=Reason.UNDECODABLE), kept(2))
    delivered = Delivered(topic)
    first = replay(topic, delivered, LATE)
    second = replay(topic, delivered)
    assert (first.fed.total(), first.filtered, second.fed.total(), second.earlier) == (2, 1, 1, 1)
    assert topic.marks[0] == (3, "")


def test_a_dry_run_feeds_nothing_back_and_remembers_nothing() -> None:
    topic = Topic(kept(0))
    assert replay(topic, None).fed.total() == 1
    assert topic.marks[0] == (-1001, None)


def test_again_starts_from_the_oldest_and_forgets_nothing_of_other_kinds() -> None:
    topic = Topic(kept(0), kept(1, reason=Reason.UNDECODABLE))
    delivered = Delivered(topic)
    replay(topic, delivered)
    assert replay(topic, delivered, LATE, again=True).fed.total() == 1
    assert replay(topic, delivered).fed.total() == 0
    assert [record.value for record in delivered.outgoing] == [b"original"] * 3


def test_cut_originals_and_other_records_are_counted_not_fed_back() -> None:
    topic = Topic(kept(0, truncated_from=9_000_000), Kept("dead-letters", 0, 1, 0, None))
    delivered = Delivered(topic)
    summary = replay(topic, delivered)
    assert (summary.fed.total(), summary.truncated, summary.foreign, delivered.outgoing) == (0, 1, 1, [])


def test_another_target_takes_all() -> None:
    topic = Topic(kept(0), kept(1, topic="gone"))
    delivered = Delivered(topic)
    replay(topic, delivered, target="other")
    assert [record.topic for record in delivered.outgoing] == ["other", "other"]


def test_a_source_that_is_gone_is_named_and_nothing_is_remembered() -> None:
    topic = Topic(kept(0, topic="gone"))
    with pytest.raises(CommandError, match="dead-letters-0@0 came from gone, and there is no such topic") as caught:
        replay(topic, Delivered(topic))
    assert (caught.value.exit_code, topic.marks[0][0]) == (ExitCode.UNREACHABLE, -1001)


@pytest.mark.parametrize("error", [DeliveryError("refused; restart this worker"), AbandonedError()])
def test_brokers_that_refuse_are_a_failure_that_says_to_go_on(error: Exception) -> None:
    topic = Topic(kept(0))
    with pytest.raises(CommandError, match="could not be fed back") as caught:
        replay(topic, Delivered(topic, error))
    assert "worker" not in str(caught.value)
    assert (caught.value.exit_code, "goes on" in caught.value.hint) == (ExitCode.FAILURE, True)


def test_offsets_of_another_program_are_refused() -> None:
    topic = Topic(kept(0))
    topic.marks[0] = (5, "of another program")
    with pytest.raises(CommandError, match="not those of an earlier replay"):
        replay(topic, Delivered(topic))
