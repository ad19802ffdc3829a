"""StateMigration: carries a migration out on Kafka: restore every partition, move, and make it durable at once."""

from collections.abc import Mapping
from typing import NamedTuple

from scorer.bundle import ModelBundle
from scorer.judge import Judge
from stream import assembly
from stream.batches import PartitionState
from stream.checkpoints import Snapshot, checkpoint, restore_sessions
from stream.dead_letter_limit import DeadLetterWindow
from stream.errors import StateError
from stream.migration import Misplaced, Moved, misplaced, move
from stream.records import TopicPartition
from stream.resume import Log, resume
from stream.roles import CheckpointPolicy, DetectStage
from stream.settings import Settings
from stream.state_admin import StateAdmin, partitions_before


class Unread(NamedTuple):
    """Calls in a partition that no worker has read, of clients whose later calls are in another."""

    name: TopicPartition
    found: Misplaced


class StateMigration:
    """A migration of all inputs whose number of partitions has changed.

    Everything is read when it is made; nothing is written before ``finish`` or ``carry_out``.

    Args:
        settings: of the installation.
        model: judges calls that ``finish`` reads.
        admin: the state.

    Attributes:
        topics: inputs to migrate, with how many partitions they have now.

    Raises:
        StateError: a partition cannot be gone on from.
    """

    def __init__(self, settings: Settings, model: ModelBundle, admin: StateAdmin) -> None:
        self._admin = admin
        judge = assembly.make_judge(settings, model, Judge)
        detector = assembly.detector(settings, judge, assembly.detect_decoders(settings))
        self._stage = DetectStage(
            detector,
            settings.topics,
            assembly.SCHEMA,
            sessions=assembly.session_policy(settings),
            policy=CheckpointPolicy(interval_s=0.0, records=1),  # of no account: checkpoints are made by hand
            limit=DeadLetterWindow(assembly.dead_letter_policy(settings), "detect"),
            encoding=settings.alerts.encoding,
            originals=settings.dead_letters.originals,
        )
        self._transactional = settings.delivery.guarantee == "exactly_once"
        self._accept_loss = settings.state.accept_loss
        found = {name: admin.durable(name) for name in admin.names}
        before = partitions_before(found)
        self.topics = {
            topic: count for topic, count in admin.partitions.items() if any(own != count for own in before[topic])
        }
        if not self.topics:
            return
        _require_more(self.topics, before)
        for name, own in found.items():
            if own.failure is not None:
                raise own.failure
            self._restore(name, own.snapshot or Snapshot())

    def unread(self) -> list[Unread]:
        """Return where calls are unread whose sessions the migration would tear."""
        result = []
        for name, state in self._states():
            begin, end = state.offset + 1, self._admin.log_of(name).high
            batches = self._admin.records(name, begin, end)
            found = misplaced(batches, name.partition, self.topics[name.topic])
            if found.records:
                result.append(Unread(name, found))
        return result

    def finish(self, unread: list[Unread]) -> int:
        """Process unread calls as a worker does, alerts included; return how many records that were."""
        detector, read = self._stage.detector, 0
        for name, found in unread:
            for records in self._admin.records(name, detector.partitions[name].offset + 1, found.end):
                batch = detector.sessionize(records)
                detector.score(batch)
                self._admin.commit(self._stage.encode(batch), batch.positions)
                read += len(records)
        return read

    def carry_out(self) -> Moved:
        """Move sessions and cooldowns, and make that durable in one transaction."""
        moved = [
            move({name.partition: state for name, state in self._states() if name.topic == topic})
            for topic in self.topics
        ]
        records = [
            record
            for name, state in self._states()
            for record in checkpoint(state, self._admin.topics, self.topics[name.topic])
        ]
        self._admin.commit(records, {name: state.offset + 1 for name, state in self._states()})
        return Moved(*map(sum, zip(*moved, strict=True)))

    def _states(self) -> list[tuple[TopicPartition, PartitionState]]:
        return [item for item in self._stage.detector.partitions.items() if item[0].topic in self.topics]

    def _restore(self, name: TopicPartition, snapshot: Snapshot) -> None:
        """Bring a partition to its committed offset, as a worker's recovery does."""
        log: Log = self._admin.log_of(name)
        plan = resume(name, snapshot.meta, log, transactional=self._transactional, accept_loss=self._accept_loss)
        state = self._stage.restore(name, snapshot, log.partitions)
        restore_sessions(state, snapshot)
        for records in self._admin.records(name, plan.replay_from, plan.start):
            self._stage.replay(records)
        self._stage.go_live(name, plan.start)


def _require_more(topics: Mapping[str, int], before: Mapping[str, set[int]]) -> None:
    for topic, count in topics.items():
        if count < max(before[topic]):
            raise StateError(
                f"{topic} has {count} partitions and had {max(before[topic])} at a checkpoint: it was made anew",
                "give the state up with: gatewatch state reset",
            )
