"""ModelFeed: follows the topic ``models``, so that a worker takes up what is promoted there."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Offset
from mode import Service

from stream.model_records import ModelRecord, TopicModels
from stream.model_reload import ModelReload
from stream.model_topic import read_record

log = structlog.get_logger(__name__)

_POLL_S = 0.5
_READ_AT_ONCE = 10


class ModelFeed(Service):
    """Reads what comes after the models that the worker started with; the consumer belongs to one thread.

    Bundles are checked in that thread too: the event loop only swaps them in. What goes wrong with the topic is logged
    and waited out, since the worker can go on with the models that it has.

    Args:
        config: consumer configuration; it joins no group.
        topic: the topic.
        start: offset after the records that ``models`` has taken in.
        models: takes the records in.
        reload: swaps them in.
    """

    def __init__(
        self,
        config: dict[str, Any],
        topic: str,
        *,
        start: int,
        models: TopicModels,
        reload: ModelReload,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._config = config
        self._place = Offset(topic, 0, start)
        self._models = models
        self._reload = reload
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._consumer: Consumer | None = None
        self._following: asyncio.Future[None] | None = None

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
            changed, problems = await loop.run_in_executor(self._thread, self._poll)
            for problem in problems:
                self._reload.refuse(problem)
            if changed:
                await self._reload.reload()

    def _poll(self) -> tuple[bool, list[str]]:
        """Wait for records and take them in; return as ``TopicModels.take``."""
        if self._consumer is None:
            self._consumer = Consumer(self._config)
            self._consumer.assign([self._place])
        records: list[ModelRecord] = []
        for message in self._consumer.consume(_READ_AT_ONCE, _POLL_S):
            error = message.error()
            if error is None:
                record = read_record(message)
                if record is not None:
                    records.append(record)
            elif error.fatal():
                raise KafkaException(error)
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the constant's name
                log.warning("the models cannot be read, waiting", topic=self._place.topic, error=error.str())
        return self._models.take(records)
