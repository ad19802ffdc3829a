"""The simulator: reproducible traffic whose attacks are told by where they go, with labels that are exact."""

import ipaddress
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice, pairwise
from statistics import fmean, median, quantiles

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.routes import RouteTemplates
from stream.openapi import pinned_routes
from stream.simulator import AttackLabel, SimulatedCall, SimulationOptions, simulate
from stream.simulator.attacks import ATTACKS, AttackKind
from stream.simulator.catalogue import openapi_document
from stream.simulator.clients import Population
from stream.simulator.personas import PERSONAS, Identity
from stream.simulator.scripts import attack_scripts, benign_scripts

QUICK = SimulationOptions(duration_s=60, rate=500, time_scale=30, attack_share=0.1, seed=7)
PINNED = RouteTemplates(pinned_routes(openapi_document()))


class Traffic:
    """A simulation read to its end."""

    def __init__(self, options: SimulationOptions) -> None:
        self.simulation = simulate(options)
        self.calls = list(self.simulation)
        self.labels = self.simulation.labels()
        self.by_client: dict[str, list[SimulatedCall]] = defaultdict(list)
        for call in self.calls:
            self.by_client[call.client].append(call)

    def hostile_clients(self) -> set[str]:
        """Return every client that a label names."""
        return {label.client for label in self.labels}


def sessions_of(calls: list[SimulatedCall], gap_ms: int) -> Iterator[list[SimulatedCall]]:
    """Cut one client's calls into sessions."""
    session = calls[:1]
    for before, call in pairwise(calls):
        if call.time - before.time > gap_ms:
            yield session
            session = []
        session.append(call)
    yield session


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic(QUICK)


# Reproducible, ordered, as asked for


def test_the_same_options_give_the_same_bytes() -> None:
    first, second = Traffic(QUICK), Traffic(QUICK)

    assert msgspec.json.encode(first.calls) == msgspec.json.encode(second.calls)
    assert first.labels == second.labels


def test_another_seed_gives_other_calls_and_other_clients(traffic: Traffic) -> None:
    other = Traffic(msgspec.structs.replace(QUICK, seed=8))

    assert {call.request_id for call in other.calls}.isdisjoint(call.request_id for call in traffic.calls)
    assert other.hostile_clients().isdisjoint(traffic.hostile_clients())


def test_a_longer_simulation_begins_with_the_shorter_one(traffic: Traffic) -> None:
    longer = simulate(msgspec.structs.replace(QUICK, duration_s=None))

    assert list(islice(longer, len(traffic.calls))) == traffic.calls


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("time_scale", [1.0, 30.0, 180.0])
def test_calls_are_ordered_by_time_and_within_the_duration(seed: int, time_scale: float) -> None:
    options = SimulationOptions(start=1_000, duration_s=10, rate=300, time_scale=time_scale, seed=seed)

    times = [call.time for call in simulate(options)]

    assert times == sorted(times)
    assert times[0] >= 1_000
    assert times[-1] < 11_000


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rate", [100.0, 1_000.0])
def test_the_rate_is_what_was_asked_for_from_the_beginning(rate: float, seed: int) -> None:
    """Some sessions are under way when the stream begins, so that it needs no time to fill up."""
    duration_s = 20_000 / rate

    times = [call.time for call in simulate(SimulationOptions(start=0, duration_s=duration_s, rate=rate, seed=seed))]

    assert len(times) == pytest.approx(20_000, rel=0.15)
    assert sum(time < duration_s * 500 for time in times) == pytest.approx(10_000, rel=0.2)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
def test_the_share_of_attacks_is_what_was_asked_for(share: float) -> None:
    simulation = simulate(SimulationOptions(duration_s=120, rate=500, time_scale=100, attack_share=share, seed=3))
    for _ in simulation:
        pass

    attacks = sum(simulation.sessions[kind] for kind in AttackKind)

    sessions = simulation.sessions.total()
    four_sigma = 4 * math.sqrt(share * (1 - share) / sessions)
    assert attacks / sessions == pytest.approx(share, abs=four_sigma)


def test_attacks_can_be_held_back() -> None:
    """A detector can learn what is usual first."""
    options = msgspec.structs.replace(QUICK, attacks_from_s=20.0)

    labels = Traffic(options).labels

    assert labels
    assert min(label.start for label in labels) >= options.start + 20_000


def test_fewer_clients_come_more_often() -> None:
    few = Traffic(msgspec.structs.replace(QUICK, clients=300))
    many = Traffic(msgspec.structs.replace(QUICK, clients=30_000))

    assert len(few.by_client) - len(few.labels) < 400
    assert len(many.by_client) > 1.5 * len(few.by_client)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate", 0.0), ("rate", float("inf")), ("duration_s", -1.0), ("time_scale", 0.0), ("time_scale", float("nan")),
        ("attack_share", 1.01), ("attack_share", -0.1), ("clients", 0), ("start", -1), ("attacks_from_s", -1.0),
    ],
)  # fmt: skip
def test_an_option_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{field} must"):
        SimulationOptions(**{field: value})  # type: ignore[arg-type] # one field of several types


# Labels


def test_every_kind_of_session_occurs(traffic: Traffic) -> None:
    names = {persona.behaviour.name for persona in PERSONAS} | {kind.value for kind in AttackKind}

    assert {str(name) for name in traffic.simulation.sessions} == names
    assert {label.attack for label in traffic.labels} == set(AttackKind)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "crowded",
    [
        {"clients": 100},
        {"clients": 100, "time_scale": 3_000.0},
        {"clients": 1, "time_scale": 30_000.0, "rate": 100_000.0, "duration_s": 0.5},
    ],
)
def test_a_label_covers_exactly_its_calls(seed: int, crowded: dict[str, float]) -> None:
    """Even where calls and sessions share milliseconds, and clients are so few that they return at once."""
    options = msgspec.structs.replace(QUICK, seed=seed, attack_share=0.4, **crowded)
    traffic = Traffic(options)

    for label in traffic.labels:
        covered = [call.time for call in traffic.by_client[label.client] if label.start <= call.time <= label.end]
        assert len(covered) == label.calls
        assert (covered[0], covered[-1]) == (label.start, label.end)


def test_only_victims_of_a_takeover_have_other_calls(traffic: Traffic) -> None:
    for label in traffic.labels:
        others = len(traffic.by_client[label.client]) - label.calls
        assert label.attack is AttackKind.ACCOUNT_TAKEOVER or others == 0

    victims = [label for label in traffic.labels if label.attack is AttackKind.ACCOUNT_TAKEOVER]
    benign_first = [v for v in victims if traffic.by_client[v.client][0].time < v.start]
    assert len(benign_first) == len(victims)


def test_a_label_comes_with_the_last_call_of_its_session() -> None:
    simulation = simulate(QUICK)
    seen: Counter[str] = Counter()
    early: list[AttackLabel] = []
    for call in simulation:
        seen[call.client] += 1
        for label in simulation.labels():
            assert label.end == call.time
            assert label.client == call.client
            assert seen[label.client] >= label.calls
            early.append(label)

    assert early
    assert len(early) + len(simulation.labels()) == len(Traffic(QUICK).labels)


def test_who_stops_reading_still_gets_the_labels_of_what_was_read() -> None:
    simulation = simulate(msgspec.structs.replace(QUICK, duration_s=None))
    read = Counter(call.client for call in islice(simulation, 5_000))

    simulation.finish()
    labels = simulation.labels()

    assert labels
    assert all(label.calls <= read[label.client] for label in labels)
    assert all(label.calls == read[label.client] for label in labels if label.attack is not AttackKind.ACCOUNT_TAKEOVER)
    assert simulation.active == 0
    assert next(iter(simulation), None) is None


def test_nobody_is_in_two_sessions_at_once(traffic: Traffic) -> None:
    """Interleaved sessions of one client would be one to any detector, and labels would mean nothing."""
    population = Population(0, 3, Identity.ACCOUNT, 0)

    taken = [population.take(bits * 7919) for bits in range(10)]

    assert len(set(taken)) == 10
    population.release(taken[4])
    assert taken[4] in {population.take(bits) for bits in range(1, 20)}
    assert len(traffic.by_client) > len(traffic.labels)


@given(st.integers(0, 2**32 - 1), st.sampled_from(Identity))
def test_clients_of_all_populations_have_different_names(salt: int, identity: Identity) -> None:
    names = [
        Population(group, 100, identity, salt).name(number)
        for group in range(16)
        for number in (*range(40), 8_191, 8_192, 70_000)
    ]

    assert len(set(names)) == len(names)
    if identity is Identity.ADDRESS:
        assert all(str(ipaddress.ip_address(name)) == name for name in names)


def test_web_servers_know_clients_by_address() -> None:
    traffic = Traffic(msgspec.structs.replace(QUICK, by_address=True, duration_s=10))

    assert all(ipaddress.ip_address(client) for client in traffic.by_client)
    assert traffic.hostile_clients() <= set(traffic.by_client)


# Memory


def test_memory_grows_with_the_rate_and_not_with_the_duration() -> None:
    simulation = simulate(SimulationOptions(duration_s=None, rate=500, time_scale=30, attack_share=0.05, seed=2))
    peaks = []
    for _ in range(8):
        peak = 0
        for _call in islice(simulation, 12_000):
            peak = max(peak, simulation.active)
        peaks.append(peak)
        simulation.labels()

    assert max(peaks) < 2 * peaks[0]
    assert max(peaks) < 400
    assert sum(len(people._busy) for people in simulation._populations.values()) <= simulation.active


# Structure


def edges_of(session: list[SimulatedCall]) -> set[tuple[str, str]]:
    """Return the distinct transitions of a session."""
    return set(pairwise(PINNED.endpoint(call.method, call.path, call.status) for call in session))


def test_attacks_differ_from_benign_sessions_by_their_transitions() -> None:
    """Not by rate alone, and not so much that a rule of thumb would do."""
    traffic = Traffic(SimulationOptions(duration_s=120, rate=500, time_scale=30, attack_share=0.1, seed=5))
    hostile = traffic.hostile_clients()
    sessions = [
        (client in hostile, edges_of(session))
        for client, calls in traffic.by_client.items()
        for session in sessions_of(calls, 60_000)
    ]
    common = Counter(edge for attack, edges in sessions if not attack for edge in edges)
    benign_sessions = sum(not attack for attack, _ in sessions)

    def unusual(edges: set[tuple[str, str]]) -> float:
        """Return the share of transitions that fewer than 1 % of the benign sessions make."""
        return fmean(common[edge] < benign_sessions / 100 for edge in edges) if edges else 0.0

    benign = [unusual(edges) for attack, edges in sessions if not attack]
    attacks = [unusual(edges) for attack, edges in sessions if attack]
    assert median(attacks) > 2 * median(benign)
    assert sum(value > quantiles(attacks, n=10)[0] for value in benign) > len(benign) / 100
    assert sum(value < quantiles(benign, n=20)[-1] for value in attacks) > 0


def test_benign_sessions_are_often_short_and_sometimes_large(traffic: Traffic) -> None:
    hostile = traffic.hostile_clients()
    sizes = [
        len(edges_of(session))
        for client, calls in traffic.by_client.items()
        if client not in hostile
        for session in sessions_of(calls, 60_000)
    ]
    attack_sizes = [len(edges_of(traffic.by_client[label.client])) for label in traffic.labels if label.calls > 8]

    assert sum(size <= 3 for size in sizes) > len(sizes) / 20
    assert max(sizes) > median(attack_sizes)


def test_benign_clients_meet_errors_and_unknown_paths_too(traffic: Traffic) -> None:
    hostile = traffic.hostile_clients()
    benign = [call for call in traffic.calls if call.client not in hostile]

    statuses = Counter(call.status for call in benign)
    assert {401, 404, 422, 500} <= set(statuses)
    assert 0.9 < sum(count for status, count in statuses.items() if status < 400) / len(benign) < 0.995
    assert any(call.path == "/favicon.ico" for call in benign)


def test_every_kind_of_attack_has_three_intensities() -> None:
    names = Counter(str(script.attack) for script in attack_scripts())

    assert all(names[attack.kind] >= 3 for attack in ATTACKS)
    assert len({script.name for script in attack_scripts()}) == 3 * len(ATTACKS)


def test_every_behaviour_knows_what_comes_after_each_of_its_calls() -> None:
    for script in (*benign_scripts(), *attack_scripts()):
        for chain in script.chains:
            reachable = {at for table in chain.following if table for at in table} | set(chain.entry)
            assert all(chain.following[at] for at in reachable)
            assert set(chain.strays) <= {i for i, table in enumerate(chain.following) if table}
            assert min(chain.calls) >= 1
