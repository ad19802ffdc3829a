"""LabelFeed: follows the topic ``labels``, so that the metrics say how often each model's alerts were right."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message

from scorer.feedback import Said
from scorer.precision import LabelTally
from stream.telemetry import Telemetry
from stream.topic_feed import TopicFeed
from stream.wire import decode_label

log = structlog.get_logger(__name__)

_LOOK_S = 5.0


class LabelFeed(TopicFeed):
    """Follows the topic from its beginning, beside the worker's other work: nothing that is published depends on it.

    So a worker does not wait for it at its start, and goes on when the topic is missing or holds something else.

    Args:
        config: consumer configuration; it joins no group.
        topic: the topic.
        telemetry: the metrics.
    """

    most = 1000
    poll_s = 0.0
    rest_s = 1.0

    def __init__(self, config: dict[str, Any], topic: str, telemetry: Telemetry, **kwargs: Any) -> None:
        super().__init__(config, topic, start=OFFSET_BEGINNING, **kwargs)
        self._topic = topic
        self._telemetry = telemetry
        self._tally = LabelTally()

    def look(self, consumer: Consumer) -> None:
        """Say so when the topic cannot be read: the client library waits for a missing one without a word."""
        try:
            found = consumer.list_topics(self._topic, _LOOK_S).topics.values()
            errors = [own.error for own in found if own.error is not None]
        except KafkaException as failure:
            errors = [failure.args[0]]
        for error in errors:
            log.warning("labels are not counted until their topic can be read", topic=self._topic, error=error.str())

    def take(self, messages: Sequence[Message]) -> Mapping[str, Mapping[Said, int]]:
        """Take labels in; return what all labels say, in sessions by model."""
        for message in messages:
            key, value = message.key() or b"", message.value()
            session = key.decode("utf-8", "replace")
            label = None
            if value is not None:
                try:
                    label = decode_label(key, value)
                except (ValueError, msgspec.DecodeError, RecursionError) as error:
                    log.warning("a label is not counted", topic=self._topic, session=session, error=str(error))
            self._tally.take(session, label)
        return self._tally.by_model()

    async def taken(self, result: Mapping[str, Mapping[Said, int]]) -> None:
        """Show what the labels say."""
        self._telemetry.labelled(result)
