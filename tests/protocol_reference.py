"""What must be in the log after any schedule: told by one uninterrupted run of the pure pipeline over each partition.

The run is given the same records, and at the same positions what no record tells: other limits, clocks moved by the
wall clock; both from the moment they were durable. It decides which vectors there are and what is local in them, late
calls and dead letters. Global degrees and the model may be others when a record is processed again, so verdicts are
taken from what was published, and all that follows from them must be there: alerts, and who has taught the tables.

exactly_once: of every offset below the committed one each output is there once, in order, and nothing else; the alerts
are those that the policy makes of the published verdicts, at most one early and one closing of a session and one for
each severity that it rose to between them; the degree tables lack exactly the sessions that were published as
anomalous. It holds at any moment, not only at the end.

at_least_once: outputs may be there again, with the same id (alerts: session, kind and model). Told by their ids all
are there; dead letters, and what is local in vectors, are the same in each copy, but for what is void: what was
published of a move of the clocks, or under limits, that a crash undid before a checkpoint told of them. Of a session
that was published twice with different verdicts the later decision holds, with two exceptions (``require_degrees``).

Under either guarantee, where degrees and model stay the same and nothing is void, vectors, verdicts and alerts equal
those of the uninterrupted run in everything.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import GATEWAY_V1, FeatureVector, Occasion
from featurizer.session import SessionPolicy
from scorer.alerts import Alert, AlertKind
from scorer.judge import Judge
from scorer.severity import Severity
from scorer.verdicts import Verdict
from stream.batches import Batch, MarkKey, Sample
from stream.records import TopicPartition
from tests.records import PlainJudge, make_detector, plain_judge
from tests.simulated_workers import TOPICS, Event, Judged, Published, World

LOCAL = [at for at, own in enumerate(GATEWAY_V1.features) if not own.of_traffic]


def key_of(vector: FeatureVector) -> MarkKey:
    return (vector.session_id, vector.occasion, vector.calls)


def local(vector: FeatureVector) -> str:
    """Return a vector without what depends on other sessions; NaN by its name, as it equals nothing."""
    own = msgspec.structs.replace(vector, values=tuple(vector.values[at] for at in LOCAL), total_edges=0)
    return repr(own)


def lasting(alert: Alert) -> Alert:
    """Return an alert without what depends on other sessions."""
    return msgspec.structs.replace(alert, transitions=())


class Recalling(PlainJudge):
    """Gives the verdicts that were published."""

    def __init__(self, published: Iterable[Judged]) -> None:
        plain = plain_judge()
        self.__dict__.update(plain.__dict__)
        self.known = {key_of(own.vector): own.verdict for own in published}

    def verdicts(self, vectors: Sequence[FeatureVector]) -> list[Verdict]:
        return [self.known[key_of(vector)] for vector in vectors]


class Run:
    """An uninterrupted run over a partition, up to an offset."""

    def __init__(self, world: World, name: TopicPartition, end: int, judge: Judge | None = None) -> None:
        self.total = Batch()
        self._judge = judge
        self.detector = make_detector(
            name, sessions=SessionPolicy(), alerts=world.alerts, judge=judge, frozen=world.frozen
        )
        self.state = self.detector.partitions[name]
        events = list(world.events[name])
        for record in world.inputs[name]:
            if record.at >= end:
                break
            while events and events[0].position <= record.at:
                self._happen(events.pop(0))
            self._add(self.detector.sessionize([record]))
        for event in events:
            self._happen(event)

    @property
    def samples(self) -> list[Sample]:
        return self.total.samples

    def _happen(self, event: Event) -> None:
        if event.policy is not None:
            self.detector._sessions = event.policy
            if self.state.windows.policy != event.policy:
                self.state.windows.follow_policy(event.policy)
            return
        batch = Batch()
        self.detector.advance([event.name], event.now, batch)
        self._add(batch)

    def _add(self, batch: Batch) -> None:
        if self._judge is not None:
            self.detector.score(batch)
        self.total.samples += batch.samples
        self.total.verdicts += batch.verdicts
        self.total.alerts += batch.alerts
        self.total.dead_letters += batch.dead_letters


def published(world: World, topic: str, name: TopicPartition) -> list[Published]:
    """Return what was published of a partition, in order."""
    return [own.about for own in world.log.at(topic).committed() if own.about is not None and own.about.name == name]


def require_exactly_once(world: World, name: TopicPartition) -> None:
    """Make sure that everything below the committed offset is there once, and nothing else."""
    judged: list[Any] = [own.what for own in published(world, TOPICS.features, name)]
    alerts: list[Any] = [own.what for own in published(world, TOPICS.anomalies, name)]
    letters = [own.what for own in published(world, TOPICS.dead_letters, name)]
    end = world.log.offsets.get(name, 0)
    plain = Run(world, name, end)
    assert [local(own.vector) for own in judged] == [local(own.vector) for own in plain.samples]
    assert letters == plain.total.dead_letters
    assert len({_told(own) for own in alerts}) == len(alerts)
    told = Run(world, name, end, Recalling(judged))
    assert [lasting(own) for own in alerts] == [lasting(own) for own in told.total.alerts]


def require_the_same(world: World, name: TopicPartition, judge: Judge) -> None:
    """Make sure that, where neither degrees nor model change, everything is as if nothing had ever happened."""
    run = Run(world, name, world.end(name), judge)
    vectors = [own for own in published(world, TOPICS.features, name) if not own.void]
    found = {repr(own.what): None for own in vectors}
    assert list(found) == [
        repr(Judged(own.vector, verdict)) for own, verdict in zip(run.samples, run.total.verdicts, strict=True)
    ]
    alerts: list[Any] = [own.what for own in published(world, TOPICS.anomalies, name) if not own.void]
    assert list({own.uid: own for own in alerts}.values()) == run.total.alerts
    assert all({own.uid: own for own in alerts}[own.uid] == own for own in alerts)


def require_at_least_once(world: World, name: TopicPartition) -> None:
    """Make sure that everything is there, and what is there again, or rests on nothing durable, is told by its id."""
    run = Run(world, name, world.end(name))
    wanted = {key_of(own.vector): local(own.vector) for own in run.samples}
    judged: list[Any] = [own.what for own in published(world, TOPICS.features, name) if not own.void]
    assert list(dict.fromkeys(key_of(own.vector) for own in judged)) == list(wanted)
    assert all(wanted[key_of(own.vector)] == local(own.vector) for own in judged)
    letters: list[Any] = [own.what for own in published(world, TOPICS.dead_letters, name) if not own.void]
    assert list(dict.fromkeys(map(repr, letters))) == list(map(repr, run.total.dead_letters))
    alerts: list[Any] = [own.what for own in published(world, TOPICS.anomalies, name)]
    uids = {own.uid: (_told(own), own.model) for own in alerts}
    assert len(set(uids.values())) == len(uids)


def _told(alert: Alert) -> tuple[str, AlertKind, Severity | None]:
    """Return what tells an alert from all others of one model."""
    return alert.session_id, alert.kind, alert.severity if alert.kind is AlertKind.RAISED else None


def taught(run: Run, anomalous: Callable[[str], bool]) -> Counter[str]:
    """Return the degrees that the closed sessions have left behind, but for those that were anomalous."""
    found: Counter[str] = Counter()
    names = run.state.table.names
    for sample in run.samples:
        if sample.vector.occasion is Occasion.CLOSED and not anomalous(sample.vector.session_id):
            found += edges_of(sample, names)
    return found


def edges_of(sample: Sample, names: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for edge in sample.session.edges:
        source, destination = names[edge >> 16], names[edge & 0xFFFF]
        found.update((f"out {source}", f"in {destination}", f"{source} to {destination}"))
    return found


def counted(degrees: DegreeSnapshot) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, own in degrees.endpoints.items():
        found[f"out {name}"] = own.source
        found[f"in {name}"] = own.destination
    for source, following in degrees.transitions.items():
        found.update({f"{source} to {destination}": count for destination, count in following.items()})
    return +found


def require_degrees(world: World, name: TopicPartition, degrees: DegreeSnapshot) -> None:
    """Make sure that a degree table counts every closed session but those that were published as anomalous.

    With at_least_once a session may have been published twice, by two models or over two degree tables. The later
    decision holds; but one that a cooldown held back stays decided without being told of again, and what was
    published of clocks that never moved may have decided too: so these may be missing.
    """
    alerts = published(world, TOPICS.anomalies, name)
    vectors = published(world, TOPICS.features, name)
    alerted = {(id(own.cycle), _alert_key(own.what)) for own in alerts}
    last: dict[MarkKey, bool] = {}
    ever = {_alert_key(own.what)[0] for own in alerts}
    for own in vectors:
        judged: Any = own.what
        vector, key = judged.vector, key_of(judged.vector)
        closed = judged.verdict.anomalous and vector.occasion is Occasion.CLOSED
        if closed:
            ever.add(vector.session_id)
        if not own.void:
            last[key] = closed or (id(own.cycle), key) in alerted
    told = {session for (session, _, _), anomalous in last.items() if anomalous}
    run = Run(world, name, world.end(name))
    assert len(run.state.windows) == 0
    found, reachable = counted(degrees), [taught(run, told.__contains__)]
    if not world.transactional:
        for sample in run.samples:
            if sample.vector.occasion is Occasion.CLOSED and sample.vector.session_id in ever - told:
                own_edges = edges_of(sample, run.state.table.names)
                reachable += [before - own_edges for before in reachable]
    assert found in reachable


def _alert_key(what: Any) -> MarkKey:
    return (what.session_id, what.occasion, what.calls)
