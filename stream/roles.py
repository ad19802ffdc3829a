"""Roles: what the agents call for each role, and how a role's outputs are encoded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import FeatureSchema
from featurizer.session import SessionPolicy
from stream.batches import Batch, PartitionState
from stream.checkpoints import Snapshot, StateTopics, checkpoint, mark_record, restore_tables
from stream.clock import now_ms
from stream.dead_letter_limit import DeadLetterWindow
from stream.encodings.records import alert_record
from stream.pipeline import Detector, Normaliser
from stream.records import Record, TopicPartition
from stream.sections.detection import AlertEncoding
from stream.sections.kafka import TopicsSettings
from stream.wire import Outgoing, call_record, dead_letter_record, vector_record

_MS_PER_H = 3_600_000


class NormaliseStage:
    """The role normalise: no state, so partitions come and go freely.

    Args:
        normaliser: turns gateway logs into calls.
        topics: names of the output topics.
        limit: of its dead letters.
        originals: keep the original bytes in dead letters.
    """

    def __init__(
        self, normaliser: Normaliser, topics: TopicsSettings, limit: DeadLetterWindow, *, originals: bool = True
    ) -> None:
        self.normaliser = normaliser
        self.limit = limit
        self._topics = topics
        self._originals = originals

    def assign(self, names: Iterable[TopicPartition]) -> None:
        """Do nothing."""

    def release(self, names: Iterable[TopicPartition]) -> Batch:  # noqa: ARG002 -- the protocol's signature
        """Return nothing more to do."""
        return Batch()

    def drop(self, names: Iterable[TopicPartition]) -> None:  # noqa: ARG002 -- the protocol's signature
        """Count dead letters anew: the partitions' records may come back."""
        self.limit.clear()

    def checkpoint(self, batch: Batch, now_s: float) -> Batch:  # noqa: ARG002 -- the protocol's signature
        """Return nothing to keep."""
        return Batch()

    def encode(self, batch: Batch) -> list[Outgoing]:
        """Return the calls and dead letters of a batch as records."""
        topics = self._topics
        oldest = now_ms() - round(topics.api_calls_retention_h * _MS_PER_H / 2)
        records = [call_record(topics.api_calls, call, arrival, oldest) for call, arrival in batch.calls]
        records += [
            dead_letter_record(topics.dead_letters, letter, originals=self._originals) for letter in batch.dead_letters
        ]
        return records


@dataclass(frozen=True)
class CheckpointPolicy:
    """When a partition's state is made durable.

    Attributes:
        interval_s: seconds after the last checkpoint, if there was news.
        records: records since the last one, whatever the time: bounds a replay.
    """

    interval_s: float
    records: int

    def due(self, state: PartitionState, age_s: float) -> bool:
        """Return whether a partition is to be checkpointed, ``age_s`` seconds after its last."""
        news = state.offset + 1 - state.checkpointed
        return news > 0 and (age_s >= self.interval_s or news >= self.records)


class DetectStage:
    """The role detect: sessions, degrees, verdicts, alerts, and the checkpoints of them.

    Args:
        detector: the pipeline and its state.
        topics: names of the output topics.
        schema: the feature schema, to name the features.
        sessions: limits of sessions.
        policy: when to make checkpoints.
        limit: of its dead letters.
        encoding: of the alerts.
        originals: keep the original bytes in dead letters.
        templates: version of the route templates in force; empty where no calls are named: state then keeps its own.

    Attributes:
        templates: this version.
    """

    def __init__(  # noqa: PLR0913 -- the parts of a stage, each named at the call
        self,
        detector: Detector,
        topics: TopicsSettings,
        schema: FeatureSchema,
        *,
        sessions: SessionPolicy,
        policy: CheckpointPolicy,
        limit: DeadLetterWindow,
        encoding: AlertEncoding = "ocsf",
        originals: bool = True,
        templates: str = "",
    ) -> None:
        self.detector = detector
        self.limit = limit
        self.templates = templates
        self._topics = topics
        self._schema = schema
        self._sessions = sessions
        self._policy = policy
        self._encoding = encoding
        self._originals = originals
        self._state_topics = StateTopics(topics.state, topics.degrees)
        self._partitions: dict[str, int] = {}
        self._seen_partitions: dict[TopicPartition, int] = {}
        self._saved_s: dict[TopicPartition, float] = {}
        self._unsaid: set[TopicPartition] = set()  # whose first transaction has to hold a checkpoint

    def restore(self, name: TopicPartition, snapshot: Snapshot, partitions: int) -> PartitionState:
        """Begin a partition with a snapshot; its sessions are still to be put in."""
        self._partitions[name.topic] = partitions
        state = self.detector.assign(name)
        restore_tables(state, snapshot)
        return state

    def replay(self, records: Sequence[Record]) -> None:
        """Process records again without outputs."""
        self.detector.replay(records)

    def go_live(self, name: TopicPartition, start: int) -> None:
        """Process a partition's records for the first time from an offset on.

        If the limits have changed they hold from here on, and the next transaction says so: with a checkpoint.
        """
        state = self.detector.partitions[name]
        state.offset = start - 1
        state.live = True
        state.templates = self.templates or state.templates
        if state.windows.policy != self._sessions:
            state.windows.follow_policy(self._sessions)
            state.checkpointed = -1
        if state.checkpointed < 0:
            self._unsaid.add(name)

    def partitions_of(self, topic: str) -> set[int]:
        """Return how many partitions an input topic had at the latest checkpoint known of each of them."""
        return {partitions for name, partitions in self._seen_partitions.items() if name.topic == topic}

    def learn(self, name: TopicPartition, degrees: DegreeSnapshot, partitions: int) -> None:
        """Take over what was published of a degree table."""
        self._seen_partitions[name] = partitions
        self.detector.learn(name, degrees)

    def release(self, names: Iterable[TopicPartition]) -> Batch:
        """Give partitions up with a checkpoint, so that the next owner has nothing to replay."""
        names = list(names)
        batch = Batch()
        for name in names:
            state = self.detector.partitions.get(name)
            if state is not None and state.live and max(state.offset, state.checkpointed) >= 0:
                self._save(state, batch)
        self._forget(names)
        return batch

    def drop(self, names: Iterable[TopicPartition]) -> None:
        """Forget partitions; what they would lead to must not be published by this worker.

        Dead letters are counted anew: the partitions' records may come back.
        """
        self._forget(names)
        self.limit.clear()

    def _forget(self, names: Iterable[TopicPartition]) -> None:
        for name in names:
            self.detector.release([name])
            self._saved_s.pop(name, None)
            self._unsaid.discard(name)

    def checkpoint(self, batch: Batch, now_s: float) -> Batch:
        """Return the checkpoints that have to go with a batch, and of the others the one that is most overdue.

        One at a time: partitions take turns, so that the pause is short.

        Args:
            batch: what was processed last.
            now_s: a clock that never goes back, seconds.
        """
        made = Batch()
        live = {name: own for name, own in self.detector.partitions.items() if own.live}
        # Sessions that were moved to a new partition may end before anything of it was read.
        states = {name: own for name, own in live.items() if own.offset >= 0 or name in batch.moved}
        for name in states:
            self._saved_s.setdefault(name, now_s)
        must = [name for name in (*batch.moved, *self._unsaid) if name in states]
        late = [
            (self._saved_s[name], name)
            for name, state in states.items()
            if self._policy.due(state, now_s - self._saved_s[name])
        ]
        for name in dict.fromkeys([*must, *([min(late)[1]] if late else ())]):
            self._save(states[name], made)
            self._saved_s[name] = now_s
        return made

    def _save(self, state: PartitionState, batch: Batch) -> None:
        batch.checkpoint += checkpoint(state, self._state_topics, self._partitions[state.name.topic])
        batch.checkpoints += 1
        batch.hold(state)
        self._unsaid.discard(state.name)

    def encode(self, batch: Batch) -> list[Outgoing]:
        """Return the alerts, vectors and dead letters of a batch as records."""
        topics, created = self._topics, now_ms()
        records = [alert_record(topics.anomalies, alert, created, self._encoding) for alert in batch.alerts]
        if topics.publish_features:
            trials = batch.challenger_verdicts
            records += [
                vector_record(topics.features, sample.vector, verdict, self._schema, trials[at] if trials else None)
                for at, (sample, verdict) in enumerate(zip(batch.samples, batch.verdicts, strict=True))
            ]
        records += [
            dead_letter_record(topics.dead_letters, letter, originals=self._originals) for letter in batch.dead_letters
        ]
        records += [mark_record(state, mark, topics.state) for state, mark in batch.marks]
        return records
