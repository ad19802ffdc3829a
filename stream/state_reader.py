"""StateReader: reads a partition's state and its records to replay; every method blocks, for use in one thread."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Offset
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from stream.checkpoints import Restoration, Snapshot
from stream.kafka_config import without_membership
from stream.records import Record, TopicPartition
from stream.resume import Log

log = structlog.get_logger(__name__)

T = TypeVar("T")
Wanted = Callable[[], bool]
"""Tells whether the work still matters: a partition may go to another worker while it is being restored."""

BATCH = 10_000
_POLL_S = 0.05
_ANSWER_S = 10.0
_REPORT_S = 5.0

_LASTING = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 -- librdkafka's own codes are named so
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 -- same
}
"""Errors that waiting does not mend."""


class NotWantedError(Exception):
    """The partition has gone to another worker meanwhile."""


def require_wanted(wanted: Wanted) -> None:
    """Give work up that does not matter any more.

    Raises:
        NotWantedError: it does not.
    """
    if not wanted():
        raise NotWantedError


class StateReader:
    """Reads state topic and input topics beside the worker's own consumer.

    Args:
        config: consumer configuration of the worker's group, whose committed offsets are asked for; it joins no group.
        state_topic: where checkpoints are.

    Attributes:
        progress: told how many records have been read of how many (offsets).
    """

    def __init__(self, config: dict[str, Any], state_topic: str) -> None:
        config = without_membership(config)
        # A broker would hold the last fetch of each partition up for half a second, in case that more comes.
        config |= {"auto.offset.reset": "error", "enable.partition.eof": True, "fetch.wait.max.ms": 10}
        self.progress: Callable[[int, int], None] = lambda _read, _end: None
        self._state_topic = state_topic
        self._reader = Consumer(config)
        # The end of a log as it is, open transactions included: what they hold may concern the partition.
        self._asker = Consumer(config | {"isolation.level": "read_uncommitted"})

    def close(self) -> None:
        """Let go of the brokers."""
        self._reader.close()
        self._asker.close()

    def log_of(self, name: TopicPartition, wanted: Wanted) -> Log:
        """Return what the broker says of an input partition.

        The committed offset is that of a moment without a transaction on it, so whoever owned the partition before can
        add nothing more: the state read afterwards goes with it.

        Raises:
            NotWantedError: the partition has gone.
            KafkaException: the broker refuses for good.
        """
        place = Offset(name.topic, name.partition)
        # First of all: of a partition that was just added this client knows nothing before it has asked.
        partitions = self._patiently(lambda: self._shape_of(name), wanted)
        committed = self._patiently(lambda: self._reader.committed([place], timeout=_ANSWER_S), wanted)[0].offset
        low, high = self._patiently(lambda: self._asker.get_watermark_offsets(place, timeout=_ANSWER_S), wanted)
        return Log(low, high, committed if committed >= 0 else None, partitions)

    def snapshot(self, name: TopicPartition, wanted: Wanted) -> Snapshot:
        """Return what the checkpoints of an input partition amount to.

        Raises:
            NotWantedError: the partition has gone.
            StateError: records are missing, unreadable or of another version.
            KafkaException: the broker refuses for good.
        """
        restoration = Restoration(name)
        for messages in self.state(name, wanted):
            restoration.feed(messages)
        return restoration.finish()

    def state(self, name: TopicPartition, wanted: Wanted) -> Iterator[list[Message]]:
        """Yield the records of the state partition that goes with an input partition, whatever they are.

        Raises:
            NotWantedError: the partition has gone.
            KafkaException: the broker refuses for good.
        """
        place = Offset(self._state_topic, name.partition)
        low, high = self._patiently(lambda: self._asker.get_watermark_offsets(place, timeout=_ANSWER_S), wanted)
        for messages in self._read(self._state_topic, name.partition, low, high, wanted):
            yield messages
            self.progress(_offset(messages[-1]) + 1, high)

    def records(self, name: TopicPartition, begin: int, end: int, wanted: Wanted) -> Iterator[Sequence[Record]]:
        """Yield an input partition's records from one offset to before another.

        Raises:
            NotWantedError: the partition has gone.
            KafkaException: the broker refuses for good.
        """
        found = self._read(name.topic, name.partition, begin, end, wanted)
        return cast("Iterator[Sequence[Record]]", found)  # a message that was read has a place, its type may not

    def _shape_of(self, name: TopicPartition) -> int:
        """Return how many partitions a partition's topic has.

        Raises:
            KafkaException: the broker does not know the partition, not yet.
        """
        partitions = self._asker.list_topics(name.topic, timeout=_ANSWER_S).topics[name.topic].partitions
        if name.partition not in partitions:
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
        return len(partitions)

    def _read(self, topic: str, partition: int, begin: int, end: int, wanted: Wanted) -> Iterator[list[Message]]:
        if begin >= end:
            return
        self._reader.assign([Offset(topic, partition, begin)])
        reported = time.monotonic()
        try:
            ended = False
            while not ended:
                require_wanted(wanted)
                polled = self._reader.consume(BATCH, _POLL_S)
                messages = [message for message in polled if message.error() is None]
                ended = self._reached(polled, end)
                if messages and _offset(messages[-1]) >= end - 1:
                    ended = True
                    messages = [message for message in messages if _offset(message) < end]
                if messages:
                    yield messages
                elif not ended and time.monotonic() - reported > _REPORT_S:
                    reported = time.monotonic()
                    # Committed records end where a transaction is open: that of a killed worker, until it is aborted.
                    log.warning("waiting for the broker to end a transaction", topic=topic, partition=partition)
        finally:
            self._reader.unassign()

    @staticmethod
    def _reached(polled: list[Message], end: int) -> bool:
        """Return whether the partition was read to an offset, which may be one that holds no record."""
        for message in polled:
            error = message.error()
            if error is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the constant's name
                return _offset(message) >= end
            if error.fatal() or error.code() in _LASTING or error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 -- same
                raise KafkaException(error)
            log.warning("consumer error, waiting", error=error.str())
        return False

    def _patiently(self, call: Callable[[], T], wanted: Wanted) -> T:
        """Ask the brokers until they answer, however long they are away."""

        def asked() -> T:
            require_wanted(wanted)
            return call()

        retrying = Retrying(
            retry=retry_if_exception(_passing),
            wait=wait_exponential(0.1, max=2),
            before_sleep=_say_waiting,
            reraise=True,
        )
        return retrying(asked)


def _passing(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and not error.args[0].fatal() and error.args[0].code() not in _LASTING


def _say_waiting(state: RetryCallState) -> None:
    log.warning("waiting for the broker", error=str(state.outcome.exception() if state.outcome else ""))


def _offset(message: Message) -> int:
    return message.offset() or 0
