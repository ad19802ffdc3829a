"""Resume: from where a partition is replayed and read, told by its checkpoint and by what the broker still has; pure.

Whatever cannot be gone on from without losing or repeating something stops the worker with a sentence that says what
happened and what the choices are. ``state.accept_loss`` chooses to go on; what is lost is counted.
"""

from typing import NamedTuple

from stream.checkpoints import Meta
from stream.errors import StateError
from stream.records import TopicPartition

_ACCEPT = "start once with --set state.accept_loss=true"


class Log(NamedTuple):
    """What the broker says of an input partition.

    Attributes:
        low: offset of the oldest record.
        high: offset after the newest record.
        committed: the group's committed offset; None without one.
        partitions: partitions of the topic.
    """

    low: int
    high: int
    committed: int | None
    partitions: int


class Resume(NamedTuple):
    """How to go on.

    Attributes:
        replay_from: first offset to process again without outputs.
        start: first offset to process for the first time.
        lost: offsets, at most as many records, that cannot be read any more.
        why: what is lost, and why; empty when nothing is.
    """

    replay_from: int
    start: int
    lost: int = 0
    why: str = ""


def resume(name: TopicPartition, meta: Meta | None, log: Log, *, transactional: bool, accept_loss: bool) -> Resume:
    """Return how a partition goes on.

    Args:
        name: the input partition.
        meta: of its latest checkpoint.
        log: what the broker says.
        transactional: outputs, checkpoint and offset were written in one transaction.
        accept_loss: go on where something is lost, instead of raising.

    Raises:
        StateError: something would be lost or repeated.
    """
    plan, hint = _plan(name, meta, log, transactional=transactional)
    if plan.why and not accept_loss:
        raise StateError(plan.why, hint)
    return plan


def _plan(name: TopicPartition, meta: Meta | None, log: Log, *, transactional: bool) -> tuple[Resume, str]:
    low, committed = log.low, log.committed
    if meta is None:
        return _without_checkpoint(name, log)
    position = meta.position
    if max(position, committed or 0) > log.high:
        why = f"{name} ends at {log.high}, before its checkpoint at {position}: the topic was made anew, or cut"
        return Resume(low, low, 0, why), f"give the state up with: gatewatch state reset; or keep it and {_ACCEPT}"
    if committed is None:
        why = (
            f"{name} has a checkpoint at {position} and no committed offset: the group's offsets expired or are deleted"
        )
        return Resume(position, max(low, position), max(0, low - position), why), (
            f"to go on from the checkpoint (what was published after it is published again), {_ACCEPT}"
        )
    if committed < position:
        if not transactional:
            # The outputs up to the checkpoint were flushed before it; only the commit of the offset is missing.
            return Resume(position, max(low, position)), ""
        why = (
            f"the committed offset {committed} of {name} is before its checkpoint at {position}: somebody has reset it"
        )
        return Resume(position, max(low, position), 0, why), (
            f"to read again from the offset: gatewatch state reset; to go on from the checkpoint, {_ACCEPT}"
        )
    lost = max(0, min(low, committed) - position) + max(0, low - committed)
    why = ""
    if lost:
        why = (
            f"{name} begins at {low}; its checkpoint is at {position} and its committed offset is {committed}: "
            f"up to {lost} records were deleted by the topic's retention before their calls were safe in a session"
        )
    hint = f"restore the records, or go on without them: {_ACCEPT}; then give the topic a longer retention"
    return Resume(max(low, position), max(low, committed), lost, why), hint


def _without_checkpoint(name: TopicPartition, log: Log) -> tuple[Resume, str]:
    if not log.committed:
        return Resume(log.low, log.low), ""
    start = max(log.low, min(log.committed, log.high))
    why = (
        f"{name} has the committed offset {log.committed} and no checkpoint: the topic of state was deleted or cut, or "
        "a version without checkpoints has read it"
    )
    return Resume(start, start, max(0, log.low - log.committed), why), (
        f"restore the topic from a copy, or begin with empty sessions and degree tables: {_ACCEPT}"
    )


def require_partitions(name: TopicPartition, found: int, before: int, *, accept_loss: bool) -> None:
    """Make sure that a topic has as many partitions as when a checkpoint of it was made.

    Raises:
        StateError: it has more now; clients have moved between partitions, away from their open sessions.
    """
    if found != before and not accept_loss:
        raise StateError(
            f"{name.topic} has {found} partitions now and had {before} at a checkpoint: clients have moved between "
            "partitions, away from their open sessions",
            f"move the sessions with: gatewatch state migrate; or, to leave them torn, {_ACCEPT}",
        )
