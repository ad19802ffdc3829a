"""Checkpoints, marks, transactions and replays together: whatever the schedule, nothing is lost, repeated or different.

Hypothesis makes schedules up: workers come, crash between any two steps, lose their partitions and do not know it,
take partitions over; models and limits change; the log is compacted. What must hold is in ``protocol_reference``.

Hypothesis looks for the shortest schedule that fails; plain random ones (``random_schedules``) are cheaper and go
further. ``python -m tests.random_schedules 20000`` runs as many of those as that.
"""

from dataclasses import replace
from functools import cache

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees
from featurizer.session import SessionPolicy
from scorer.alerts import AlertPolicy
from scorer.budget import HOUR_MS
from scorer.judge import Judge
from scorer.severity import SeverityPolicy, Worth
from stream.records import TopicPartition
from tests.protocol_reference import (
    published,
    require_at_least_once,
    require_degrees,
    require_exactly_once,
    require_the_same,
)
from tests.records import NOW, Made, call_record, plain_judge
from tests.simulated_workers import OUTPUTS, PARTITIONS, TOPICS, Worker, World

EXAMPLES = 100
FROZEN = DegreeSnapshot(60, {f"GET /{name}": EndpointDegrees(at + 1, 9 - at) for at, name in enumerate("abc")})
MUCH_LATER = 100_000
BEGIN = (NOW // HOUR_MS + 1) * HOUR_MS - 40
"""The first calls are of one hour of the alert budget, later ones of the next."""
SEVERITY = SeverityPolicy(medium=0.2, high=0.3, critical=0.4, endpoints=(("GET /c", Worth.HIGH),), failed_steps=-2)

LIMITS = [
    SessionPolicy(gap=10, lateness=3, linger=5, quiet=4, first_vector_calls=2, max_calls=7, max_edges=5, max_open=2),
    SessionPolicy(gap=20, lateness=0, linger=0, quiet=9, first_vector_calls=3, max_duration=30, future_tolerance=2),
    SessionPolicy(gap=6, lateness=8, linger=20, quiet=2, first_vector_calls=2, max_open=3, quiet_growth=0.0),
]


@cache
def judges() -> list[Judge]:
    """Return models and thresholds of which nearly nothing, a few, and nearly all sessions are anomalous."""
    other = plain_judge(0.3, 0.2)
    other.bundle = replace(other.bundle, manifest=msgspec.structs.replace(other.bundle.manifest, name="other"))
    return [plain_judge(0.2, 0.4), plain_judge(0.1, 0.1), plain_judge(2, 2), plain_judge(0.2, 0.2, 9), other]


shapes = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cy"]),
        st.one_of(st.integers(0, 3), st.sampled_from([-25, -12, 5, 11, 21, 40])),
        st.sampled_from("aabbc?"),
        st.sampled_from([0, 0, 0, 4, 9, -3]),
        st.sampled_from([1, 1, 1, 2]),
    ),
    min_size=1,
    max_size=8,
)
partitions = st.sampled_from(PARTITIONS)
picks = st.integers(0, 3)
few = st.integers(1, 12)


class Protocol(RuleBasedStateMachine):
    """Schedules under either guarantee."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[Worker] = []
        self.time = BEGIN
        self.judges: list[Judge] = judges()

    @initialize(
        transactional=st.booleans(),
        frozen=st.booleans(),
        cooldown=st.sampled_from([0, 15, 1000]),
        budget=st.sampled_from([None, 1, 3]),
        judge=st.integers(0, 4),
    )
    def begin(self, *, transactional: bool, frozen: bool, cooldown: int, budget: int | None, judge: int) -> None:
        alerts = AlertPolicy(cooldown=cooldown, severity=SEVERITY, budget=budget)
        self.world = World(transactional, FROZEN if frozen else None, alerts)
        self.judge = self.judges[judge]
        self.one_model = True
        self.policy = LIMITS[0]

    def worker(self, pick: int) -> Worker:
        if not self.workers:
            self.workers.append(Worker(self.world, self.policy, self.judge))
        return self.workers[pick % len(self.workers)]

    # The world

    @rule(name=partitions, shape=shapes)
    def calls_arrive(self, name: TopicPartition, shape: list[tuple[str, int, str, int, int]]) -> None:
        for client, moved, letter, delay, step in shape:
            self.time += moved
            at = self.world.end(name) + step - 1  # the end of a transaction takes an offset too
            record = call_record(at, self.time, client, f"GET /{letter}", source=name, arrival=self.time + delay)
            self.world.inputs[name].append(Made(b"no call", at, name, self.time) if letter == "?" else record)

    @rule(name=partitions, share=st.floats(0, 1))
    def state_is_compacted(self, name: TopicPartition, share: float) -> None:
        partition = self.world.log.at(TOPICS.state, name.partition)
        below = round(partition.end * share)
        if not self.world.transactional:
            # A checkpoint that was cut short can be undone only as long as what it replaced is there.
            ends = [own.offset for own in partition.entries if (own.key() or b"").endswith(b"\0m")]
            below = min(below, ends[-1] + 1 if ends else 0)
        partition.compact(below)

    @rule(share=st.floats(0, 1))
    def degrees_are_compacted(self, share: float) -> None:
        partition = self.world.log.at(TOPICS.degrees)
        partition.compact(round(partition.end * share))

    # The group

    @rule(limits=st.sampled_from(LIMITS))
    def a_worker_joins(self, limits: SessionPolicy) -> None:
        if len(self.workers) < 3:
            self.policy = limits
            self.workers.append(Worker(self.world, limits, self.judge))

    @rule(pick=picks, name=partitions, steps=few)
    def a_partition_is_assigned(self, pick: int, name: TopicPartition, steps: int) -> None:
        worker = self.worker(pick)
        if name not in self.world.owners and not worker.expelled:
            worker.take(name)
            worker.restore(name, steps)

    @rule(pick=picks, steps=few)
    def restoring_goes_on(self, pick: int, steps: int) -> None:
        worker = self.worker(pick)
        for name in list(worker.restoring):
            worker.restore(name, steps)

    @rule(pick=picks, steps=st.none() | st.integers(0, 30))
    def a_partition_is_revoked(self, pick: int, steps: int | None) -> None:
        worker = self.worker(pick)
        names = [name for name, own in self.world.owners.items() if own is worker]
        if not names or worker.expelled:
            return
        name = names[pick % len(names)]
        worker.give_up(name)
        if steps is None:
            worker.flush()
            del self.world.owners[name]
        else:
            worker.deliver(steps)
            self.crash(worker)

    @rule(pick=picks)
    def a_worker_crashes(self, pick: int) -> None:
        self.crash(self.worker(pick))

    def crash(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.lose()

    @precondition(lambda self: self.world.transactional)
    @rule(pick=picks)
    def a_worker_is_put_out_of_the_group_without_a_word(self, pick: int) -> None:
        worker = self.worker(pick)
        worker.expelled = True
        worker.lose()

    @rule(pick=picks)
    def a_worker_learns_that_it_was_put_out(self, pick: int) -> None:
        worker = self.worker(pick)
        if worker.expelled:
            worker.notice()

    # Work

    @rule(pick=picks, most=st.integers(1, 6), seconds=st.sampled_from([0, 0, 1, 11]))
    def a_worker_works(self, pick: int, most: int, seconds: int) -> None:
        worker = self.worker(pick)
        worker.now_s += seconds
        worker.process(most)

    @rule(pick=picks, most=st.integers(1, 6), steps=st.integers(0, 40))
    def a_worker_works_and_delivers(self, pick: int, most: int, steps: int) -> None:
        worker = self.worker(pick)
        worker.process(most)
        worker.deliver(steps)

    @rule(pick=picks, ahead=st.sampled_from([3, 8, 15, 30]))
    def the_wall_clock_moves(self, pick: int, ahead: int) -> None:
        self.worker(pick).idle(self.time + ahead)

    @rule(pick=picks, steps=st.integers(1, 40))
    def a_delivery_goes_on(self, pick: int, steps: int) -> None:
        self.worker(pick).deliver(steps)

    @rule(pick=picks)
    def a_transaction_is_repeated(self, pick: int) -> None:
        self.worker(pick).repeat()

    @rule(pick=picks)
    def degrees_are_learned(self, pick: int) -> None:
        self.worker(pick).learn()

    @rule(pick=picks, judge=st.integers(0, 4))
    def the_model_is_swapped(self, pick: int, judge: int) -> None:
        self.worker(pick).stage.detector.judge = self.judges[judge]
        self.one_model = False

    # The end

    def teardown(self) -> None:
        if hasattr(self, "world"):
            if self.world.transactional:
                for name in PARTITIONS:
                    require_exactly_once(self.world, name)
            self.drain()
            self.require()

    def drain(self) -> None:
        """Let one more worker come to the end of everything, and time pass."""
        for worker in list(self.workers):
            self.crash(worker)
        last = Worker(self.world, self.policy, self.judge)
        for name in PARTITIONS:
            last.take(name)
            last.restore(name, 1_000_000)
        last.process(1_000_000)
        last.idle(self.time + MUCH_LATER)
        last.flush()
        self.world.log.abort(list(self.world.log.transactions))
        for name in PARTITIONS:
            assert last.reading[name] == self.world.end(name)
            # With at_least_once the last commit may be missing, and a checkpoint say how far everything is done.
            if self.world.inputs[name] and self.world.transactional:
                assert self.world.log.offsets[name] == self.world.end(name)
        self.last = last

    def require(self) -> None:
        world = self.world
        for name in PARTITIONS:
            if world.transactional:
                require_exactly_once(world, name)
            else:
                require_at_least_once(world, name)
            state = self.last.stage.detector.partitions[name]
            require_degrees(world, name, state.table.snapshot())
            if world.frozen is not None and self.one_model and self.nothing_void(name):
                require_the_same(world, name, self.judge)
        observer = Worker(world, self.policy, self.judge)
        observer.learn()
        assert observer.stage.detector.degrees.snapshot() == self.last.stage.detector.degrees.snapshot()

    def nothing_void(self, name: TopicPartition) -> bool:
        return not any(own.void for topic in OUTPUTS for own in published(self.world, topic, name))


Protocol.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestProtocol = Protocol.TestCase
