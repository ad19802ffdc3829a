"""Reader: a consumer, and the one thread that uses it.

confluent-kafka lets one thread at a time into a consumer (since 2.16), and ``consume()`` stays inside while it waits
for records and while it runs rebalance callbacks. Another thread that asked the consumer for anything would wait as
long: a scrape of the metrics would hold up the event loop, and the commit that a rebalance callback waits for would
never come. So whatever the consumer is asked, its own thread asks: after a poll, or while a callback waits.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeVar

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as Offset

from stream.records import TopicPartition

T = TypeVar("T")

_LAG_LOOK_S = 0.1
_SERVED_AT_ONCE, _SERVE_S = 100, 0.01
"""What is still read on the way out, and for how long at a time: nobody processes it, so that its next owner does."""
_GIVE_UP_S = 5.0
"""Longest wait for partitions to be given up, besides what a callback takes; the client library needs milliseconds."""


class Reader:
    """Reads batches in a thread of its own; every method but those marked may be called from any other thread.

    Args:
        name: of the thread.
        config: consumer configuration.

    Attributes:
        lags: how many records of each assigned partition are not yet read, as far as the client knows the end.
    """

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.lags: dict[TopicPartition, int] = {}
        self._consumer = Consumer(config)
        self._incremental = config.get("group.protocol") == "consumer" or "cooperative" in config.get(
            "partition.assignment.strategy", ""
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"poll-{name}")
        self._asked: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._membership: Any = None
        self._next_lag_look = 0.0

    def subscribe(self, topics: Sequence[str], **callbacks: Callable[[Consumer, Sequence[Offset]], None]) -> None:
        """Join the group; the rebalance callbacks run in this reader's thread."""
        self._consumer.subscribe(list(topics), **callbacks)

    async def consume(self, most: int, timeout_s: float) -> list[Any]:
        """Return the next messages, at most so many, after this long at the latest."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._consume, most, timeout_s)

    async def close(self) -> None:
        """Leave the group, which revokes all partitions first."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)

    def wait(self, future: Future[T]) -> T:
        """Return a future's result; called in this reader's thread, from a rebalance callback.

        Meanwhile the consumer can be asked: the future may depend on an answer.
        """
        self._note_membership()
        future.add_done_callback(lambda _: self._asked.put(lambda: None))
        while not future.done():
            self._asked.get()()
        return future.result()

    def consumer_group_metadata(self) -> Any:
        """Return the latest membership in the group that is known; a transaction is fenced by it.

        The broker refuses one that a rebalance has outdated; for the next attempt it is looked up anew.
        """
        self._thread.submit(self._note_membership)
        return self._membership

    def commit(self, *, offsets: list[Offset], asynchronous: Literal[False]) -> None:
        """Commit offsets; returns when they are.

        Raises:
            KafkaException: they could not be.
        """
        self._ask(lambda: self._consumer.commit(offsets=offsets, asynchronous=asynchronous)).result()

    def hold(self, offsets: Sequence[Offset]) -> None:
        """Take partitions over without reading them yet; called in this reader's thread, from a rebalance callback."""
        taken = list(offsets)
        if self._incremental:
            self._consumer.incremental_assign(taken)
        else:
            self._consumer.assign(taken)
        self._consumer.pause(taken)

    async def read_on(self, name: TopicPartition, start: int | None) -> None:
        """Begin to read a partition that was held.

        Args:
            name: the partition.
            start: offset to begin at; None for the group's committed offset.
        """
        place = Offset(name.topic, name.partition)

        def work() -> None:
            if start is not None:
                self._consumer.seek(Offset(name.topic, name.partition, start))
            self._consumer.resume([place])

        await asyncio.wrap_future(self._ask(work))

    def _ask(self, work: Callable[[], Any]) -> "Future[None]":
        """Let this reader's thread do something with the consumer."""
        answer: Future[None] = Future()

        def answered() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 -- raised where it was asked
                answer.set_exception(error)
            else:
                answer.set_result(None)

        self._asked.put(answered)
        self._thread.submit(self._answer)
        return answer

    def _answer(self) -> None:
        """Do what has been asked, unless a rebalance callback has already done it."""
        while True:
            try:
                work = self._asked.get_nowait()
            except Empty:
                return
            work()

    def _close(self) -> None:
        """Give all partitions up, then close.

        A consumer that closes while an assignment waits to be served serves it, and the revocation behind it, when its
        part in the group may already have ended; the revocation then waits for an answer for ever, and with the
        interpreter lock (librdkafka's issue 4041): the process is deaf. So no callback is left to be served.
        """
        with suppress(KafkaException):  # one that was fenced has nothing left to give up
            self._consumer.unsubscribe()
            deadline = time.monotonic() + _GIVE_UP_S
            while self._consumer.consume(_SERVED_AT_ONCE, _SERVE_S) or self._consumer.assignment():
                if time.monotonic() >= deadline:
                    break
        self._consumer.close()

    def _consume(self, most: int, timeout_s: float) -> list[Any]:
        messages = self._consumer.consume(most, timeout_s)
        self._note_membership()
        if time.monotonic() >= self._next_lag_look:
            self._next_lag_look = time.monotonic() + _LAG_LOOK_S
            self._note_lags()
        return messages

    def _note_membership(self) -> None:
        """Remember the membership, but not that of a consumer which has just lost it.

        The broker takes offsets from a transaction without a member's id as those of a program that is in no group,
        and does not fence it. The id is looked at last: a new one is only given after a rebalance callback.
        """
        membership = self._consumer.consumer_group_metadata()
        if self._consumer.memberid():
            self._membership = membership

    def _note_lags(self) -> None:
        """Remember the lags; what the client does not know of a partition is left out, and is no reason to stop."""
        lags = {}
        assigned = self._consumer.assignment()
        for position in self._consumer.position(assigned) if assigned else ():
            with suppress(KafkaException):
                _, end = self._consumer.get_watermark_offsets(position, cached=True)
                if end >= 0 and position.offset >= 0:
                    lags[TopicPartition(position.topic, position.partition)] = max(0, end - position.offset)
        self.lags = lags
