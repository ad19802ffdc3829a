"""Record and position types that the pure pipeline shares with Kafka and with files."""

from typing import NamedTuple, Protocol

EPOCH_2000 = 946_684_800_000
"""Kafka timestamps before the year 2000 are not times: some producers write -1 or 0."""


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class Keyed(Protocol):
    """A record's key and value."""

    def key(self) -> bytes | None:
        """Return the key."""

    def value(self) -> bytes | None:
        """Return the value."""


class Record(Keyed, Protocol):
    """What the pipeline reads of a record; confluent-kafka's Message has this form."""

    def topic(self) -> str:
        """Return the topic's name."""

    def partition(self) -> int:
        """Return the partition's number."""

    def offset(self) -> int:
        """Return the record's offset."""

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of timestamp and its epoch milliseconds."""


REPLAY = TopicPartition("replay", 0)
"""The one input partition that files are replayed as."""


class FileRecord(NamedTuple):
    """One line of the replayed files in the form of a Record."""

    number: int
    line: bytes

    def topic(self) -> str:
        """Return the topic that stands for the files."""
        return REPLAY.topic

    def partition(self) -> int:
        """Return the partition that stands for the files."""
        return REPLAY.partition

    def offset(self) -> int:
        """Return the line's number over all files, from 0."""
        return self.number

    def timestamp(self) -> tuple[int, int]:
        """Return no time: a line has no arrival."""
        return (0, -1)

    def key(self) -> None:
        """Return no key."""
        return

    def value(self) -> bytes:
        """Return the line."""
        return self.line
