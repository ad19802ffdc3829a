"""Published: what a read_committed consumer finds on the topics of a trial."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # its stub does not export it

from stream.checkpoints import decode_degrees
from stream.records import Record
from tests.chaos.items import Item, alert_item, call_item, degree_items, letter_item, vector_item
from tests.kafka_workers import PARTITIONS, Gatewatch


def end_of(gatewatch: Gatewatch, topic: str) -> dict[int, int]:
    """Return the end of every partition, whatever is committed."""
    return _latest(gatewatch.kafka.admin(), topic, IsolationLevel.READ_UNCOMMITTED)


def settled(gatewatch: Gatewatch, topics: Sequence[str]) -> bool:
    """Tell whether no transaction is open on the topics: what comes after its first record would not be seen."""
    admin = gatewatch.kafka.admin()
    return all(
        _latest(admin, topic, IsolationLevel.READ_COMMITTED) == _latest(admin, topic, IsolationLevel.READ_UNCOMMITTED)
        for topic in topics
    )


def records(gatewatch: Gatewatch, topic: str) -> list[Record]:
    """Return all committed records of a topic, partition by partition in order."""
    return cast("list[Record]", gatewatch.read(topic))  # Message says that it may hold an error instead


def passed_on(calls: Sequence[Record]) -> Iterator[Item]:
    """Yield the records of the topic of calls."""
    for record in calls:
        yield call_item(record.key(), record.value(), record.timestamp()[1])


def dead_letters(gatewatch: Gatewatch) -> list[Item]:
    """Return the dead letters."""
    letters: Sequence[Any] = gatewatch.read(gatewatch.dead_letters)
    return [letter_item(own.key(), own.value(), own.headers() or ()) for own in letters]


def vectors(features: Sequence[Record], *, everything: bool) -> Iterator[Item]:
    """Yield the vectors of the topic of features; ``everything`` as for an item."""
    for record in features:
        yield vector_item(record.value(), everything=everything)


def alerts(gatewatch: Gatewatch) -> list[Item]:
    """Return the alerts."""
    return [alert_item(record.value()) for record in records(gatewatch, gatewatch.anomalies)]


def degrees(gatewatch: Gatewatch, topic: str) -> Iterator[Item]:
    """Yield the counts of the latest record of each input partition on the topic of degrees."""
    latest = {own.key() or b"": own.value() or b"" for own in records(gatewatch, topic)}
    for partition, value in latest.items():
        yield from degree_items(partition.decode(), decode_degrees(value)[0])


def _latest(admin: AdminClient, topic: str, isolation: IsolationLevel) -> dict[int, int]:
    latest: Any = OffsetSpec.latest  # without types
    asked = {TopicPartition(topic, number): latest() for number in range(PARTITIONS)}
    found = admin.list_offsets(asked, isolation_level=isolation, request_timeout=10)
    return {name.partition: future.result(timeout=15).offset for name, future in found.items()}
