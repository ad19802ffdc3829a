"""ModelFeed: follows the topic ``models``, so that a worker takes up what is promoted there."""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import Message

from stream.model_records import TopicModels
from stream.model_reload import ModelReload
from stream.model_topic import read_record
from stream.topic_feed import TopicFeed


class ModelFeed(TopicFeed):
    """Follows the topic; bundles are checked in the consumer's thread: the event loop only swaps them in.

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
        super().__init__(config, topic, start=start, **kwargs)
        self._models = models
        self._reload = reload

    def take(self, messages: Sequence[Message]) -> tuple[bool, list[str]]:
        """Take bundles in; return as ``TopicModels.take``."""
        records = (read_record(message) for message in messages)
        return self._models.take(record for record in records if record is not None)

    async def taken(self, result: tuple[bool, list[str]]) -> None:
        """Swap other models in."""
        changed, problems = result
        for problem in problems:
            self._reload.refuse(problem)
        if changed:
            await self._reload.reload()
