"""What holds for every stream of calls: sessions, clocks, timers and degree tables."""

from collections import Counter
from itertools import pairwise, zip_longest

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from featurizer.calls import ApiCall
from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees, sum_snapshots
from featurizer.degrees import MAX_ENDPOINTS, NOT_A_NODE, OVERFLOW_ENDPOINT, DegreeTable, GlobalDegrees
from featurizer.features import Occasion
from featurizer.sessions import NEVER, CloseReason, Outcome, SessionPolicy
from tests.reference_sessions import ReferenceWindows
from tests.session_streams import EXCLUDED, START, Step, Watched, policies, steps

CLIENTS = ("ann", "bob", "cy", "dan")
STALE_ENTRIES = 1000


@settings(max_examples=400, deadline=None)
@given(policy=policies(), stream=steps())
def test_sessions_and_vectors_are_those_of_the_rules_at_every_step(policy: SessionPolicy, stream: list[Step]) -> None:
    watched, reference = Watched(policy), ReferenceWindows(policy)
    for step in stream:
        taken, seen = len(watched.taken), len(reference.seen)
        assert watched.step(step) == reference.step(step)
        now = [(*own[:-1], tuple(watched.names(own.edges))) for own in watched.taken[taken:]]
        assert sorted(now) == sorted(reference.seen[seen:])
    assert watched.windows.open.keys() == reference.open.keys()


@settings(max_examples=400, deadline=None)
@given(policy=policies(), stream=steps(), moves=st.lists(st.sampled_from(["", "", "park", "restore"]), max_size=80))
def test_parking_and_restoring_at_any_step_changes_nothing(
    policy: SessionPolicy, stream: list[Step], moves: list[str]
) -> None:
    """What ``park`` has returned so far is all that there is, and what a successor needs."""
    watched, reference = Watched(policy), ReferenceWindows(policy)
    kept: dict[str, bytes] = {}
    for step, move in zip_longest(stream, moves[: len(stream)], fillvalue=""):
        assert isinstance(step, Step)
        assert watched.step(step) == reference.step(step)
        if move:
            changed, ended = watched.windows.park()
            kept |= changed
            for client in ended:
                del kept[client]
            assert kept == watched.windows.parked
        if move == "restore":
            watched.succeed(dict(kept))
    seen = [(*own[:-1], tuple(watched.names(own.edges))) for own in watched.taken]
    assert sorted(seen) == sorted(reference.seen)
    assert {*watched.windows.open, *watched.windows.parked} == reference.open.keys()


@settings(deadline=None)
@given(policy=policies(), stream=steps())
def test_every_call_is_in_exactly_one_session_or_refused(policy: SessionPolicy, stream: list[Step]) -> None:
    watched = Watched(policy)
    outcomes = Counter(watched.step(step) for step in stream if step.client is not None)
    assert outcomes.total() == sum(step.client is not None for step in stream)
    watched.windows.close_all(CloseReason.END_OF_INPUT)
    assert sum(session.calls for session in watched.closed) == outcomes[Outcome.IN_SESSION]
    assert len(watched.vectors(Occasion.CLOSED)) == len({id(session) for session in watched.closed})


@settings(deadline=None)
@given(policy=policies(), stream=steps())
def test_a_session_knows_its_bounds(policy: SessionPolicy, stream: list[Step]) -> None:
    watched = Watched(policy)
    for step in stream:
        watched.step(step)
    for session in watched.sessions:
        assert session.start <= session.opened <= session.end
        assert 1 <= session.calls <= policy.max_calls
        assert len(session.edges) <= min(policy.max_edges, session.calls - 1)
    assert len(watched.windows.open) <= policy.max_open


@settings(deadline=None)
@given(policy=policies(), stream=steps())
def test_all_sessions_close_once_both_clocks_have_passed(policy: SessionPolicy, stream: list[Step]) -> None:
    watched = Watched(policy)
    for step in stream:
        watched.step(step)
    clocks = max(watched.windows.max_time, watched.windows.record_clock)
    watched.windows.advance(clocks + policy.lateness + policy.gap + policy.linger + 1)
    assert len(watched.windows) == 0


@settings(deadline=None)
@given(policy=policies(), stream=steps(max_size=120))
def test_a_session_has_at_most_one_valid_entry_in_each_heap(policy: SessionPolicy, stream: list[Step]) -> None:
    watched = Watched(policy)
    windows = watched.windows
    for step in stream:
        watched.step(step)
        valid = Counter(
            client
            for deadline, client in set(windows._timers)
            if client in windows.open and windows.open[client].deadline == deadline
        )
        lingering = Counter(
            client
            for due, client in set(windows._lingering)
            if client in windows.open and windows.open[client].lingers == due
        )
        assert set(valid.values()) | set(lingering.values()) <= {1}
        # No session is forgotten: some entry will find it.
        assert valid.keys() | lingering.keys() == windows.open.keys()
        assert all(windows.open[client].deadline == NEVER for client in lingering.keys() - valid.keys())


@pytest.mark.parametrize("max_open", [1, 50, 2000])
@pytest.mark.parametrize("linger", [0, 5000])
def test_stale_entries_are_bounded_by_the_open_sessions(max_open: int, linger: int) -> None:
    watched = Watched(SessionPolicy(max_open=max_open, linger=linger, max_calls=3))
    for number in range(8000):
        now = 10_000_000 + number
        behind = 3_600_000 if number % 3 == 0 else 0
        watched.call(now - behind, f"client {number * 7919 % 4000}", arrival=now)
        for heap in (watched.windows._timers, watched.windows._lingering):
            assert len(heap) <= 2 * len(watched.windows.open) + STALE_ENTRIES


Call = tuple[int, str, str]
"""time, client, endpoint"""


@st.composite
def disordered_calls(draw: st.DrawFn, lateness: int) -> dict[str, list[Call]]:
    """Calls of each client in order of arrival, no call behind an earlier one by more than the lateness."""
    clients: dict[str, list[Call]] = {}
    move = st.one_of(st.integers(0, 6), st.sampled_from([10, 11, 12, 60]))
    for client in CLIENTS:
        time, calls = START, []
        for moved, delay, endpoint in draw(
            st.lists(st.tuples(move, st.integers(0, lateness), st.sampled_from("abc")), max_size=15)
        ):
            time += moved
            calls.append((time + delay, (time, client, f"GET /{endpoint}")))
        clients[client] = [call for _, call in sorted(calls, key=lambda own: own[0])]
    return clients


def merge(draw: st.DrawFn, clients: dict[str, list[Call]], lateness: int) -> list[Call]:
    """Interleave the clients' calls in any way that keeps the disorder within the lateness."""
    waiting = {client: list(calls) for client, calls in clients.items() if calls}
    merged = []
    while waiting:
        earliest = min(time for calls in waiting.values() for time, *_ in calls)
        allowed = sorted(client for client, calls in waiting.items() if calls[0][0] <= earliest + lateness)
        client = draw(st.sampled_from(allowed))
        merged.append(waiting[client].pop(0))
        if not waiting[client]:
            del waiting[client]
    return merged


@st.composite
def two_interleavings(draw: st.DrawFn) -> tuple[int, list[Call], list[Call]]:
    """A lateness, and the same calls of each client interleaved in two ways within it."""
    lateness = draw(st.sampled_from([0, 4, 9, 30]))
    clients = draw(disordered_calls(lateness))
    return lateness, merge(draw, clients, lateness), merge(draw, clients, lateness)


Sessions = list[tuple[str, int, int, int, tuple[tuple[str, str], ...]]]


def sessions_of(calls: list[Call], *, lateness: int, linger: int = 0) -> tuple[Sessions, Counter[str]]:
    """Return the sessions of calls as (client, start, end, calls, edges), sorted, and each client's late calls."""
    watched = Watched(SessionPolicy(gap=10, quiet=4, lateness=lateness, linger=linger))
    late = Counter(client for time, client, endpoint in calls if watched.call(time, client, endpoint) is Outcome.LATE)
    watched.windows.close_all(CloseReason.END_OF_INPUT)
    sessions = sorted(
        (own.client, own.start, own.end, own.calls, tuple(watched.names(own.edges)))
        for own in watched.vectors(Occasion.CLOSED)
    )
    return sessions, late


@settings(deadline=None)
@given(interleavings=two_interleavings(), linger=st.sampled_from([0, 7, 100]))
def test_no_interleaving_of_clients_within_the_lateness_changes_the_sessions(
    interleavings: tuple[int, list[Call], list[Call]], linger: int
) -> None:
    lateness, one, other = interleavings
    sessions, late = sessions_of(one, lateness=lateness, linger=linger)
    assert (sessions, late) == sessions_of(other, lateness=lateness, linger=linger)
    assert sum(own[3] for own in sessions) + late.total() == len(one)
    if lateness <= 10:  # only a client's own disorder beyond the gap can make its calls late
        assert not late


@settings(deadline=None)
@given(interleavings=two_interleavings(), split=st.dictionaries(st.sampled_from(CLIENTS), st.integers(0, 2)))
def test_splitting_clients_over_partitions_gives_the_same_sessions(
    interleavings: tuple[int, list[Call], list[Call]], split: dict[str, int]
) -> None:
    lateness, calls, _ = interleavings
    partitions: dict[int, list[Call]] = {}
    for call in calls:
        partitions.setdefault(split.get(call[1], 0), []).append(call)
    apart = [sessions_of(own, lateness=lateness) for own in partitions.values()]
    sessions = sorted(session for own, _ in apart for session in own)
    late = sum((own for _, own in apart), Counter[str]())
    assert (sessions, late) == sessions_of(calls, lateness=lateness)


@settings(deadline=None)
@given(policy=policies(), stream=steps())
def test_a_session_costs_a_constant_number_of_measured_edges_a_call(policy: SessionPolicy, stream: list[Step]) -> None:
    watched = Watched(policy)
    calls = sum(watched.step(step) is Outcome.IN_SESSION for step in stream)
    watched.windows.close_all(CloseReason.END_OF_INPUT)
    if policy.quiet_growth >= 0.125:
        assert sum(len(own.edges) for own in watched.taken) <= 12 * calls


@pytest.mark.parametrize("calls", [100, 1000, 8000])
def test_a_client_that_pauses_after_every_call_stays_within_that_cost(calls: int) -> None:
    watched = Watched(SessionPolicy(lateness=0, linger=0, max_duration=NEVER, max_edges=NEVER), max_endpoints=10_000)
    for number in range(calls):
        # Every edge is new, and every pause is long enough for a quiet vector: the worst there is.
        watched.call(START + number * 61_000, endpoint=f"GET /{number}")
    watched.windows.close_all(CloseReason.END_OF_INPUT)
    measured = sum(len(own.edges) for own in watched.taken)
    assert watched.closed[0].calls == calls
    assert 5 * calls < measured <= 12 * calls


# Degree tables


def recount(watched: Watched) -> DegreeSnapshot:
    """Count the distinct edges of every session anew, by name."""
    edges = [edge for session in watched.sessions for edge in watched.names(tuple(session.edges))]
    source, destination = Counter(edge[0] for edge in edges), Counter(edge[1] for edge in edges)
    endpoints = {name: EndpointDegrees(source[name], destination[name]) for name in source.keys() | destination.keys()}
    transitions: dict[str, dict[str, int]] = {}
    for (leaving, entering), sessions in Counter(edges).items():
        transitions.setdefault(leaving, {})[entering] = sessions
    return DegreeSnapshot(len(edges), endpoints, transitions)


@settings(deadline=None)
@given(policy=policies(), stream=steps(), max_endpoints=st.sampled_from([1, 2, 1000]))
def test_a_table_is_the_recount_of_its_sessions_distinct_edges(
    policy: SessionPolicy, stream: list[Step], max_endpoints: int
) -> None:
    watched = Watched(policy, max_endpoints=max_endpoints)
    for step in stream:
        watched.step(step)
        assert watched.table.snapshot() == recount(watched)
    assert watched.overall.snapshot() == watched.table.snapshot()
    assert watched.overall.total_edges == recount(watched).edges


@settings(deadline=None)
@given(policy=policies(), stream=steps(), data=st.data())
def test_retracting_a_session_leaves_the_table_as_if_it_had_never_been(
    policy: SessionPolicy, stream: list[Step], data: st.DataObject
) -> None:
    watched = Watched(policy)
    for step in stream:
        watched.step(step)
    retracted = data.draw(st.sets(st.sampled_from(range(len(watched.sessions)) or [0])))
    assume(watched.sessions)
    for at in retracted:
        watched.table.retract(watched.sessions[at].edges)
    kept = [session for at, session in enumerate(watched.sessions) if at not in retracted]
    watched.closed, watched.windows.open = kept, {}
    assert watched.table.snapshot() == recount(watched) == watched.overall.snapshot()


@settings(deadline=None)
@given(streams=st.lists(steps(max_size=25), min_size=2, max_size=4), gone=st.integers(0, 3))
def test_the_worker_s_sum_is_the_sum_of_its_partitions(streams: list[list[Step]], gone: int) -> None:
    overall = GlobalDegrees()
    partitions = [Watched(SessionPolicy(gap=10, quiet=4), overall, f"calls-{at}") for at in range(len(streams))]
    for partition, stream in zip(partitions, streams, strict=True):
        for step in stream:
            partition.step(step)
        assert overall.snapshot() == sum_snapshots(own.table.snapshot() for own in partitions)
    left = partitions.pop(gone % len(partitions))
    left.table.detach()
    assert overall.snapshot() == sum_snapshots(own.table.snapshot() for own in partitions)


@settings(deadline=None)
@given(before=st.none() | steps(max_size=25), after=st.none() | steps(max_size=25))
def test_counts_that_replace_others_are_all_there_is(before: list[Step] | None, after: list[Step] | None) -> None:
    overall = GlobalDegrees()
    tables = []
    for stream in (before, after):
        watched = Watched(SessionPolicy(gap=10, quiet=4))
        for step in stream or ():
            watched.step(step)
        tables.append(None if stream is None else watched.table.snapshot())
    for table in tables:
        overall.replace("calls-1", table)
        assert overall.snapshot() == (table or DegreeSnapshot(0, {}))
        found = overall.snapshot().transitions
        assert {name: overall.leaving[at] for name, at in overall.ids.items() if overall.leaving[at]} == {
            source: sum(following.values()) for source, following in found.items()
        }


def test_beyond_the_cap_an_edge_counts_for_the_degrees_only() -> None:
    table = DegreeTable(GlobalDegrees(), 10, max_transitions=2)
    a, b = table.number("GET /a"), table.number("GET /b")
    for source, destination in ((a, b), (b, a), (a, a), (a, b)):
        table.add(source, destination)
    assert table.snapshot().transitions == {"GET /a": {"GET /b": 2}, "GET /b": {"GET /a": 1}}
    assert (table.edges, table.uncounted, table.overall.leaving) == (4, 1, [2, 1])
    table.retract([a << 16 | a])
    assert (table.edges, table.uncounted) == (3, 2), "what was not counted is not taken back"
    table.retract([a << 16 | b, a << 16 | b, b << 16 | a])
    assert table.snapshot() == DegreeSnapshot(0, {})


def test_a_table_numbers_as_many_endpoints_as_an_edge_can_hold() -> None:
    table = DegreeTable(GlobalDegrees(), MAX_ENDPOINTS)
    numbers = [table.number(f"GET /{number}") for number in range(MAX_ENDPOINTS + 3)]
    assert numbers == [*range(MAX_ENDPOINTS), *[MAX_ENDPOINTS] * 3]
    assert table.names[MAX_ENDPOINTS] == OVERFLOW_ENDPOINT
    watched = Watched(SessionPolicy())
    watched.windows.table = table
    for endpoint in ("GET /65534", "GET /unknown", "GET /0", "GET /65534"):
        watched.call(START, endpoint=endpoint)
    edges = [(edge >> 16, edge & 0xFFFF) for edge in watched.windows.open["ann"].edges]
    assert edges == [(65_534, 65_535), (65_535, 0), (0, 65_534)]


@pytest.mark.parametrize("max_endpoints", [0, -1, MAX_ENDPOINTS + 1])
def test_a_cap_that_an_edge_can_not_hold_is_refused(max_endpoints: int) -> None:
    with pytest.raises(ValueError, match=f"max_endpoints is {max_endpoints}; it must be between 1 and 65535"):
        DegreeTable(GlobalDegrees(), max_endpoints)


def test_excluded_methods_are_told_by_the_whole_word() -> None:
    table = DegreeTable(GlobalDegrees(), 10, EXCLUDED)
    assert table.number("HEAD /a") == NOT_A_NODE
    assert table.number("HEADER /a") == 0


def test_frozen_degrees_are_what_features_read_while_the_live_ones_are_still_counted() -> None:
    frozen = DegreeSnapshot(50, {"GET /a": EndpointDegrees(20, 30)})
    overall = GlobalDegrees(frozen)
    watched = Watched(SessionPolicy(), overall)
    for endpoint in ("GET /a", "GET /b", "GET /a"):
        watched.call(START, endpoint=endpoint)
    assert overall.total_edges == 50
    assert overall.degrees("GET /a") == EndpointDegrees(20, 30)
    assert overall.degrees("GET /b") == overall.degrees("GET /never") == EndpointDegrees(0, 0)
    assert overall.snapshot() == recount(watched)


@settings(deadline=None)
@given(endpoints=st.lists(st.sampled_from("abc"), max_size=12))
def test_walks_of_an_edge_add_up_to_the_calls(endpoints: list[str]) -> None:
    watched = Watched(SessionPolicy())
    for offset, endpoint in enumerate(endpoints):
        watched.windows.observe(ApiCall(START, "ann", f"GET /{endpoint}"), START, offset)
    walked = Counter(pairwise(f"GET /{endpoint}" for endpoint in endpoints))
    for session in watched.sessions:
        assert dict(zip(watched.names(tuple(session.edges)), session.edges.values(), strict=True)) == walked
