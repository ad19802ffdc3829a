"""A reader leaves its group whatever the group is just doing."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from stream.reader import Reader
from tests.kafka_fixture import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(120)]

_READERS = 20
"""Of those that just closed their consumers one in six hung, by chance."""


def leave_unserved(bootstrap: str, topic: str, groups: Sequence[str]) -> None:
    """Join each group, wait until the broker has given all of them partitions, and leave without a single poll."""
    config = {
        "bootstrap.servers": bootstrap,
        "partition.assignment.strategy": "range",
        "group.instance.id": "place-0",
        "enable.auto.commit": False,
    }
    readers = [Reader(group, config | {"group.id": group}) for group in groups]
    for reader in readers:
        reader.subscribe([topic], on_assign=lambda *_: None, on_revoke=lambda *_: None)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    while not all_stable(admin, groups):
        time.sleep(0.1)
    time.sleep(0.5)  # the answers are on their way
    for reader in readers:
        asyncio.run(reader.close())


def all_stable(admin: AdminClient, groups: Sequence[str]) -> bool:
    """Return whether every group has given its partitions out."""
    try:
        described = [found.result() for found in admin.describe_consumer_groups(list(groups)).values()]
    except KafkaException:  # the group's coordinator is only just beginning
        return False
    return all(own.state is ConsumerGroupState.STABLE for own in described)


def test_a_reader_closes_while_an_assignment_waits_to_be_served(kafka: Kafka) -> None:
    """In a process of its own, since one that hangs holds the interpreter lock."""
    topic = kafka.create_topic("calls")
    groups = [f"{kafka.prefix}{number}" for number in range(_READERS)]
    program = f"from {__name__} import leave_unserved; leave_unserved({kafka.bootstrap!r}, {topic!r}, {groups!r})"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
