"""The topic of dead letters, read from offsets to the end that it has now."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from stream.settings import Settings
from stream.whole_topic import Report, WholeTopic
from stream.wire import StoredDeadLetter, decode_dead_letter

_READ_AT_ONCE = 100


class Kept(NamedTuple):
    """A record of the topic; ``stored`` is None when it is no dead letter of gatewatch's."""

    topic: str
    partition: int
    offset: int
    time: int
    stored: StoredDeadLetter | None

    @property
    def position(self) -> str:
        """Where it is."""
        return f"{self.topic}-{self.partition}@{self.offset}"


class DeadLetterTopic(WholeTopic):
    """The topic as it is now; use it as a context.

    Args:
        settings: how to reach the brokers, and the topic's name.
        group_suffix: as for WholeTopic.

    Raises:
        CommandError: no broker answers, or there is no such topic (exit code 3).
    """

    def __init__(self, settings: Settings, group_suffix: str) -> None:
        super().__init__(settings, settings.topics.dead_letters, group_suffix)

    def read(self, starts: Mapping[int, int], report: Report = lambda _: None) -> Iterator[Kept]:
        """Yield the committed records from the starts to the end, in order within a partition.

        Raises:
            CommandError: the brokers refuse, or have long been silent.
        """
        for message in self.messages(starts, _READ_AT_ONCE, report):
            yield _kept(message)


def _kept(message: Any) -> Kept:
    try:
        stored = decode_dead_letter(message.key(), message.value(), message.headers())
    except ValueError:
        stored = None
    return Kept(message.topic(), message.partition(), message.offset(), message.timestamp()[1], stored)
