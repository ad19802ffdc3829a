"""StateReport: what is durable of an input partition, and whether a worker could go on from it; pure, no broker."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from stream.checkpoints import Restoration, Snapshot, is_meta, is_of, version_of
from stream.errors import StateError
from stream.records import Keyed, TopicPartition
from stream.resume import Log, require_partitions, resume


class Durable(NamedTuple):
    """The records of an input partition on the topic of state, read to their end.

    Attributes:
        snapshot: what they amount to; None when they cannot be read.
        failure: why not.
        version: what the latest checkpoint says it is; None without one.
        sizes: bytes of key and value, by key.
    """

    snapshot: Snapshot | None
    failure: StateError | None
    version: object
    sizes: dict[bytes, int]


class StateReport(NamedTuple):
    """What is durable of one input partition.

    Attributes:
        partition: its name.
        version: of the state's form.
        templates: version of the route templates in force at the checkpoint; None when that is not known.
        checkpoint: position of its latest checkpoint.
        committed: the group's committed offset.
        begin: offset of its oldest record.
        end: offset after its newest record.
        replay: records that a restart would process again, without outputs; None when it would not start.
        sessions: open sessions at the checkpoint.
        cooldowns: clients in their cooldown.
        endpoints: endpoints of its degree table.
        edges: edges counted in it.
        bytes: keys and values of its state.
        problem: why a worker would stop; empty when it would go on.
        advice: what to do about it.
    """

    partition: str
    version: object
    templates: str | None
    checkpoint: int | None
    committed: int | None
    begin: int
    end: int
    replay: int | None
    sessions: int
    cooldowns: int
    endpoints: int
    edges: int
    bytes: int
    problem: str = ""
    advice: str = ""


def read_durable(name: TopicPartition, batches: Iterable[Iterable[Keyed]]) -> Durable:
    """Read the records of a state partition, also those that cannot be made use of."""
    restoration = Restoration(name)
    version: object = None
    sizes: dict[bytes, int] = {}
    for batch in batches:
        messages = [message for message in batch if is_of(message.key() or b"", name)]
        for message in messages:
            key, value = message.key() or b"", message.value()
            if value is None:
                sizes.pop(key, None)
                continue
            sizes[key] = len(key) + len(value)
            if is_meta(key, name):
                version = _version(value)
        restoration.feed(messages)
    try:
        return Durable(restoration.finish(), None, version, sizes)
    except StateError as error:
        return Durable(None, error, version, sizes)


def report(
    name: TopicPartition, found: Durable, log: Log, before: Collection[int], *, transactional: bool
) -> StateReport:
    """Return the report on a partition.

    Args:
        name: the partition.
        found: its records on the topic of state.
        log: what the broker says of it.
        before: numbers of partitions that its topic had at the checkpoints there are.
        transactional: outputs, checkpoint and offset were written in one transaction.
    """
    snapshot = found.snapshot or Snapshot()
    meta, table = snapshot.meta, snapshot.table
    replay, problem, advice = None, "", ""
    try:
        if found.failure is not None:
            raise found.failure
        for partitions in before:
            require_partitions(name, log.partitions, partitions, accept_loss=False)
        plan = resume(name, meta, log, transactional=transactional, accept_loss=False)
        replay = plan.start - plan.replay_from
    except StateError as error:
        problem, advice = str(error), error.hint
    return StateReport(
        partition=str(name),
        version=found.version,
        templates=None if meta is None else meta.templates or None,
        checkpoint=None if meta is None else meta.position,
        committed=log.committed,
        begin=log.low,
        end=log.high,
        replay=replay,
        sessions=len(snapshot.sessions),
        cooldowns=len(snapshot.cooldowns),
        endpoints=0 if table is None else len(table.names),
        edges=0 if table is None else table.edges,
        bytes=sum(found.sizes.values()),
        problem=problem,
        advice=advice,
    )


def _version(meta: bytes) -> object:
    try:
        return version_of(meta)
    except (msgspec.DecodeError, IndexError):
        return "unreadable"
