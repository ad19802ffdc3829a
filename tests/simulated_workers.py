"""Workers over the simulated log: the real DetectStage and Cycle, and one step at a time what is around them.

Restoring a partition and delivering a cycle are generators: between any two of their steps the worker may crash, lose
its partitions, or see another worker act. Nothing here decides; tests do.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import GATEWAY_V1, FeatureVector
from featurizer.session import SessionPolicy
from scorer.alerts import AlertPolicy
from scorer.judge import Judge
from scorer.verdicts import Verdict
from stream.batches import Batch
from stream.checkpoints import Restoration, decode_degrees, restore_sessions
from stream.cycle import Cycle
from stream.dead_letter_limit import DeadLetterPolicy, DeadLetterWindow
from stream.errors import StateError
from stream.records import TopicPartition
from stream.resume import Log as Seen
from stream.resume import resume
from stream.roles import CheckpointPolicy, DetectStage
from stream.sections.kafka import TopicsSettings
from tests.records import CALLS, OTHER, Made, make_detector
from tests.simulated_log import SINGLE, Log, Phase, Transaction

TOPICS = TopicsSettings()
PARTITIONS = (CALLS, OTHER)
OUTPUTS = (TOPICS.anomalies, TOPICS.features, TOPICS.dead_letters)
META_KEY = b"\0m"
"""How the key of a checkpoint's last record ends."""


@dataclass(eq=False)
class Event:
    """What no record of the input tells: other limits, or clocks moved by the wall clock, from a position on."""

    name: TopicPartition
    position: int
    policy: SessionPolicy | None = None
    now: int = 0
    durable: bool = False


class Judged(NamedTuple):
    vector: FeatureVector
    verdict: Verdict


@dataclass(eq=False)
class Published:
    """What an output was encoded from, where in the log that was, and all it rests on that may still be undone."""

    what: object
    name: TopicPartition
    offset: int
    rests_on: tuple[Event, ...]
    cycle: Cycle
    overtaken: bool = False
    """It was published, its offset not committed, and other limits took over before it was made again."""

    @property
    def void(self) -> bool:
        return self.overtaken or not all(event.durable for event in self.rests_on)


@dataclass
class World:
    """What is outside of the workers."""

    transactional: bool
    frozen: DegreeSnapshot | None
    alerts: AlertPolicy
    log: Log = field(default_factory=Log)
    inputs: dict[TopicPartition, list[Made]] = field(default_factory=lambda: {name: [] for name in PARTITIONS})
    owners: dict[TopicPartition, "Worker"] = field(default_factory=dict)
    events: dict[TopicPartition, list[Event]] = field(default_factory=lambda: defaultdict(list))

    def end(self, name: TopicPartition) -> int:
        return self.inputs[name][-1].at + 1 if self.inputs[name] else 0

    def settle(self, event: Event) -> None:
        event.durable = True
        self.events[event.name].append(event)
        for topic in OUTPUTS:
            for entry in self.log.at(topic).entries:
                own = entry.about
                if own is not None and own.name == event.name and own.offset >= event.position:
                    own.overtaken = own.overtaken or event not in own.rests_on


@dataclass(eq=False)
class Filling:
    """A cycle, its outputs with what they were encoded from, and the events that each end of a checkpoint settles."""

    cycle: Cycle = field(default_factory=Cycle)
    outputs: list[Published | None] = field(default_factory=list)
    settled: dict[int, list[Event]] = field(default_factory=dict)


class Worker:
    """One member of the group."""

    def __init__(self, world: World, policy: SessionPolicy, judge: Judge) -> None:
        self.world = world
        self.policy = policy
        detector = make_detector(sessions=policy, alerts=world.alerts, judge=judge, frozen=world.frozen)
        detector.release(PARTITIONS)
        self.stage = DetectStage(
            detector,
            TOPICS,
            GATEWAY_V1,
            sessions=policy,
            policy=CheckpointPolicy(interval_s=10, records=12),
            limit=DeadLetterWindow(DeadLetterPolicy(), "detect"),
        )
        self.now_s = 0.0
        self.expelled = False
        self.transaction: Transaction | None = None
        self.filling = Filling()
        self.under_way: tuple[Filling, Iterator[None]] | None = None
        self.restoring: dict[TopicPartition, Iterator[None]] = {}
        self.reading: dict[TopicPartition, int] = {}
        self._runs: dict[TopicPartition, list[Event]] = {}
        self._owed: dict[TopicPartition, list[Event]] = defaultdict(list)
        self._learned = 0

    # Recovery: as stream.recovery and stream.state_reader do it.

    def take(self, name: TopicPartition) -> None:
        self.world.owners[name] = self
        self.restoring[name] = self._restore(name)

    def restore(self, name: TopicPartition, steps: int) -> None:
        try:
            for _ in range(steps):
                if next(self.restoring[name], self) is self:
                    del self.restoring[name]
                    return
        except StateError:
            # Offset and state of two moments: who has the partition now has committed between them.
            if not self.expelled:
                raise
            del self.restoring[name]

    def _restore(self, name: TopicPartition) -> Iterator[None]:
        world, log = self.world, self.world.log
        self.learn()
        yield
        while not log.outwait(log.pending(name)):
            yield
        committed = log.offsets.get(name)
        seen = Seen(0, world.end(name), committed, partitions=len(PARTITIONS))
        yield
        while not log.outwait(log.holding_up(TOPICS.state, name.partition)):
            yield
        restoration = Restoration(name)
        restoration.feed(log.at(TOPICS.state, name.partition).read())
        snapshot = restoration.finish()
        plan = resume(name, snapshot.meta, seen, transactional=world.transactional, accept_loss=False)
        state = self.stage.restore(name, snapshot, seen.partitions)
        yield
        restore_sessions(state, snapshot)
        for record in world.inputs[name]:
            if plan.replay_from <= record.at < plan.start:
                yield
                self.stage.replay([record])
        yield
        self._runs[name], self._owed[name] = [], []
        if snapshot.meta is None or state.windows.policy != self.policy:
            self._note(Event(name, plan.start, policy=self.policy))
        self.stage.go_live(name, plan.start)
        self.reading[name] = plan.start

    def _note(self, event: Event) -> None:
        self._runs[event.name].append(event)
        self._owed[event.name].append(event)

    # Work: as stream.intake and stream.agents do it.

    def process(self, most: int) -> None:
        """Read up to so many records of each partition."""
        records: list[Made] = []
        for name, position in self.reading.items():
            records += [own for own in self.world.inputs[name] if own.at >= position][:most]
        if records:
            self.reading |= {own.source: own.at + 1 for own in records}
            self._finish(self.stage.detector.sessionize(records))

    def idle(self, now: int) -> None:
        """Let the wall clock move the partitions that are read to their end."""
        names = [name for name, position in self.reading.items() if position >= self.world.end(name)]
        batch = Batch()
        self.stage.detector.advance(names, now, batch)
        for name in batch.moved:
            self._note(Event(name, self.stage.detector.partitions[name].offset + 1, now=now))
        self._finish(batch)

    def _finish(self, batch: Batch) -> None:
        self.stage.detector.score(batch)
        self._put(batch)
        made = self.stage.checkpoint(batch, self.now_s)
        if made.checkpoint:
            self._put(made)

    def _put(self, batch: Batch) -> None:
        filling = self.filling
        cycle = filling.cycle
        outgoing = self.stage.encode(batch)
        about: list[tuple[object, TopicPartition, int]] = []
        for alert in batch.alerts:
            where = alert.position
            about.append((alert, TopicPartition(where.topic, where.partition), where.offset))
        for own, verdict in zip(batch.samples, batch.verdicts, strict=True):
            about.append((Judged(own.vector, verdict), own.state.name, own.offset))
        about += [(own, TopicPartition(own.topic, own.partition), own.offset) for own in batch.dead_letters]
        filling.outputs += [Published(what, name, at, tuple(self._runs[name]), cycle) for what, name, at in about]
        filling.outputs += [None] * (len(outgoing) - len(about))  # marks
        for at, record in enumerate(batch.checkpoint, len(cycle.checkpoints)):
            if (record.key or b"").endswith(META_KEY) and record.topic == TOPICS.state:
                name = TopicPartition((record.key or b"").removesuffix(META_KEY).decode(), record.partition)
                filling.settled[at] = self._owed.pop(name, [])
        cycle.add(batch, outgoing)

    def learn(self) -> None:
        """Read on in the topic of degree tables."""
        partition = self.world.log.at(TOPICS.degrees)
        for entry in partition.read(self._learned):
            topic, _, number = (entry.key() or b"").decode().rpartition("-")
            self.stage.learn(TopicPartition(topic, int(number)), *decode_degrees(entry.value() or b""))
        self._learned = partition.stable()

    # Delivery: as stream.outbox and stream.cycle do it.

    def deliver(self, steps: int) -> None:
        """Go on with the cycle under way, or with the one that was being filled."""
        for _ in range(steps):
            if self.under_way is None:
                if self.filling.cycle.empty:
                    return
                filling, self.filling = self.filling, Filling()
                self.under_way = filling, self._delivery(filling)
            if next(self.under_way[1], self) is self:
                self.under_way = None
                return

    def flush(self) -> None:
        """Deliver everything there is."""
        while self.under_way is not None or not self.filling.cycle.empty:
            self.deliver(1)

    def repeat(self) -> None:
        """Have the broker abort the transaction under way; the cycle is kept, for another."""
        if self.under_way and self.transaction and self.transaction.phase is Phase.OPEN:
            self.world.log.abort([self.transaction])
            self.under_way = self.under_way[0], self._delivery(self.under_way[0])

    def _delivery(self, filling: Filling) -> Iterator[None]:
        return self._transact(filling) if self.world.transactional else self._flush(filling)

    def _transact(self, filling: Filling) -> Iterator[None]:
        log, cycle = self.world.log, filling.cycle
        self.transaction = transaction = log.begin()
        transaction.lost = self.expelled
        records = [*zip(cycle.outgoing, filling.outputs, strict=True), *((own, None) for own in cycle.checkpoints)]
        for record, about in records:
            yield
            if transaction.phase is Phase.ABORTED:
                assert self.expelled
                return
            log.append(record, transaction, about)
        yield
        if self.expelled:
            if transaction.phase is Phase.OPEN:
                log.abort([transaction])
            return
        transaction.offsets = dict(cycle.positions)
        yield
        if transaction.phase is Phase.ABORTED:
            assert self.expelled
            return
        log.end(transaction, Phase.COMMITTED)
        for events in filling.settled.values():
            for event in events:
                self.world.settle(event)
        yield

    def _flush(self, filling: Filling) -> Iterator[None]:
        log, cycle = self.world.log, filling.cycle
        for record, about in zip(cycle.outgoing, filling.outputs, strict=True):
            yield
            log.append(record, SINGLE, about)
        for at, record in enumerate(cycle.checkpoints):
            yield
            log.append(record, SINGLE)
            for event in filling.settled.get(at, ()):
                self.world.settle(event)
        yield
        log.offsets |= cycle.positions
        yield

    # Ends

    def lose(self) -> None:
        """Have the partitions taken away by the group; what it has under way nobody waits for."""
        for name in [name for name, own in self.world.owners.items() if own is self]:
            del self.world.owners[name]
        if self.transaction is not None:
            self.transaction.lost = True

    def give_up(self, name: TopicPartition) -> None:
        """Part with a partition in good order, up to the delivery of what that leads to."""
        self.restoring.pop(name, None)
        self.reading.pop(name, None)
        self._put(self.stage.release([name]))

    def notice(self) -> None:
        """Learn that all partitions were lost, and join again."""
        self.stage.drop(PARTITIONS)
        self.restoring.clear()
        self.reading.clear()
        self.filling, self.under_way = Filling(), None
        if self.transaction is not None and self.transaction.phase is Phase.OPEN:
            self.world.log.abort([self.transaction])
        self.expelled = False
