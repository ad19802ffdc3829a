"""Topics on the broker: describe, make, and say which are missing."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its stub does not export them
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from stream.errors import CommandError, ExitCode
from stream.kafka_config import kafka_common
from stream.settings import Settings
from stream.topic_specs import ROLES, TopicSpec, TopicState, wanted_topics

TIMEOUT_S = 10.0
"""How long the brokers may take to answer: a first TLS and SASL handshake included."""

_UNREACHABLE = {
    KafkaError._TRANSPORT,  # noqa: SLF001 -- librdkafka's own codes are named so
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 -- same
    KafkaError._TIMED_OUT,  # noqa: SLF001 -- same
    KafkaError._RESOLVE,  # noqa: SLF001 -- same
    KafkaError._AUTHENTICATION,  # noqa: SLF001 -- same
    KafkaError._SSL,  # noqa: SLF001 -- same
}


class Topics:
    """The topics of a cluster.

    Args:
        settings: how to reach the brokers.
        timeout_s: how long they may take to answer.

    Raises:
        SettingsError: librdkafka refuses ``kafka.properties``.
    """

    def __init__(self, settings: Settings, timeout_s: float = TIMEOUT_S) -> None:
        self._servers = settings.kafka.bootstrap_servers
        self._timeout_s = timeout_s
        self._heard: list[str] = []
        config: dict[str, Any] = kafka_common(settings)
        self._admin = AdminClient(config | {"error_cb": lambda error: self._heard.append(error.str())})

    def names(self) -> set[str]:
        """Return the names of the topics there are; makes none.

        Raises:
            CommandError: no broker answers, or it refuses; says what librdkafka last complained of.
        """
        return set(self._metadata())

    def partitions(self, name: str) -> list[int]:
        """Return the partitions of a topic; none when there is no such topic.

        Raises:
            CommandError: as ``names``.
        """
        found = self._metadata().get(name)
        return [] if found is None else sorted(found.partitions)

    def describe(self, names: Iterable[str]) -> dict[str, TopicState]:
        """Return the state of those of the topics that exist.

        Raises:
            CommandError: as ``names``.
        """
        metadata = self._metadata()
        there = [name for name in names if name in metadata]
        configs = self._configs(there)
        return {
            name: TopicState(
                partitions=len(metadata[name].partitions),
                replication_factor=min((len(p.replicas) for p in metadata[name].partitions.values()), default=0),
                config=configs[name],
            )
            for name in there
        }

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Make topics; one that somebody else made meanwhile is left as it is. Returns when each can be used.

        Raises:
            CommandError: the brokers refuse, for example because there are too few for the replication factor.
        """
        new = [NewTopic(s.name, s.partitions, s.replication_factor, config=dict(s.config)) for s in specs]
        if not new:
            return
        created = self._admin.create_topics(new, operation_timeout=self._timeout_s, request_timeout=self._timeout_s)
        for name, future in created.items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise self._failure(f"topic {name} cannot be made", error) from None
        # The broker that answers may not have heard yet, and whoever looks next would find them missing.
        self._until_led({spec.name: 1 for spec in specs})

    def add_partitions(self, name: str, total: int) -> None:
        """Give a topic more partitions; returns when each has a leader.

        Raises:
            CommandError: the brokers refuse.
        """
        made = self._admin.create_partitions(
            [NewPartitions(name, total)], operation_timeout=self._timeout_s, request_timeout=self._timeout_s
        )
        try:
            made[name].result()
        except KafkaException as error:
            raise self._failure(f"topic {name} cannot be given {total} partitions", error) from None
        self._until_led({name: total})

    def _until_led(self, wanted: Mapping[str, int]) -> None:
        """Return when each topic has as many partitions as wanted or more, all of them with a leader."""
        deadline = time.monotonic() + self._timeout_s
        waiting = list(wanted)
        while time.monotonic() < deadline:
            found = self._metadata()
            waiting = [name for name in waiting if not _led(found.get(name), wanted[name])]
            if not waiting:
                return
            time.sleep(0.1)
        raise CommandError(f"the new partitions of topic {waiting[0]} have no leaders yet", "try again")

    def members(self, group: str) -> int:
        """Return how many members a consumer group has; none when there is no such group.

        Raises:
            CommandError: the brokers refuse.
        """
        described = self._admin.describe_consumer_groups([group], request_timeout=self._timeout_s)
        try:
            return len(described[group].result().members)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise self._failure(f"the group {group} cannot be described", error) from None

    def _metadata(self) -> Mapping[str, Any]:
        try:
            return self._admin.list_topics(timeout=self._timeout_s).topics
        except KafkaException as error:
            raise self._failure("the topics cannot be listed", error) from None

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        described = self._admin.describe_configs(resources, request_timeout=self._timeout_s)
        try:
            answers = {resource.name: future.result() for resource, future in described.items()}
        except KafkaException as error:
            raise self._failure("the topics cannot be described", error) from None
        return {name: {key: entry.value or "" for key, entry in answer.items()} for name, answer in answers.items()}

    def _failure(self, what: str, error: KafkaException) -> CommandError:
        self._admin.poll(0)
        cause = error.args[0]
        if cause.code() not in _UNREACHABLE:
            return CommandError(f"{what}: {cause.str()}")
        said = next((text for text in self._heard if "brokers are down" not in text), cause.str())
        return CommandError(
            f"no broker answers at {self._servers}: {said.partition(': ')[2] or said}",
            "start Kafka, or say where it is: --bootstrap-servers, GATEWATCH_KAFKA__BOOTSTRAP_SERVERS or "
            "kafka.bootstrap_servers; TLS and SASL are set in kafka.properties",
            ExitCode.UNREACHABLE,
        )


def missing_topics(settings: Settings, roles: Collection[str] = ROLES, timeout_s: float = TIMEOUT_S) -> list[str]:
    """Return the names of the topics that roles of ``gatewatch run`` need and that are not there.

    Raises:
        CommandError: no broker answers (exit code 3), or it refuses.
        SettingsError: librdkafka refuses ``kafka.properties``.
    """
    there = Topics(settings, timeout_s).names()
    return [spec.name for spec in wanted_topics(settings) if spec.roles.intersection(roles) and spec.name not in there]


def require_topics(settings: Settings, roles: Collection[str] = ROLES, timeout_s: float = TIMEOUT_S) -> None:
    """Return when every topic that the roles need is there.

    Raises:
        CommandError: topics are missing; names them and the command that makes them (exit code 3). Or as
            ``missing_topics``.
        SettingsError: as ``missing_topics``.
    """
    missing = missing_topics(settings, roles, timeout_s)
    if missing:
        raise CommandError(
            f"missing {'topic' if len(missing) == 1 else 'topics'}: {', '.join(missing)}",
            "make them with: gatewatch topics create",
            ExitCode.UNREACHABLE,
        )


def _led(topic: Any, partitions: int) -> bool:
    own = [] if topic is None else list(topic.partitions.values())
    return len(own) >= partitions and all(partition.leader >= 0 for partition in own)
