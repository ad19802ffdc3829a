"""Intake: one consumer, one batch in flight, from the input topics to an agent's channel."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as Offset
from mode import Service

from stream.batch_size import BatchSize
from stream.batches import Batch
from stream.clock import SteadyClock
from stream.errors import StateError
from stream.outbox import Outbox
from stream.reader import Reader
from stream.records import Record, TopicPartition
from stream.state_reader import NotWantedError

log = structlog.get_logger(__name__)

_LASTING = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 -- the constant's name
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 -- same
    # A consumer whose place in the group another one has taken (group.instance.id) reads nothing any more. librdkafka
    # says so once, with this code; the error itself does not claim to be fatal.
    KafkaError._FATAL,  # noqa: SLF001 -- same
}
"""Errors of the consumer that waiting does not mend."""

_LONGEST_POLL_S = 0.05
_IDLE_LOOK_S = 0.25


@dataclass(slots=True)
class Work:
    """A batch of records on its way through the agents.

    Attributes:
        records: what was read.
        idle: partitions fully read and without news, whose clocks follow the wall clock ``now``.
        now: wall clock, epoch milliseconds.
        batch: what it led to, as far as it has come.
        done: set when the batch is in the outbox; carries the exception if an agent failed.
    """

    records: Sequence[Record]
    idle: Sequence[TopicPartition]
    now: int
    done: asyncio.Future[None]
    batch: Batch = field(default_factory=Batch)


class Stage(Protocol):
    """What the intake asks of the role it feeds, apart from work through the channel."""

    def release(self, names: Iterable[TopicPartition]) -> Batch:
        """Give partitions up; what that leads to is committed before another worker gets them."""

    def drop(self, names: Iterable[TopicPartition]) -> None:
        """Forget partitions that another worker already has."""

    def checkpoint(self, batch: Batch, now_s: float) -> Batch:
        """Return the checkpoints to commit with a batch that was processed."""


class Recovers(Protocol):
    """What the intake asks of the recovery of a role with state."""

    async def restore(self, name: TopicPartition, wanted: Callable[[], bool]) -> int | None:
        """Restore a partition; return the offset to read it from, None for the committed one."""

    async def close(self) -> None:
        """Let go of the brokers."""


class Intake(Service):
    """Reads batches and waits for each to reach the outbox before it reads the next.

    Args:
        name: the role.
        config: consumer configuration.
        topics: what to subscribe to.
        send: puts work into the first agent's channel.
        stage: the role's state.
        outbox: where outputs go.
        recovery: restores partitions before they are read; None for a role without state.
        batch_size: records taken at once.
        idle_after_s: seconds without news after which a fully read partition is idle.
        shutdown_timeout_s: longest that the last batch and its commit may take.
    """

    def __init__(  # noqa: PLR0913 -- the parts of an intake, each named at the call
        self,
        name: str,
        config: dict[str, Any],
        topics: Sequence[str],
        *,
        send: Callable[[Work], Any],
        stage: Stage,
        outbox: Outbox,
        recovery: Recovers | None,
        batch_size: BatchSize,
        idle_after_s: float,
        shutdown_timeout_s: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.assigned: dict[TopicPartition, float] = {}
        """Partitions that are read, with the monotonic time of their last news."""
        self.restoring: dict[TopicPartition, object] = {}
        """Assigned partitions whose state is not there yet, each with a token of its assignment."""
        self.failure: Exception | None = None
        """What ended the reading."""
        self.joined = False
        self.clock = SteadyClock()
        self._reader = Reader(name, config)
        self._topics = list(topics)
        self._send = send
        self._stage = stage
        self._outbox = outbox
        self._recovery = recovery
        self._batch_size = batch_size
        self._idle_after_s = idle_after_s
        self._shutdown_timeout_s = shutdown_timeout_s
        self._ends: dict[TopicPartition, int] = {}  # end offset of partitions that were read to it
        self._next_idle_look = 0.0
        self._deaf = False
        self._unhandled: Exception | None = None  # what a rebalance handler raised
        self._reading: asyncio.Future[None] | None = None
        self._restorer: asyncio.Future[None] | None = None

    @property
    def ready(self) -> bool:
        """True while it is a member of its group and every partition it was given is being read."""
        return self.joined and not self.restoring

    @property
    def idle(self) -> list[TopicPartition]:
        """Partitions fully read and without news for as long as makes them idle."""
        now = time.monotonic()
        return [name for name in self._ends if now - self.assigned.get(name, now) >= self._idle_after_s]

    async def on_start(self) -> None:
        """Connect the outbox, join the group, start to read."""
        await self._outbox.start()
        if self.should_stop:  # while it connected; the consumer is closed by now
            return
        self._reader.subscribe(
            self._topics,
            on_assign=lambda _, offsets: self._take(offsets),
            on_revoke=lambda _, offsets: self._in_loop(self._on_revoke, offsets),
            on_lost=lambda _, offsets: self._in_loop(self._on_lost, offsets),
        )
        self._reading = self.add_future(self._read())

    async def on_stop(self) -> None:
        """Finish the batch, commit, leave the group; the revocation makes the last checkpoints.

        Raises:
            TimeoutError: that took too long.
            DeliveryError: the last outputs could not be made durable.
        """
        try:
            async with asyncio.timeout(self._shutdown_timeout_s):
                if self._reading is not None:
                    await asyncio.wait([self._reading])
                if not self.crashed:
                    await self._outbox.commit(self._reader)
        except BaseException:
            self._deaf = True
            raise
        finally:
            # After a crash state may be ahead of what is durable: the next owner goes on from the last commit.
            self._deaf = self._deaf or self.crashed
            if self._restorer is not None:
                self._restorer.cancel()
            await self._reader.close()
            if self._recovery is not None:
                await self._recovery.close()
            log.info("left the group", role=self.name)
        self._raise_unhandled()

    def lags(self) -> dict[TopicPartition, int]:
        """Return how many records of each assigned partition are not yet read, as far as the client knows the end."""
        return self._reader.lags

    async def _read(self) -> None:
        try:
            while not self.should_stop:
                timeout = min(_LONGEST_POLL_S, self._outbox.due_in)
                messages = await self._reader.consume(self._batch_size.present, timeout)
                self._raise_unhandled()
                records = self._sort_out(messages)
                idle = self._idle(records)
                batch = await self._process(records, idle) if records or idle else Batch()
                made = self._stage.checkpoint(batch, time.monotonic())
                if made.checkpoint:
                    self._outbox.put(made)
                await self._outbox.commit_when_due(self._reader)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it ends the worker, which says so
            await self._fail(error)

    async def _process(self, records: Sequence[Record], idle: Sequence[TopicPartition]) -> Batch:
        """Send a batch through the agents, and wait until its outputs are in the outbox."""
        work = Work(records, idle, self.clock(), asyncio.get_running_loop().create_future())
        started = time.monotonic()
        await self._send(work)
        await work.done
        self._batch_size.took(len(records), time.monotonic() - started)
        self._note_news(work.batch, idle)
        return work.batch

    async def _fail(self, error: Exception) -> None:
        self.failure = error
        if isinstance(error, StateError):  # no defect: a traceback would only hide what to do
            log.error("the worker stops", role=self.name, error=str(error), hint=error.hint)
        else:
            log.error("the worker stops", role=self.name, error=str(error), exc_info=error)
        await self.crash(error)

    def _sort_out(self, messages: Sequence[Any]) -> list[Record]:
        """Return the records, and note partitions that have been read to their end.

        Raises:
            KafkaException: the consumer met an error that does not pass.
        """
        records: list[Record] = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the constant's name
                self._ends[TopicPartition(message.topic(), message.partition())] = message.offset()
            elif error.fatal() or error.code() in _LASTING:
                raise KafkaException(error)
            else:
                # librdkafka goes on trying by itself; most of its errors only say that it has to.
                log.warning("consumer error, waiting", role=self.name, error=error.str())
        return records

    def _note_news(self, batch: Batch, idle: Sequence[TopicPartition]) -> None:
        """Remember when partitions had news; one that was read beyond the end last reported is not at its end."""
        now = time.monotonic()
        for name, position in batch.positions.items():
            if name in idle:
                continue  # its position is there to fence its outputs
            self.assigned[name] = now
            if self._ends.get(name, position) < position:
                del self._ends[name]

    def _idle(self, records: Sequence[Record]) -> list[TopicPartition]:
        """Return the partitions whose clocks may follow the wall clock; none with records at hand."""
        now = time.monotonic()
        if now < self._next_idle_look:
            return []
        self._next_idle_look = now + _IDLE_LOOK_S
        idle = self.idle
        if idle and records:
            busy = {TopicPartition(record.topic(), record.partition()) for record in records}
            idle = [name for name in idle if name not in busy]
        return idle

    def _take(self, offsets: Sequence[Offset]) -> None:
        """Take partitions over; those of a role with state are not read before they are restored.

        Nothing is held on the way out: the consumer, which is closing, would refuse, and not leave the group.
        """
        if self._recovery is not None and offsets and not self._deaf and not self.should_stop:
            self._reader.hold(offsets)
        self._in_loop(self._on_assign, offsets)

    async def _on_assign(self, names: list[TopicPartition]) -> None:
        log.info("partitions assigned", role=self.name, partitions=[str(name) for name in names])
        self.joined = True
        if self._recovery is None:
            self.assigned.update(dict.fromkeys(names, time.monotonic()))
            return
        self.restoring.update({name: object() for name in names})
        if self._restorer is None or self._restorer.done():
            self._restorer = self.add_future(self._restore(self._recovery))

    async def _restore(self, recovery: Recovers) -> None:
        """Restore one partition after the other; each is read as soon as it is there."""
        try:
            while self.restoring:
                name, token = next(iter(self.restoring.items()))

                def wanted(name: TopicPartition = name, token: object = token) -> bool:
                    return self.restoring.get(name) is token and not self.should_stop

                try:
                    start = await recovery.restore(name, wanted)
                    await self._reader.read_on(name, start)
                except NotWantedError:
                    pass
                except KafkaException:
                    if wanted():  # else the consumer does not know the partition any more
                        raise
                if self.should_stop:
                    return
                if wanted():
                    del self.restoring[name]
                    self.assigned[name] = time.monotonic()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it ends the worker, which says so
            await self._fail(error)

    async def _on_revoke(self, names: list[TopicPartition]) -> None:
        log.info("partitions revoked", role=self.name, partitions=[str(name) for name in names])
        self._forget(names)
        self._outbox.put(self._stage.release(names))
        await self._outbox.commit(self._reader)

    async def _on_lost(self, names: list[TopicPartition]) -> None:
        log.warning("partitions lost to another worker", role=self.name, partitions=[str(name) for name in names])
        self.joined = False
        self._forget(names)
        self._stage.drop(names)
        await self._outbox.discard()

    def _forget(self, names: list[TopicPartition]) -> None:
        for name in names:
            self.assigned.pop(name, None)
            self.restoring.pop(name, None)
            self._ends.pop(name, None)

    def _in_loop(self, handle: Callable[[list[TopicPartition]], Any], offsets: Sequence[Offset]) -> None:
        """Run a rebalance handler in the event loop while the poll thread waits: state has one thread only."""
        if self._deaf:
            return
        names = [TopicPartition(offset.topic, offset.partition) for offset in offsets]
        try:
            self._reader.wait(asyncio.run_coroutine_threadsafe(handle(names), self.loop))
        except Exception as error:  # noqa: BLE001 -- raised once the client library has ended the callback
            self._unhandled = error

    def _raise_unhandled(self) -> None:
        """Raise what a rebalance handler has raised: not through the client library, which is left amid a rebalance."""
        error, self._unhandled = self._unhandled, None
        if error is not None:
            raise error
