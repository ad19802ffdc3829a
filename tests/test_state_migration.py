"""Sessions and cooldowns move to the partitions that their clients' calls go to now, and nothing else changes."""

from collections.abc import Iterable, Sequence

import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from featurizer.degree_snapshots import sum_snapshots
from featurizer.degrees import OVERFLOW_ENDPOINT, DegreeTable, GlobalDegrees
from featurizer.features import GATEWAY_V1
from featurizer.session import Session, SessionPolicy
from scorer.alerts import AlertPolicy
from stream.batches import Sample
from stream.migration import Moved, misplaced, move, partition_of, renumber
from stream.pipeline import Sessionizer
from stream.records import TopicPartition
from tests.kafka_fixture import Kafka
from tests.records import NOW, Made, call_record

POLICY = SessionPolicy(gap=1000, lateness=0, linger=0, quiet=500)
CLIENTS = [f"client-{number}" for number in range(12)]


def place(client: str, partitions: int) -> TopicPartition:
    return TopicPartition("calls", partition_of(client.encode(), partitions))


def sessionizer(partitions: int) -> Sessionizer:
    own = Sessionizer({"calls": None}, sessions=POLICY, alerts=AlertPolicy(), schema=GATEWAY_V1, max_endpoints=1000)
    for number in range(partitions):
        own.assign(TopicPartition("calls", number))
    return own


def calls(rounds: Iterable[int], partitions: int) -> list[Made]:
    """Return a call of every client for each round, a tenth of a gap apart."""
    return [
        call_record(
            step, NOW + 100 * step, client, f"GET /{(step * 7 + len(client)) % 5}", source=place(client, partitions)
        )
        for step in rounds
        for client in CLIENTS
    ]


def ended(own: Sessionizer) -> list[Sample]:
    """Let the partitions' clocks pass every session's end; return the vectors of that."""
    batch = own.sessionize([])
    own.advance(list(own.partitions), NOW + 1_000_000, batch)
    return [sample for sample in batch.samples if sample.vector.close_reason]


def described(samples: Sequence[Sample]) -> list[tuple[object, ...]]:
    return sorted(
        (own.vector.client, own.vector.start, own.vector.end, own.vector.calls, *shape(own), *measured(own))
        for own in samples
    )


def measured(sample: Sample) -> list[str]:
    """Return the features that depend on no other session; NaN by its name, as it equals nothing."""
    named = zip(GATEWAY_V1.features, sample.vector.values, strict=True)
    return [f"{own.name} {value}" for own, value in named if not own.of_traffic]


def shape(sample: Sample) -> list[tuple[str, str, int]]:
    """Return a session's edges by name, with how often each was walked."""
    names = sample.state.table.names
    return [(names[edge >> 16], names[edge & 0xFFFF], walks) for edge, walks in sample.session.edges.items()]


def test_a_migration_in_the_middle_changes_no_session() -> None:
    whole = sessionizer(1)
    whole.sessionize(calls(range(8), 1))
    parted = sessionizer(2)
    parted.sessionize(calls(range(4), 2))
    before = sum_snapshots(state.table.snapshot() for state in parted.partitions.values())
    ids = {
        own.client: state.windows.session_id(own)
        for state in parted.partitions.values()
        for own in state.windows.open.values()
    }
    for state in parted.partitions.values():
        state.windows.park()
    for number in (2, 3):
        parted.assign(TopicPartition("calls", number))

    moved = move({name.partition: state for name, state in parted.partitions.items()})

    assert moved == Moved(sum(place(own, 4) != place(own, 2) for own in CLIENTS), 0, 0)
    assert 0 < moved.sessions < len(CLIENTS)
    assert parted.degrees.snapshot() == before, "what was counted stays counted"
    for client in CLIENTS:
        windows = parted.partitions[place(client, 4)].windows
        assert client in windows.open or client in windows.parked
    parted.sessionize(calls(range(4, 8), 4))
    last = ended(parted)
    assert described(last) == described(ended(whole))
    assert {own.vector.client: own.vector.session_id for own in last} == ids, "and none its id"


def test_a_session_that_moved_is_deleted_where_it_was() -> None:
    own = sessionizer(1)
    own.sessionize(calls([0], 1))
    state = own.partitions[TopicPartition("calls", 0)]
    state.windows.park()
    state.windows.rewrite(CLIENTS)
    own.assign(TopicPartition("calls", 1))
    gone = [client for client in CLIENTS if place(client, 2).partition]

    move({name.partition: state for name, state in own.partitions.items()})

    assert own.partitions[TopicPartition("calls", 0)].windows.park()[1] == set(gone)
    changed, ended_ = own.partitions[TopicPartition("calls", 1)].windows.park()
    assert (sorted(changed), ended_) == (sorted(gone), set())


def test_cooldowns_move_with_their_clients_in_the_order_of_their_alerts() -> None:
    own = sessionizer(2)
    first, second = own.partitions.values()
    for age, client in enumerate(CLIENTS):
        own.partitions[place(client, 1)].history.remember(client, NOW + age, "s")
    assert len(second.history) == 0

    moved = move({0: first, 1: second})

    assert moved.cooldowns == len(second.history) == sum(place(own, 2).partition for own in CLIENTS)
    assert len(first.history) + len(second.history) == len(CLIENTS)
    assert {client for client in CLIENTS if first.history.entry(client)} == {
        own for own in CLIENTS if not place(own, 2).partition
    }
    second.history.forget(NOW + AlertPolicy().cooldown + 5)
    assert all(second.history.entry(client) is None for client in CLIENTS[:6]), "the oldest are forgotten first"


def test_a_client_with_a_session_in_either_place_keeps_both() -> None:
    own = sessionizer(2)
    client = next(client for client in CLIENTS if place(client, 2).partition == 1)
    own.sessionize([call_record(0, NOW, client, source=TopicPartition("calls", number)) for number in (0, 1)])

    moved = move({name.partition: state for name, state in own.partitions.items()})

    assert moved == Moved(0, 0, 1)
    assert own.open_sessions == 2


def test_beyond_the_cap_edges_become_one() -> None:
    before = DegreeTable(GlobalDegrees(), 10)
    after = DegreeTable(GlobalDegrees(), 1)
    a, b, c = (before.number(name) for name in ("GET /a", "GET /b", "GET /c"))
    assert after.number("GET /a") == 0
    session = Session("ann", NOW, 0, 8)
    session.edges = {a << 16 | b: 2, a << 16 | c: 3, b << 16 | a: 1}
    session.last_node = c
    session.objects = {a: 0b1, b: 0b110, c: 0b1100}

    renumber(session, before, after)

    assert after.names == ["GET /a", OVERFLOW_ENDPOINT]
    assert session.edges == {0 << 16 | 1: 5, 1 << 16 | 0: 1}
    assert session.last_node == 1
    assert session.objects == {0: 0b1, 1: 0b1110}


def test_objects_of_a_method_that_is_left_out_since_are_forgotten() -> None:
    before = DegreeTable(GlobalDegrees(), 10)
    session = Session("ann", NOW, 0, 8)
    session.objects = {before.number("HEAD /a/{id}"): 0b1, before.number("GET /a/{id}"): 0b1}

    renumber(session, before, DegreeTable(GlobalDegrees(), 10, ["HEAD"]))

    assert session.objects == {0: 0b1}


def test_records_of_clients_that_go_elsewhere_now_are_counted() -> None:
    stay, go = (next(own for own in CLIENTS if place(own, 2).partition == number) for number in (0, 1))
    batches = [
        [call_record(5, NOW, stay), call_record(6, NOW, go)],
        [call_record(7, NOW, go), call_record(8, NOW, stay)],
    ]

    assert misplaced(batches, 0, 2) == (2, 1, 8)
    assert misplaced([[Made(b"", 1, name=None)]], 0, 2) == (0, 0, 0)


@given(st.binary(min_size=1, max_size=40), st.integers(1, 1000))
def test_a_key_has_one_partition_of_those_there_are(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


@pytest.mark.kafka
def test_keys_are_put_where_the_producers_put_them(kafka: Kafka) -> None:
    topic = kafka.create_topic("keys", 7)
    keys = [bytes([length, *range(200, 200 + length)]) for length in range(17)] + ["größe".encode(), b"127.0.0.1"]
    found: dict[bytes, int] = {}
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "partitioner": "murmur2_random"})
    for key in keys:
        producer.produce(topic, b"", key, on_delivery=lambda _, m: found.update({m.key() or b"": m.partition() or 0}))
    assert producer.flush(20) == 0

    assert found == {key: partition_of(key, 7) for key in keys}
