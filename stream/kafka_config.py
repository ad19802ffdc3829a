"""Configuration of the librdkafka clients: gatewatch's defaults, then the user's ``kafka.properties``.

librdkafka warns when a consumer is given a producer's property and the other way round. One ``kafka.properties``
table serves all clients, so each client gets only what concerns it.
"""

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaException, Producer

from stream.dead_letters import MAX_RECORD_BYTES
from stream.errors import SettingsError
from stream.settings import Settings

ClientKind = Literal["consumer", "producer"]

logger = logging.getLogger("librdkafka")
logger.addHandler(logging.NullHandler())  # silent unless the program sets up a log

CONSUMER_DEFAULTS: Mapping[str, Any] = {
    # Offsets are committed with the outputs, by the code that produces them.
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # A new group starts with the history that the topic still holds: the degree tables learn from it, and calls
    # made between creating the topic and the first start are not skipped.
    "auto.offset.reset": "earliest",
    # The detect role must not see calls of an aborted normalise transaction.
    "isolation.level": "read_committed",
    # Workers keep their partitions, and what they know of them, while others come and go.
    "partition.assignment.strategy": "cooperative-sticky",
    # A full queue is looked at again after 10 ms instead of a second: three times the throughput (measured).
    "fetch.queue.backoff.ms": 10,
    # An idle partition is one that has been read to its end.
    "enable.partition.eof": True,
    # A killed worker's partitions move on after 10 s instead of 45 s.
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 3_000,
}

PRODUCER_DEFAULTS: Mapping[str, Any] = {
    "enable.idempotence": True,
    # The Java client's hash of the key, so that a keyed topic written by a Java gateway is split as api-calls is.
    "partitioner": "murmur2_random",
    # Log lines and vectors repeat themselves; lz4 costs the least CPU.
    "compression.type": "lz4",
    # A dead letter holds the original record and its headers.
    "message.max.bytes": MAX_RECORD_BYTES,
    # A commit flushes at once whatever this says; between commits batches may grow.
    "linger.ms": 5,
    # One cycle's batch of 10,000 calls in several cycles' reserve.
    "queue.buffering.max.messages": 500_000,
}


def kafka_common(settings: Settings) -> dict[str, Any]:
    """Return the configuration for an admin client: how to reach the brokers.

    Raises:
        SettingsError: a property in ``kafka.properties`` is unknown, deprecated or contradicts another; says which.
    """
    check_properties(settings)
    return _base(settings) | _properties(settings, "consumer", "producer")


def consumer_config(settings: Settings, group_suffix: str) -> dict[str, Any]:
    """Return the configuration of the consumer of group ``<group_prefix>-<group_suffix>``.

    Raises:
        SettingsError: as ``kafka_common``.
    """
    check_properties(settings)
    return _consumer(settings, group_suffix)


def without_membership(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a consumer's configuration for another one beside it, which asks and reads but joins no group."""
    return {name: value for name, value in config.items() if name != "group.instance.id"}


def producer_config(settings: Settings, transactional_id: str | None) -> dict[str, Any]:
    """Return the configuration of a producer; without a transactional id it is idempotent only.

    Raises:
        SettingsError: as ``kafka_common``.
    """
    check_properties(settings)
    return _producer(settings, transactional_id)


def check_properties(settings: Settings) -> None:
    """Let librdkafka judge the properties; no connection is made.

    Raises:
        SettingsError: one sentence per property that is unknown, has an impossible value, is deprecated, or
            contradicts another.
    """
    if not settings.kafka.properties:
        return
    offline = {"bootstrap.servers": ""}
    complaints = [
        *_judge("consumer", _consumer(settings, "check") | offline)[0],
        *_judge("producer", _producer(settings, "check") | offline)[0],
    ]
    problems = dict.fromkeys(complaints)
    if problems:
        raise SettingsError([f"kafka.properties: {problem}" for problem in problems])


def _base(settings: Settings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "client.id": settings.kafka.group_prefix,
        "logger": logger,
    }


def _consumer(settings: Settings, group_suffix: str) -> dict[str, Any]:
    defaults = dict(CONSUMER_DEFAULTS)
    if settings.kafka.properties.get("group.protocol") == "consumer":
        # In the newer protocol the broker decides these.
        for name in ("partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"):
            del defaults[name]
    properties = _properties(settings, "consumer")
    if "group.instance.id" in properties and "partition.assignment.strategy" in defaults:
        # What a cooperative member gives up is handed on in a second rebalance, which it has to ask for. One that
        # stops in between never asks, and to its successor under the same name the broker gives its place without a
        # rebalance: partitions that nobody has, until somebody joins or leaves.
        defaults["partition.assignment.strategy"] = "range"
    group = {"group.id": f"{settings.kafka.group_prefix}-{group_suffix}"}
    return _base(settings) | group | defaults | properties


def _producer(settings: Settings, transactional_id: str | None) -> dict[str, Any]:
    transaction: dict[str, Any] = {}
    if transactional_id is not None:
        timeout_ms = round(settings.kafka.transaction_timeout_s * 1000)
        transaction = {"transactional.id": transactional_id, "transaction.timeout.ms": timeout_ms}
    return _base(settings) | transaction | dict(PRODUCER_DEFAULTS) | _properties(settings, "producer")


def _properties(settings: Settings, *kinds: ClientKind) -> dict[str, Any]:
    """Return the user's properties that every one of the kinds of client knows what to do with."""
    properties = settings.kafka.properties.items()
    return {name: value for name, value in properties if not any(_foreign(kind, name, value) for kind in kinds)}


@lru_cache(maxsize=256)
def _foreign(kind: ClientKind, name: str, value: Any) -> bool:
    """Return whether a property is one of the other kind of client only."""
    return _judge(kind, {name: value})[1]


def _judge(kind: ClientKind, config: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return librdkafka's complaints on a configuration, and whether it ignores some property in it."""
    heard = _Listener()
    listener = logging.Logger("probe")  # noqa: LOG001 -- not shared: it hears this one client only
    listener.addHandler(heard)
    try:
        if kind == "consumer":
            consumer = Consumer({"group.id": "probe", **config, "logger": listener})
            consumer.poll(0)
            consumer.close()
        else:
            Producer({**config, "logger": listener}).poll(0)
    except KafkaException as error:
        return [str(error.args[0].str()).removeprefix(f"Failed to create {kind}: ")], False
    warnings = [line.partition("]: ")[2] for line in heard.lines if line.startswith("CONFWARN")]
    ignored = [line for line in warnings if line.endswith("instance")]
    return [_complaint(line) for line in warnings if line not in ignored], bool(ignored)


def _complaint(warning: str) -> str:
    """Return librdkafka's warning without its boilerplate."""
    sentence = warning.removeprefix("Configuration property ").partition(". ")[0]
    name, deprecated, _ = sentence.partition(" is deprecated")
    return f"{name}{deprecated}: remove it" if deprecated else sentence


class _Listener(logging.Handler):
    """Keeps what librdkafka logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
