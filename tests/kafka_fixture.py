"""Kafka as one test sees it: the fixture ``kafka``."""

import time
import uuid
from collections.abc import Mapping

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its stub does not export NewTopic
    AdminClient,
    NewTopic,
)

from tests.kafka_broker import START_SECONDS, Broker, BrokerStartError, BrokerUnavailableError
from tests.programs import Start


class Kafka:
    """A broker as one test sees it: under a prefix of its own, so that tests do not meet.

    Attributes:
        prefix: begins the names of this test's topics, groups and transactional ids.
        start: starts ``gatewatch``; None: workers are started by the interpreter, and commands not at all.
    """

    def __init__(self, broker: Broker, start: Start | None = None) -> None:
        self._broker = broker
        self.start = start
        self.prefix = f"t{uuid.uuid4().hex[:8]}-"
        self._admin: AdminClient | None = None

    @property
    def bootstrap(self) -> str:
        """Address of the cluster, ``host:port``."""
        return self._broker.bootstrap

    def kill(self) -> None:
        """End the broker at once, as a power cut would; its data stays. Skips the test when the broker is not ours."""
        try:
            self._broker.kill()
        except BrokerUnavailableError as error:
            pytest.skip(str(error))

    def restart(self) -> None:
        """Start the broker again on its data and at its address; returns when it answers."""
        self._broker.restart()

    def admin(self) -> AdminClient:
        """Return the admin client of this test.

        One for the whole test: a client that nobody keeps is gone before its answer comes, and the answer with it.
        """
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})  # tests end brokers
        return self._admin

    def forget_admin(self) -> None:
        """Let ``admin`` return a new client from now on."""
        self._admin = None

    def create_topic(self, name: str, partitions: int = 4, config: Mapping[str, str] | None = None) -> str:
        """Create a topic of this test and return its whole name, ``prefix + name``, when every partition has a leader.

        Raises:
            KafkaException: the broker refused.
        """
        topic = self.prefix + name
        admin = self.admin()
        admin.create_topics([NewTopic(topic, partitions, 1, config=dict(config or {}))])[topic].result(timeout=20)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            described = admin.list_topics(topic, timeout=5).topics[topic]
            if described.error is None and all(p.leader >= 0 for p in described.partitions.values()):
                return topic
            time.sleep(0.02)
        raise BrokerStartError(f"topic {topic} has no leaders")

    def close(self) -> None:
        """Leave the cluster to the next test as it was found: running, without this test's topics."""
        if not self._broker.alive():
            self._broker.restart()
        try:
            self._delete_topics()
        except (KafkaException, TimeoutError):  # maybe it is the client: a new one is asked
            self.forget_admin()
            self._delete_topics()

    def _delete_topics(self) -> None:
        admin = self.admin()
        ours = [topic for topic in admin.list_topics(timeout=20).topics if topic.startswith(self.prefix)]
        if ours:
            for deleted in admin.delete_topics(ours).values():
                deleted.result(timeout=20)
