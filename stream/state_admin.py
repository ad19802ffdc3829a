"""StateAdmin: the durable state from outside of the workers, for ``gatewatch state``; every method blocks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

from stream.checkpoints import StateTopics
from stream.cycle import Cycle, DeliveryError, Transactions
from stream.errors import CommandError, ExitCode
from stream.kafka_config import consumer_config, producer_config, without_membership
from stream.records import Record, TopicPartition
from stream.resume import Log
from stream.settings import Settings
from stream.state_reader import StateReader
from stream.state_report import Durable, StateReport, read_durable, report
from stream.topics import Topics, require_topics
from stream.wire import Outgoing

_ROLE = "detect"
_TIMEOUT_S = 60.0


class StateAdmin:
    """What the role detect has on Kafka: checkpoints, committed offsets, inputs.

    Args:
        settings: of the installation.

    Attributes:
        partitions: how many partitions each input topic has.
        topics: names of the topics of state.

    Raises:
        CommandError: no broker answers, or a topic is missing.
    """

    def __init__(self, settings: Settings) -> None:
        require_topics(settings, [_ROLE])
        self.topics = StateTopics(settings.topics.state, settings.topics.degrees)
        self._settings = settings
        self._topics = Topics(settings)
        inputs = [own.topic for own in settings.inputs if own.keyed] + [settings.topics.api_calls]
        shapes = self._topics.describe([*inputs, self.topics.state])
        self.partitions = {topic: shapes[topic].partitions for topic in inputs}
        self._state_partitions = shapes[self.topics.state].partitions
        self._transactional = settings.delivery.guarantee == "exactly_once"
        config: dict[str, Any] = consumer_config(settings, _ROLE)
        # With the name of a member its offsets would be that member's.
        self._config = without_membership(config)
        self._reader = StateReader(self._config, self.topics.state)
        self._delivery: Transactions | None = None

    @property
    def names(self) -> list[TopicPartition]:
        """Every input partition."""
        return [TopicPartition(topic, number) for topic, count in self.partitions.items() for number in range(count)]

    def close(self) -> None:
        """Let go of the brokers."""
        self._reader.close()

    def durable(self, name: TopicPartition) -> Durable:
        """Return what the topic of state has of an input partition; nothing when it has no partition for it."""
        return read_durable(name, self._reader.state(name, _always) if name.partition < self._state_partitions else ())

    def log_of(self, name: TopicPartition) -> Log:
        """Return what the broker says of an input partition."""
        return self._reader.log_of(name, _always)

    def records(self, name: TopicPartition, begin: int, end: int) -> Iterator[Sequence[Record]]:
        """Yield an input partition's records from one offset to before another."""
        return self._reader.records(name, begin, end, _always)

    def reports(self) -> list[StateReport]:
        """Return what is durable of every input partition."""
        # State before offsets: with workers at work an offset may be newer than the checkpoint, never older.
        found = {name: self.durable(name) for name in self.names}
        logs = {name: self.log_of(name) for name in found}
        before = partitions_before(found)
        return [
            report(name, own, logs[name], before[name.topic], transactional=self._transactional)
            for name, own in found.items()
        ]

    def require_no_members(self) -> None:
        """Make sure that no worker is at work.

        Raises:
            CommandError: the consumer group of the role detect has members.
        """
        group = self._config["group.id"]
        members = self._topics.members(group)
        if members:
            raise CommandError(
                f"the group {group} has {members} {'member' if members == 1 else 'members'}: its state is in use",
                "stop every worker of the role detect first; one that was killed is a member for another "
                f"{float(self._config.get('session.timeout.ms', 45_000)) / 1000:g} s",
            )

    def fit_state_topic(self) -> int:
        """Give the topic of state a partition for each of the inputs'; return how many were added."""
        added = max(0, max(self.partitions.values()) - self._state_partitions)
        if added:
            self._topics.add_partitions(self.topics.state, self._state_partitions + added)
            self._state_partitions += added
        return added

    def commit(self, records: Iterable[Outgoing], positions: Mapping[TopicPartition, int]) -> None:
        """Write records and committed offsets in one transaction.

        Raises:
            CommandError: a worker has been started meanwhile, or the transaction failed; it has changed nothing.
        """
        self.require_no_members()
        member = Consumer(self._config)
        try:
            if self._delivery is None:
                identity = f"{self._settings.kafka.group_prefix}-state"
                self._delivery = Transactions(producer_config(self._settings, identity), _TIMEOUT_S)
                self._delivery.start()
            self._delivery.deliver(Cycle(outgoing=list(records), positions=dict(positions)), member)
        except DeliveryError as error:
            raise CommandError(f"nothing was changed: {error}", "see what the broker says, then try again") from error
        finally:
            member.close()


def partitions_before(found: Mapping[TopicPartition, Durable]) -> dict[str, set[int]]:
    """Return how many partitions each topic had at the checkpoints there are."""
    before: dict[str, set[int]] = {name.topic: set() for name in found}
    for name, own in found.items():
        if own.snapshot is not None and own.snapshot.meta is not None:
            before[name.topic].add(own.snapshot.meta.partitions)
    return before


@contextmanager
def administered(settings: Settings) -> Iterator[StateAdmin]:
    """Open the durable state of an installation.

    Raises:
        CommandError: no broker answers, a topic or a partition is missing, or the broker refuses.
    """
    admin = StateAdmin(settings)
    try:
        yield admin
    except KafkaException as error:
        cause = error.args[0]
        if cause.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}:  # noqa: SLF001 -- the constant's name
            hint = "gatewatch topics create --check says which topic differs"
            raise CommandError(f"a partition is missing: {cause.str()}", hint, ExitCode.UNREACHABLE) from error
        raise CommandError(f"the broker refuses: {cause.str()}") from error
    finally:
        admin.close()


def _always() -> bool:
    return True
