"""TopicFeed: follows a compacted topic of one partition while a worker runs."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Offset
from mode import Service

log = structlog.get_logger(__name__)


class TopicFeed(Service):
    """Reads what comes after the records that the worker started with; the consumer belongs to one thread.

    What goes wrong with the topic is logged and waited out, since the worker can go on with what it has.

    Args:
        config: consumer configuration; it joins no group.
        topic: the topic.
        start: offset after the records that have been taken in.

    Attributes:
        most: records taken in at once.
        poll_s: longest wait for records in the consumer's thread, which a stopping worker waits out.
        rest_s: pause after a poll without records, which ends at once when the worker stops.
    """

    most: ClassVar[int] = 10
    poll_s: ClassVar[float] = 0.5
    rest_s: ClassVar[float] = 0.0

    def __init__(self, config: dict[str, Any], topic: str, *, start: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._config = config
        self._place = Offset(topic, 0, start)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=topic)
        self._consumer: Consumer | None = None
        self._following: asyncio.Future[None] | None = None

    def look(self, consumer: Consumer) -> None:
        """Look at the topic once, before it is followed; called in the consumer's thread. Does nothing by itself."""

    def take(self, messages: Sequence[Message]) -> Any:
        """Take in what was read; called in the consumer's thread."""
        raise NotImplementedError

    async def taken(self, result: Any) -> None:
        """Go on with what ``take`` returned, in the event loop."""
        raise NotImplementedError

    async def on_start(self) -> None:
        """Begin to follow."""
        self._following = self.add_future(self._follow())

    async def on_stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            await asyncio.wait([self._following])
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, consumer.close)
        self._thread.shutdown(wait=False)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.should_stop:
            messages = await loop.run_in_executor(self._thread, self._poll)
            if messages:
                await self.taken(await loop.run_in_executor(self._thread, self.take, messages))
            elif self.rest_s:
                await self.sleep(self.rest_s)

    def _poll(self) -> list[Message]:
        """Wait for records; return those that came, if any did."""
        if self._consumer is None:
            self._consumer = Consumer(self._config)
            self._consumer.assign([self._place])
            self.look(self._consumer)
        messages = []
        for message in self._consumer.consume(self.most, self.poll_s):
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.fatal():
                raise KafkaException(error)
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the constant's name
                log.warning("a topic cannot be read, waiting", topic=self._place.topic, error=error.str())
        return messages
