"""The topic ``suppressions`` from outside of a worker's event loop: read whole, and added to. Every method blocks."""

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from stream.assembly import SCHEMA
from stream.cycle import AbandonedError, Cycle, DeliveryError, Flushes
from stream.errors import CommandError
from stream.finding_topic import GROUP
from stream.kafka_config import producer_config
from stream.settings import Settings
from stream.suppression_records import TopicRules
from stream.whole_topic import WholeTopic
from stream.wire import Outgoing

log = structlog.get_logger(__name__)

_READ_AT_ONCE = 1000
_TIMEOUT_S = 30.0


class FollowedRules(NamedTuple):
    """What a worker starts with that follows the topic.

    Attributes:
        rules: those taken from it.
        position: offset after the last record of it.
    """

    rules: TopicRules
    position: int


class SuppressionTopic(WholeTopic):
    """The topic as it is now; use it as a context.

    Args:
        settings: how to reach the brokers, and the topic's name.

    Raises:
        CommandError: as WholeTopic.
    """

    def __init__(self, settings: Settings) -> None:
        hint = "make it with: gatewatch topics create --set alerts.suppressions=topic:"
        super().__init__(settings, settings.topics.suppressions, GROUP, hint)
        self._producer = producer_config(settings, None)

    @property
    def position(self) -> int:
        """Offset after the last record that ``read`` reads."""
        return self.bounds[0][1]

    def read(self) -> tuple[TopicRules, Sequence[str]]:
        """Return the rules, and what is wrong with records that cannot be used.

        Raises:
            CommandError: the topic can't be read.
        """
        rules = TopicRules(SCHEMA.names)
        return rules, rules.take(self.messages(self.since(None), _READ_AT_ONCE))

    def write(self, record: Outgoing) -> None:
        """Add a record; returns when the brokers have it.

        Raises:
            CommandError: it could not be written.
        """
        try:
            Flushes(self._producer, _TIMEOUT_S).deliver(Cycle(outgoing=[record]), self.consumer)
        except (DeliveryError, AbandonedError) as error:
            hint = "do it again: the latest record of a rule holds"
            raise CommandError(f"{self.name} could not be written: {error}", hint) from error


def followed_rules(settings: Settings) -> FollowedRules | None:
    """Return the rules of the topic, read to its end; None when the settings do not have workers follow it.

    Raises:
        CommandError: the topic is missing, or cannot be read.
    """
    if not settings.alerts.from_topic:
        return None
    with SuppressionTopic(settings) as topic:
        rules, problems = topic.read()
        for problem in problems:
            log.error("a suppression rule of the topic is not used", error=problem)
        return FollowedRules(rules, topic.position)
