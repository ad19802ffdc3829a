"""Reset: the records that give a partition's state up; pure, no broker."""

from collections.abc import Iterable

from featurizer.degrees import DegreeTable, GlobalDegrees
from featurizer.session import SessionPolicy
from featurizer.sessions import SessionWindows
from scorer.alerts import AlertHistory, AlertPolicy
from stream.batches import PartitionState
from stream.checkpoints import StateTopics, checkpoint
from stream.records import TopicPartition
from stream.resume import Log
from stream.wire import Outgoing


def reset_position(log: Log) -> int:
    """Return where a partition goes on without its state: at the committed offset, as far as the log has it."""
    committed = log.committed
    return committed if committed is not None and log.low <= committed <= log.high else log.low


def reset_records(
    name: TopicPartition, keys: Iterable[bytes], log: Log, topics: StateTopics, policy: SessionPolicy
) -> list[Outgoing]:
    """Return the records that delete a partition's state and put an empty checkpoint in its place.

    The empty checkpoint is what tells state that was given up from state that was lost. The partition's degree table
    on the topic ``degrees`` is replaced by an empty one.

    Args:
        name: the input partition.
        keys: keys that the topic of state has of it; nothing needs to be readable but they.
        log: what the broker says of the partition.
        topics: where to.
        policy: limits of sessions.
    """
    table = DegreeTable(GlobalDegrees(), 1)
    windows = SessionWindows(str(name), policy, table, lambda *_: None)
    state = PartitionState(name, windows, AlertHistory(AlertPolicy()), None)
    state.offset = reset_position(log) - 1
    empty = checkpoint(state, topics, log.partitions)
    kept = {record.key for record in empty if record.topic == topics.state}
    deleted = [Outgoing(topics.state, key, None, partition=name.partition) for key in keys if key not in kept]
    return [*deleted, *empty]
