"""Feeds of suppression rules: look after their file, or follow their topic, while a worker runs."""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import Message
from mode import Service

from stream.suppression_records import TopicRules
from stream.suppression_reload import RulesInForce, SuppressionReload
from stream.topic_feed import TopicFeed

LOOK_S = 2.0
"""A person who changes a rule waits so long at most; a look is one question to the file system."""


class SuppressionFeed(Service):
    """Looks at the file every LOOK_S.

    Asked instead of told: notifications do not cover network file systems and the links that Kubernetes swaps.

    Args:
        reload: takes up what has changed.
    """

    def __init__(self, reload: SuppressionReload, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reload = reload

    async def on_start(self) -> None:
        """Begin to look."""
        self.add_future(self._follow())

    async def _follow(self) -> None:
        while not self.should_stop:
            await self._reload.look()
            await self.sleep(LOOK_S)


class SuppressionTopicFeed(TopicFeed):
    """Follows the topic.

    Args:
        config: consumer configuration; it joins no group.
        topic: the topic.
        start: offset after the records that ``rules`` has taken in.
        rules: takes the records in.
        in_force: puts them in force.
    """

    def __init__(
        self,
        config: dict[str, Any],
        topic: str,
        *,
        start: int,
        rules: TopicRules,
        in_force: RulesInForce,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, topic, start=start, **kwargs)
        self._rules = rules
        self._in_force = in_force

    def take(self, messages: Sequence[Message]) -> list[str]:
        """Take rules in; return what is wrong with them."""
        return self._rules.take(messages)

    async def taken(self, result: list[str]) -> None:
        """Put the rules in force."""
        for problem in result:
            self._in_force.refuse(problem)
        self._in_force.use(self._rules.rules())
