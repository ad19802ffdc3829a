"""What a feed polls: a consumer that hands out what the test says, in the place of the client library's."""

from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from stream.wire import Outgoing


def polled(record: Outgoing) -> Any:
    """Return a record as the client library hands it out."""
    parts = {"error": None, "key": record.key, "value": record.value, "headers": list(record.headers)}
    return SimpleNamespace(**{name: (lambda value=value: value) for name, value in parts.items()})


def failure(code: int, *, fatal: bool = False) -> Any:
    """Return an error as the client library hands it out."""
    return SimpleNamespace(error=lambda: KafkaError(code, "said", fatal))


class FakeConsumer:
    """Hands out one list of messages after the other.

    Args:
        polls: the lists.
        error: what is wrong with the topic, as far as the brokers know.
    """

    places: list[TopicPartition]

    def __init__(self, polls: list[list[Any]], error: KafkaError | None = None) -> None:
        self.polls = polls
        self.error = error
        self.closed = False

    def assign(self, places: list[TopicPartition]) -> None:
        self.places = places

    def consume(self, _most: int, _timeout_s: float) -> list[Any]:
        return self.polls.pop(0) if self.polls else []

    def list_topics(self, topic: str, _timeout_s: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=self.error)})

    def close(self) -> None:
        self.closed = True
