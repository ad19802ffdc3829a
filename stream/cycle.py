"""Cycle: what one transaction makes durable; and the two ways of making it so."""

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Literal, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as Offset
from tenacity import Retrying, retry_if_exception, retry_if_exception_type, stop_after_delay, wait_exponential

from stream.batches import Batch
from stream.records import TopicPartition
from stream.wire import Outgoing

log = structlog.get_logger(__name__)

_PASSING = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TIMED_OUT,  # noqa: SLF001 -- librdkafka's own codes are named so
    KafkaError._TRANSPORT,  # noqa: SLF001 -- same
    KafkaError._WAIT_COORD,  # noqa: SLF001 -- same
}
"""Refusals of an offset commit that pass; librdkafka does not say so of those."""

_LASTING = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.POLICY_VIOLATION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
"""Refusals that no repetition changes; a person has to."""

_HANGS_S = 10.0
"""A call that takes milliseconds, and this long, hangs; short, as a worker that is to end waits for it too."""


@dataclass(slots=True)
class Cycle:
    """Outputs of one or more batches with the positions they lead to.

    Attributes:
        outgoing: records to produce, in order.
        checkpoints: records of the state topics, to produce when the outputs are safe; in this order, as one
            record of each checkpoint makes those before it valid.
        positions: next offset to read, by input partition.
        batches: the batches, for the metrics once they are durable.
        abandoned: its partitions belong to another worker now, so it must not be made durable any more.
    """

    outgoing: list[Outgoing] = field(default_factory=list)
    checkpoints: list[Outgoing] = field(default_factory=list)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    abandoned: bool = False

    def add(self, batch: Batch, outgoing: Iterable[Outgoing]) -> None:
        """Add a batch with its encoded outputs."""
        produced = len(self.outgoing)
        self.outgoing += outgoing
        self.checkpoints += batch.checkpoint
        self.positions.update(batch.positions)
        # An idle worker looks at its partitions several times a second: batches of nothing would pile up.
        if batch.positions or batch.samples or len(self.outgoing) > produced:
            self.batches.append(batch)

    @property
    def empty(self) -> bool:
        """True when there is nothing to make durable."""
        return not self.outgoing and not self.checkpoints and not self.positions

    def offsets(self) -> list[Offset]:
        """Return the positions as the client library wants them."""
        return [Offset(name.topic, name.partition, offset) for name, offset in self.positions.items()]


class DeliveryError(Exception):
    """Outputs could not be made durable; the worker must stop, and a restart resumes from the last commit."""


class AbandonedError(Exception):
    """The cycle was abandoned before it was durable: another worker does it again.

    Of a transaction read_committed consumers see nothing; what was flushed they see twice.
    """


class Member(Protocol):
    """What a delivery asks of the group's member whose positions it commits; a consumer, from any thread."""

    def consumer_group_metadata(self) -> Any:
        """Return the membership that a transaction is fenced by."""

    def commit(self, *, offsets: list[Offset], asynchronous: Literal[False]) -> Any:
        """Commit offsets; returns when they are."""


class HungError(Exception):
    """The client library has not come back from a call that it should have ended by itself."""


class Delivery(Protocol):
    """A way of making a cycle durable."""

    def start(self) -> None:
        """Connect.

        Raises:
            DeliveryError: the broker does not answer or refuses.
        """

    def deliver(self, cycle: Cycle, consumer: Member) -> None:
        """Make a cycle durable; returns when it is.

        Raises:
            AbandonedError: it was abandoned meanwhile.
            DeliveryError: it could not be.
        """


class Transactions:
    """exactly_once: outputs and offsets in one Kafka transaction, fenced by the consumer group's generation (KIP-447).

    Args:
        config: producer configuration with a transactional id.
        timeout_s: how long one step may be retried.
    """

    def __init__(self, config: dict[str, Any], timeout_s: float) -> None:
        self._config = config
        self._producer = Producer(config)
        self._timeout_s = timeout_s
        self._hangs_s = min(_HANGS_S, timeout_s / 2)

    def start(self) -> None:
        """Register the transactional id, which also aborts what a killed predecessor left open."""
        try:
            self._retrying(self._producer.init_transactions, self._timeout_s)
        except KafkaException as error:
            raise _refused("transactions could not be initialised", error) from error

    def deliver(self, cycle: Cycle, consumer: Member) -> None:
        """Produce and commit; an aborted transaction is repeated from the cycle, which is kept until it is durable.

        It is not repeated once the cycle is abandoned, nor when the group does not know this worker any more. The group
        fences a worker that has lost its partitions until it has rejoined, and it cannot rejoin before the loss was
        handled, which abandons the cycle: so no cycle is committed under the membership of a later generation.
        """

        def vain(error: BaseException) -> bool:
            return cycle.abandoned or _expelled(error)

        retrying = Retrying(
            retry=retry_if_exception(lambda error: _abortable(error) and not vain(error) and not _lasting(error)),
            stop=stop_after_delay(self._timeout_s),
            wait=wait_exponential(0.05, max=2),
            before_sleep=lambda state: self._abort(state.outcome.exception() if state.outcome else None),
            reraise=True,
        )
        renewing = Retrying(
            retry=retry_if_exception_type(HungError),
            stop=stop_after_delay(self._timeout_s),
            before_sleep=lambda _: self._renew(cycle),
            reraise=True,
        )
        try:
            renewing(retrying, self._transaction, cycle, consumer)
        except HungError as error:
            raise DeliveryError(f"{error}; restart this worker: it resumes from the last commit") from error
        except KafkaException as error:
            if _abortable(error) and vain(error):
                self._abort(error)
                raise AbandonedError from error
            raise _refused("a transaction failed", error) from error

    def _transaction(self, cycle: Cycle, consumer: Member) -> None:
        producer = self._producer
        producer.begin_transaction()
        produce_all(producer, cycle.outgoing)
        produce_all(producer, cycle.checkpoints)
        if cycle.positions:
            self._retrying(self._send_offsets, cycle.offsets(), consumer.consumer_group_metadata())
        self._retrying(producer.commit_transaction, self._timeout_s)

    def _send_offsets(self, offsets: list[Offset], metadata: Any) -> None:
        """Add the offsets to the transaction.

        librdkafka's call may never return, whatever its timeout, when the group's coordinator goes away meanwhile
        (its issues 5456 and 5511): a rolling restart of the brokers would hang the worker. So it is called in a
        thread that may be left behind.

        Raises:
            HungError: it has not returned.
        """
        sent: Future[None] = Future()
        producer = self._producer

        def send() -> None:
            try:
                producer.send_offsets_to_transaction(offsets, metadata, self._timeout_s)
            except BaseException as error:  # noqa: BLE001 -- raised below
                sent.set_exception(error)
            else:
                sent.set_result(None)

        Thread(target=send, name="send offsets", daemon=True).start()
        try:
            sent.result(self._hangs_s)
        except TimeoutError:
            raise HungError(f"no end of sending offsets after {self._hangs_s:g} s") from None

    def _renew(self, cycle: Cycle) -> None:
        """Give the producer up, with the transaction and the thread that it is stuck in, for a new one of its id.

        Raises:
            AbandonedError: the cycle is not to be repeated.
            DeliveryError: the broker does not answer or refuses.
        """
        log.warning("the client library hangs; going on with a new producer")
        self._producer = Producer(self._config)
        self.start()
        if cycle.abandoned:
            raise AbandonedError

    def _abort(self, error: BaseException | None) -> None:
        log.warning("transaction aborted", error=str(error))
        self._retrying(self._producer.abort_transaction, self._timeout_s)

    def _retrying(self, call: Any, *arguments: Any) -> None:
        """Repeat a call of the transactional API for as long as its errors say that helps."""
        retrying = Retrying(
            retry=retry_if_exception(_retriable),
            stop=stop_after_delay(self._timeout_s),
            wait=wait_exponential(0.02, max=1),
            reraise=True,
        )
        retrying(call, *arguments)


class Flushes:
    """at_least_once: wait for every delivery report, then commit the offsets.

    Args:
        config: producer configuration without a transactional id.
        timeout_s: how long a flush may take.
    """

    def __init__(self, config: dict[str, Any], timeout_s: float) -> None:
        self._producer = Producer(config)
        self._timeout_s = timeout_s
        self._failures: list[KafkaError] = []

    def start(self) -> None:
        """Do nothing: a plain producer connects when it first produces."""

    def deliver(self, cycle: Cycle, consumer: Member) -> None:
        """Produce, wait for every report, and only then go on: outputs, then checkpoints, then offsets.

        So a checkpoint that is there is never ahead of its outputs, and offsets are never ahead of either.
        """
        for records in (cycle.outgoing, cycle.checkpoints):
            if records:
                self._flush(records)
        if cycle.positions:
            self._commit(cycle, consumer)

    def _flush(self, records: Iterable[Outgoing]) -> None:
        self._failures.clear()
        try:
            produce_all(self._producer, records, self._reported)
        except KafkaException as error:
            raise _refused("an output was refused", error) from error
        undelivered = self._producer.flush(self._timeout_s)
        if undelivered or self._failures:
            why = str(self._failures[0]) if self._failures else f"no answer within {self._timeout_s:g} s"
            raise DeliveryError(f"{undelivered + len(self._failures)} outputs were not delivered: {why}")

    def _commit(self, cycle: Cycle, consumer: Member) -> None:
        """Commit the positions; a group that is just rebalancing, or whose coordinator is, is asked again."""
        retrying = Retrying(
            retry=retry_if_exception(lambda error: _passing(error) and not cycle.abandoned),
            stop=stop_after_delay(self._timeout_s),
            wait=wait_exponential(0.05, max=1),
            reraise=True,
        )
        try:
            retrying(consumer.commit, offsets=cycle.offsets(), asynchronous=False)
        except KafkaException as error:
            if cycle.abandoned or _expelled(error):
                raise AbandonedError from error
            raise _refused("offsets could not be committed", error) from error

    def _reported(self, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self._failures.append(error)


def produce_all(producer: Producer, outgoing: Iterable[Outgoing], reported: Any = None) -> None:
    """Hand records to the producer, waiting for room when its queue is full."""
    produce = producer.produce
    for record in outgoing:
        topic, key, value, timestamp, headers, partition = record
        listed: list[tuple[str, str | bytes | None]] | None = list(headers) if headers else None
        while True:
            try:
                # By position, which takes half as long as by name, and a checkpoint is thousands of records. The
                # fifth and the sixth are both for the delivery report, and with any fifth, even None, the sixth is
                # not called; a time of 0 is the present one.
                produce(topic, value, key, partition, reported, None, max(timestamp, 0), listed)
                break
            except BufferError:
                producer.poll(0.05)
    producer.poll(0)


def _error(error: BaseException) -> KafkaError | None:
    return error.args[0] if isinstance(error, KafkaException) and isinstance(error.args[0], KafkaError) else None


def _retriable(error: BaseException) -> bool:
    kafka_error = _error(error)
    return kafka_error is not None and bool(kafka_error.retriable())


def _abortable(error: BaseException) -> bool:
    """Return whether a transaction is to be aborted; producing into one that has already failed is a wrong state."""
    kafka_error = _error(error)
    return kafka_error is not None and bool(kafka_error.txn_requires_abort() or kafka_error.code() == KafkaError._STATE)  # noqa: SLF001 -- the constant's name


def _passing(error: BaseException) -> bool:
    kafka_error = _error(error)
    return kafka_error is not None and kafka_error.code() in _PASSING


def _lasting(error: BaseException) -> bool:
    kafka_error = _error(error)
    return kafka_error is not None and kafka_error.code() in _LASTING


def _expelled(error: BaseException) -> bool:
    kafka_error = _error(error)
    return kafka_error is not None and kafka_error.code() in {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
    }


def _refused(what: str, error: KafkaException) -> DeliveryError:
    kafka_error = _error(error)
    advice = "restart this worker; it resumes from the last commit"
    if _lasting(error):
        advice = "correct the topic or the permissions, then restart this worker; it resumes from the last commit"
    if kafka_error is not None and kafka_error.code() in {KafkaError._FENCED, KafkaError.PRODUCER_FENCED}:  # noqa: SLF001 -- the constant's name
        advice = "another worker has taken over its partitions; restart this one to rejoin the group"
    return DeliveryError(f"{what}: {error}; {advice}")
