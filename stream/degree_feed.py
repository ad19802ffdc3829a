"""DegreeFeed: follows the topic ``degrees``, where every partition's owner publishes its DegreeTable."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Offset

from featurizer.degree_snapshots import DegreeSnapshot
from stream.checkpoints import decode_degrees
from stream.kafka_config import without_membership
from stream.records import TopicPartition

log = structlog.get_logger(__name__)

_POLL_S, _HURRIED_POLL_S = 0.5, 0.05
_ANSWER_S = 10.0
_RETRY_S = 1.0
_MOST = 1000

Learn = Callable[[TopicPartition, DegreeSnapshot, int], None]
"""Called in the event loop with a partition, its degrees, and how many partitions its topic had."""


class DegreeFeed:
    """Reads the whole topic and then what comes; the consumer belongs to one thread.

    Args:
        config: consumer configuration; it joins no group.
        topic: the topic.
        learn: told of every record, the older ones of a partition first.
    """

    def __init__(self, config: dict[str, Any], topic: str, learn: Learn) -> None:
        self._config = without_membership(config)
        self._topic = topic
        self._learn = learn
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="degrees")
        self._consumer: Consumer | None = None
        self._behind: dict[int, int] = {}
        self._complete = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def complete(self) -> None:
        """Return when everything that was on the topic at the first call has been learned; goes on following it."""
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow())
        waiting = asyncio.get_running_loop().create_task(self._complete.wait())
        await asyncio.wait([waiting, self._following], return_when=asyncio.FIRST_COMPLETED)
        if self._following.done():
            waiting.cancel()
            self._following.result()

    async def close(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, consumer.close)
        self._thread.shutdown(wait=False)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for name, degrees, partitions in await loop.run_in_executor(self._thread, self._poll):
                self._learn(name, degrees, partitions)
            if not self._behind and self._consumer is not None:
                self._complete.set()

    def _poll(self) -> list[tuple[TopicPartition, DegreeSnapshot, int]]:
        consumer = self._consumer or self._connect()
        if consumer is None:
            return []
        found = []
        for message in consumer.consume(_MOST, _HURRIED_POLL_S if self._behind else _POLL_S):
            error = message.error()
            if error is not None:
                self._heed(error, message.partition() or 0, message.offset() or 0)
            elif message.value() is not None:
                found.append((_name_of(message.key() or b""), *_decoded(message.value() or b"", self._topic)))
                self._passed(message.partition() or 0, (message.offset() or 0) + 1)
        return found

    def _connect(self) -> Consumer | None:
        """Assign the whole topic; None when the brokers do not answer."""
        # The end as it is, open transactions included: a worker that is just starting waits for them.
        asker = Consumer(self._config | {"isolation.level": "read_uncommitted"})
        try:
            numbers = asker.list_topics(self._topic, timeout=_ANSWER_S).topics[self._topic].partitions
            ranges = {
                number: asker.get_watermark_offsets(Offset(self._topic, number), timeout=_ANSWER_S)
                for number in numbers
            }
        except KafkaException as error:
            log.warning("waiting for the degree tables", error=str(error))
            time.sleep(_RETRY_S)
            return None
        finally:
            asker.close()
        more = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": 100}
        consumer = Consumer(self._config | more)
        consumer.assign([Offset(self._topic, number, 0) for number in ranges])
        self._behind = {number: high for number, (low, high) in ranges.items() if high > low}
        self._consumer = consumer
        return consumer

    def _heed(self, error: KafkaError, partition: int, offset: int) -> None:
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the constant's name
            self._passed(partition, offset)
        elif error.fatal() or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise KafkaException(error)

    def _passed(self, partition: int, offset: int) -> None:
        if partition in self._behind and offset >= self._behind[partition]:
            del self._behind[partition]


def _name_of(key: bytes) -> TopicPartition:
    topic, _, partition = key.decode().rpartition("-")
    return TopicPartition(topic, int(partition))


def _decoded(value: bytes, topic: str) -> tuple[DegreeSnapshot, int]:
    try:
        return decode_degrees(value)
    except msgspec.DecodeError as error:
        raise ValueError(
            f"a record of {topic} is no degree table ({error}): is another program writing there?"
        ) from error
