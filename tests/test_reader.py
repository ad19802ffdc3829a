"""A consumer is used by one thread, and nobody who asks it for something waits for a poll or a rebalance to end."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as Offset

from stream import reader as reader_module
from stream.reader import Reader

OFFSETS = [Offset("calls", 0, 7)]


class FakeConsumer:
    """Like confluent-kafka's consumer it has a poll that runs callbacks; it notes who uses it."""

    def __init__(self, _config: dict[str, Any]) -> None:
        self.threads: set[int] = set()
        self.membership = "first"
        self.member_id: str | None = "me"
        self.committed: list[Offset] = []
        self.error: Exception | None = None
        self.during_poll: Callable[[], None] = lambda: None
        self.assigned = OFFSETS
        self.ends_unknown = False
        self.done: list[str] = []

    def _used(self) -> None:
        self.threads.add(threading.get_ident())

    def consume(self, _most: int, _timeout_s: float) -> list[str]:
        self._used()
        self.during_poll()
        return ["message"]

    def consumer_group_metadata(self) -> str:
        self._used()
        return self.membership

    def memberid(self) -> str | None:
        self._used()
        return self.member_id

    def commit(self, *, offsets: list[Offset], asynchronous: bool) -> None:
        self._used()
        assert not asynchronous
        if self.error is not None:
            raise self.error
        self.committed += offsets

    def assignment(self) -> list[Offset]:
        self._used()
        return self.assigned

    def unsubscribe(self) -> None:
        self._used()
        self.done.append("unsubscribe")
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self._used()
        self.done.append("close")

    def position(self, offsets: list[Offset]) -> list[Offset]:
        self._used()
        return offsets

    def get_watermark_offsets(self, _: Offset, *, cached: bool) -> tuple[int, int]:
        self._used()
        assert cached
        if self.ends_unknown:
            raise KafkaException("unknown partition")
        return 0, 10


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setattr(reader_module, "Consumer", FakeConsumer)
    own = Reader("test", {})
    yield own
    own._thread.shutdown()


def consumer_of(reader: Reader) -> FakeConsumer:
    consumer: Any = reader._consumer
    assert isinstance(consumer, FakeConsumer)
    return consumer


def poll(reader: Reader) -> list[Any]:
    return asyncio.run(reader.consume(10, 0.01))


def commit(reader: Reader) -> Future[None]:
    """Ask for a commit from a thread of its own, as an outbox does."""
    answer: Future[None] = Future()

    def work() -> None:
        try:
            reader.commit(offsets=OFFSETS, asynchronous=False)
        except ValueError as error:
            answer.set_exception(error)
        else:
            answer.set_result(None)

    threading.Thread(target=work).start()
    return answer


def test_all_use_is_in_one_thread(reader: Reader) -> None:
    assert poll(reader) == ["message"]
    commit(reader).result(5)
    reader.consumer_group_metadata()
    poll(reader)
    assert len(consumer_of(reader).threads) == 1
    assert threading.get_ident() not in consumer_of(reader).threads


def test_lags_are_those_after_a_poll(reader: Reader) -> None:
    assert reader.lags == {}
    poll(reader)
    assert reader.lags == {("calls", 0): 3}


def test_a_partition_of_unknown_end_has_no_lag_and_ends_nothing(reader: Reader) -> None:
    """After a restart of the broker the client may know a partition as assigned, and nothing else of it."""
    consumer_of(reader).ends_unknown = True
    assert poll(reader) == ["message"]
    assert reader.lags == {}


def test_a_commit_between_polls_is_done_at_once(reader: Reader) -> None:
    commit(reader).result(5)
    assert consumer_of(reader).committed == OFFSETS


def test_a_commit_that_a_rebalance_callback_waits_for_is_done(reader: Reader) -> None:
    """The thread is inside the consumer then: a commit from outside would wait for the callback, and that for it."""
    consumer_of(reader).during_poll = lambda: reader.wait(commit(reader))
    poll(reader)
    assert consumer_of(reader).committed == OFFSETS


def test_what_a_callback_waits_for_may_fail(reader: Reader) -> None:
    failed: Future[None] = Future()
    failed.set_exception(ValueError("not durable"))
    consumer_of(reader).during_poll = lambda: reader.wait(failed)
    with pytest.raises(ValueError, match="not durable"):
        poll(reader)


def test_a_refused_commit_is_raised_where_it_was_asked(reader: Reader) -> None:
    consumer_of(reader).error = ValueError("refused")
    with pytest.raises(ValueError, match="refused"):
        commit(reader).result(5)
    consumer_of(reader).during_poll = lambda: reader.wait(commit(reader))
    with pytest.raises(ValueError, match="refused"):
        poll(reader)


def test_the_membership_is_that_of_the_last_poll(reader: Reader) -> None:
    poll(reader)
    consumer_of(reader).membership = "second"
    poll(reader)
    assert reader.consumer_group_metadata() == "second"


def test_the_membership_is_that_of_the_callback_while_it_runs(reader: Reader) -> None:
    seen: list[Any] = []

    def callback() -> None:
        consumer_of(reader).membership = "second"
        ready: Future[None] = Future()
        ready.set_result(None)
        reader.wait(ready)
        seen.append(reader.consumer_group_metadata())

    poll(reader)
    consumer_of(reader).during_poll = callback
    poll(reader)
    assert seen == ["second"]


def test_an_outdated_membership_is_renewed_without_a_poll(reader: Reader) -> None:
    """A commit that is repeated holds up the polls."""
    poll(reader)
    consumer_of(reader).membership = "second"
    assert reader.consumer_group_metadata() == "first"
    commit(reader).result(5)  # whatever the thread was asked before is done by then
    assert reader.consumer_group_metadata() == "second"


def test_partitions_are_given_up_before_the_consumer_closes(reader: Reader) -> None:
    """A consumer that closes with a rebalance callback to be served may never come back, and lets nobody else run."""
    own = consumer_of(reader)

    def revoke() -> None:
        own.done.append("revoke")
        own.assigned = []
        own.consume = lambda *_: []  # type: ignore[method-assign]  # nothing else is to be read

    own.during_poll = revoke
    asyncio.run(reader.close())
    assert own.done == ["unsubscribe", "revoke", "close"]


def test_a_fenced_consumer_is_closed_too(reader: Reader) -> None:
    own = consumer_of(reader)
    own.error = KafkaException("fenced")
    asyncio.run(reader.close())
    assert own.done == ["unsubscribe", "close"]


@pytest.mark.parametrize("nobody", ["", None])
def test_a_lost_membership_is_not_taken_for_none_at_all(reader: Reader, nobody: str | None) -> None:
    """With the blank one the broker would take the offsets of partitions that another worker has."""
    poll(reader)
    consumer_of(reader).membership, consumer_of(reader).member_id = "blank", nobody
    poll(reader)
    assert reader.consumer_group_metadata() == "first"
