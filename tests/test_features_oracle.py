"""Streamed features equal those that networkx gives by the words of their definition."""

import math
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.calls import ApiCall
from featurizer.conduct import measure_graph, measure_session
from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees
from featurizer.degrees import GlobalDegrees
from featurizer.features import ACCESS_BEHAVIOUR_V1, GATEWAY_V1, FeatureVector, Occasion, matrix_of
from featurizer.graph import CallGraph, rarest
from featurizer.reference import global_degrees, reference_conduct, reference_features, session_graph
from featurizer.routes import RouteTemplates
from featurizer.sessions import CloseReason, Session, SessionPolicy
from tests.reference_sessions import ReferenceSession, ReferenceWindows
from tests.session_streams import START, Step, Watched, policies, steps

NAMES = ACCESS_BEHAVIOUR_V1.names
Measured = tuple[str, Occasion, dict[str, float], int]
"""client, occasion, features by name, edges in the global table"""


class Streamed(Watched):
    """Windows that measure each vector at the moment it is due, as the pipeline does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.measured: list[Measured] = []

    def _take(self, session: Session, occasion: Occasion, reason: CloseReason | None) -> None:
        super()._take(session, occasion, reason)
        values = measure_session(session, self.table, GATEWAY_V1)
        self.measured.append(
            (session.client, occasion, dict(zip(GATEWAY_V1.names, values, strict=True)), self.overall.total_edges)
        )


class Oracle(ReferenceWindows):
    """The rules of sessions, with features by networkx over every session of all partitions so far."""

    def __init__(self, policy: SessionPolicy, max_endpoints: int, partitions: "list[Oracle]") -> None:
        super().__init__(policy, max_endpoints)
        self.partitions = partitions
        self.measured: list[Measured] = []

    def graph(self, session: ReferenceSession) -> "nx.DiGraph[str]":
        """Return the graph of the session's kept edges; calls that made no edge make at most one node."""
        graph: nx.DiGraph[str] = nx.DiGraph(session.edges(self.policy.max_edges))
        if not graph:
            graph.add_nodes_from(session.nodes[-1:])
        return graph

    def _vector(self, client: str, occasion: Occasion, reason: CloseReason | None = None) -> None:
        super()._vector(client, occasion, reason)
        measured = self.open[client]
        graphs = {session: own.graph(session) for own in self.partitions for session in own.sessions}
        g_out, g_in, total = global_degrees(graphs.values())
        graph = graphs.pop(measured)
        features = reference_features(graph, g_out, g_in, total)
        features |= reference_conduct(
            [
                ApiCall(own.time, client, own.endpoint, own.status, address=own.address, object_id=own.object_id)
                for own in measured.calls
            ],
            measured.nodes,
            graph,
            list(graphs.values()),
        )
        self.measured.append((client, occasion, features, total))


def assert_equal(measured: list[Measured], expected: list[Measured]) -> None:
    """Compare what one step led to; the order of timers that fire together does not matter."""
    for own, other in zip(sorted(measured, key=_key), sorted(expected, key=_key), strict=True):
        assert (own[:2], own[3]) == (other[:2], other[3])
        assert own[2] == pytest.approx(other[2], rel=1e-9, abs=1e-9, nan_ok=True)


def _key(measured: Measured) -> tuple[str, Occasion]:
    return measured[:2]


@settings(max_examples=120, deadline=None)
@given(
    policy=policies(),
    stream=steps(max_size=40),
    n_partitions=st.integers(1, 3),
    max_endpoints=st.sampled_from([1, 2, 1000]),
    parking=st.integers(1, 7),
)
def test_every_vector_has_the_features_of_networkx_over_all_partitions(
    policy: SessionPolicy, stream: list[Step], n_partitions: int, max_endpoints: int, parking: int
) -> None:
    overall = GlobalDegrees()
    streamed = [Streamed(policy, overall, f"calls-{at}", max_endpoints) for at in range(n_partitions)]
    oracles: list[Oracle] = []
    oracles += [Oracle(policy, max_endpoints, oracles) for _ in range(n_partitions)]
    for at, step in enumerate(stream):
        own, oracle = streamed[at % n_partitions], oracles[at % n_partitions]
        own.step(step)
        oracle.step(step)
        if at % parking == 0:
            own.windows.park()
        assert_equal(own.measured, oracle.measured)
        own.measured.clear()
        oracle.measured.clear()


@settings(max_examples=60, deadline=None)
@given(
    walks=st.lists(st.lists(st.sampled_from([f"GET /{name}" for name in "abcdefgh"]), min_size=1), min_size=1),
)
def test_sessions_of_any_length_have_the_features_of_networkx(walks: list[list[str]]) -> None:
    watched = Watched(SessionPolicy())
    for client, walk in enumerate(walks):
        for endpoint in walk:
            watched.call(START, f"client {client}", endpoint)
    graphs = [session_graph(walk) for walk in walks]
    g_out, g_in, total = global_degrees(graphs)
    assert watched.overall.total_edges == total
    for session, graph in zip(watched.sessions, graphs, strict=True):
        values = measure_session(session, watched.table, ACCESS_BEHAVIOUR_V1)
        assert dict(zip(NAMES, values, strict=True)) == pytest.approx(
            reference_features(graph, g_out, g_in, total), rel=1e-9, abs=1e-9, nan_ok=True
        )


@settings(max_examples=60, deadline=None)
@given(walks=st.lists(st.lists(st.sampled_from("abcd"), min_size=1), min_size=1, max_size=5))
def test_a_call_graph_by_name_has_the_values_of_the_packed_session(walks: list[list[str]]) -> None:
    watched = Watched(SessionPolicy())
    for client, walk in enumerate(walks):
        for endpoint in walk:
            watched.call(START, f"client {client}", endpoint)
    for session, walk in zip(watched.sessions, walks, strict=True):
        packed = measure_session(session, watched.table, ACCESS_BEHAVIOUR_V1)
        np.testing.assert_array_equal(packed, CallGraph.of_calls(walk).values(watched.overall))
        by_edges = CallGraph(reversed(list(pairwise(walk))), walk)
        np.testing.assert_allclose(packed, by_edges.values(watched.overall), rtol=1e-12)


def test_a_session_of_one_call_has_one_endpoint_and_nothing_else_to_measure() -> None:
    watched = Watched(SessionPolicy())
    watched.call(START)
    session = watched.windows.open["ann"]
    values = dict(zip(NAMES, measure_session(session, watched.table, ACCESS_BEHAVIOUR_V1), strict=True))
    there = {"n_connections": 0, "n_apis": 1, "edges_per_api": 0, "density": 0}
    assert {name: value for name, value in values.items() if not math.isnan(value)} == there


def test_a_session_without_a_node_has_no_ratio_either() -> None:
    watched = Watched(SessionPolicy())
    watched.call(START, endpoint="OPTIONS /a")
    session = watched.windows.open["ann"]
    values = dict(zip(NAMES, measure_session(session, watched.table, ACCESS_BEHAVIOUR_V1), strict=True))
    assert (values["n_connections"], values["n_apis"]) == (0, 0)
    assert math.isnan(values["edges_per_api"])
    assert math.isnan(values["density"])


def test_one_edge_has_no_spread() -> None:
    overall = GlobalDegrees()
    values = dict(zip(NAMES, CallGraph([("a", "b")]).values(overall), strict=True))
    assert all(math.isnan(value) for name, value in values.items() if name.startswith("std_"))


def test_an_endpoint_that_the_tables_do_not_know_makes_no_ratio_and_no_error() -> None:
    values = dict(zip(NAMES, CallGraph([("a", "b"), ("b", "a")]).values(GlobalDegrees()), strict=True))
    assert {name for name, value in values.items() if not math.isnan(value)} == {
        own.name for own in ACCESS_BEHAVIOUR_V1.features if not own.of_traffic
    }


def test_features_of_a_small_graph_by_hand() -> None:
    """Three sessions: a→b, a→b→b, and the one measured: a→b→a→c, so a→b, b→a, a→c."""
    watched = Watched(SessionPolicy())
    for client, walk in (("ann", "ab"), ("bob", "abb"), ("cy", "abac")):
        for endpoint in walk:
            watched.call(START, client, endpoint)
    session = watched.windows.open["cy"]
    values = dict(zip(NAMES, measure_session(session, watched.table, ACCESS_BEHAVIOUR_V1), strict=True))
    # g_out: a leaves in a→b three times and a→c once, b in b→b and b→a; g_in: a 1, b 4 (b→b too), c 1.
    assert watched.overall.degrees("a") == EndpointDegrees(4, 1)
    assert watched.overall.degrees("b") == EndpointDegrees(2, 4)
    assert watched.overall.total_edges == 6
    # Over the edges a→b, b→a, a→c: sources 4, 2, 4 and destinations 4, 1, 1; each endpoint is entered once.
    assert values == pytest.approx(
        {
            "n_connections": 3,
            "n_apis": 3,
            "edges_per_api": 1,
            "density": 1 / 3,
            "std_local_dest_degrees": 0,
            "std_local_dest_degrees_per_edges_per_api": 0,
            "avg_by_max_source_degrees": 10 / 12,
            "min_by_avg_source_degrees": 6 / 10,
            "min_by_max_source_degrees": 2 / 4,
            "avg_by_max_dest_degrees": 2 / 4,
            "min_by_avg_dest_degrees": 1 / 2,
            "min_by_max_dest_degrees": 1 / 4,
            "std_by_avg_dest_degrees": math.sqrt(3) / 2,
            "avg_source_by_avg_dest_degrees": 10 / 6,
            "max_source_by_max_dest_degrees": 1,
            "min_source_by_min_dest_degrees": 2,
            "avg_source_share": 10 / 18,
            "min_source_share": 2 / 6,
            "max_source_share": 4 / 6,
            "avg_dest_share": 2 / 6,
            "std_dest_share": math.sqrt(3) / 6,
            "min_dest_share": 1 / 6,
            "max_dest_share": 4 / 6,
        }
    )


walks_of_some = st.lists(st.lists(st.sampled_from("abc"), min_size=2), min_size=1, max_size=4)


@settings(deadline=None)
@given(k=st.integers(2, 6), walks=walks_of_some)
def test_k_times_the_same_traffic_gives_the_same_features(k: int, walks: list[list[str]]) -> None:
    def features(times: int) -> list[tuple[float, ...]]:
        overall = GlobalDegrees()
        partitions = [Watched(SessionPolicy(), overall, f"calls-{at}") for at in range(times)]
        for partition in partitions:
            for client, walk in enumerate(walks):
                for endpoint in walk:
                    partition.call(START, f"client {client}", endpoint)
        return [measure_session(own, partitions[0].table, ACCESS_BEHAVIOUR_V1) for own in partitions[0].sessions]

    np.testing.assert_allclose(features(1), features(k), rtol=1e-12)


def test_a_matrix_has_a_row_for_each_vector_of_the_schema() -> None:
    vector = FeatureVector("id", "ann", Occasion.CLOSED, 1, 2, 3, ACCESS_BEHAVIOUR_V1.fingerprint, (1.0,) * 23, 9)
    assert matrix_of([vector, vector], ACCESS_BEHAVIOUR_V1).shape == (2, 23)
    assert matrix_of([], ACCESS_BEHAVIOUR_V1).shape == (0, 23)


def test_a_vector_of_another_schema_is_refused_by_name() -> None:
    vector = FeatureVector("id", "ann", Occasion.CLOSED, 1, 2, 3, "feedbeef", (1.0,), 9)
    with pytest.raises(ValueError, match="vector of schema feedbeef, expected access-behaviour"):
        matrix_of([vector], ACCESS_BEHAVIOUR_V1)


def test_the_rarest_edges_come_first_and_ties_by_name() -> None:
    watched = Watched(SessionPolicy())
    for client in range(10):
        for endpoint in "ab":
            watched.call(START, f"client {client}", endpoint)
    for endpoint in "abyxa":
        watched.call(START, "odd", endpoint)
    edges = watched.windows.open["odd"].edges
    found = rarest(edges, 3, watched.table)
    # Of 14 edges 11 leave a and enter b; b leaves once, x and y leave and are entered once each.
    assert [edge[:2] for edge in found] == [("b", "y"), ("x", "a"), ("y", "x")]
    assert [edge[2] for edge in found] == pytest.approx([1 / 14] * 3)
    *_, (source, destination, expected) = rarest(edges, 10, watched.table)
    assert (source, destination, expected) == ("a", "b", 11 * 11 / 14)
    assert rarest(edges, 0, watched.table) == []


WAYS = {"o": "GET /o/{id}", "l": "GET /list", "p": "POST /pay"}


def busy(walk: str, *, others: int = 0) -> tuple[Watched, dict[str, float]]:
    """Let a client walk (o, l, p: the endpoints above), after others who went o, l, p; return its features."""
    watched = Watched(SessionPolicy())
    for number in range(others):
        for step in "olp":
            watched.call(START, f"other {number}", WAYS[step])
    for at, step in enumerate(walk):
        watched.call(START + 1000 * at, "ann", WAYS[step])
    session = watched.windows.open.get("ann") or Session("ann", START, 0, 8)
    return watched, dict(zip(GATEWAY_V1.names, measure_session(session, watched.table, GATEWAY_V1), strict=True))


def test_features_of_conduct_by_hand() -> None:
    """Pauses of 0, 1, 3 and 4 ms: a login refused, then done; twice order 7, and once order 9, which is not there."""
    watched = Watched(SessionPolicy())
    for at, endpoint, status, address, object_id in (
        (0, "POST /login", 401, "192.0.2.1", None),
        (0, "POST /login", 200, "192.0.2.1", None),
        (1, "GET /orders/{id}", 200, "192.0.2.1", 7),
        (4, "GET /orders/{id}", 404, "192.0.2.9", 9),
        (8, "GET /orders/{id}", 0, None, 7),
    ):
        watched.call(START + at, endpoint=endpoint, status=status, address=address, object_id=object_id)
    session = watched.windows.open["ann"]
    values = dict(zip(GATEWAY_V1.names, measure_session(session, watched.table, GATEWAY_V1), strict=True))
    # Counters of 0, 1, 2 to 3 and 4 to 7 ms hold one pause each, so the second of them ends at 2 ms.
    deviation = math.sqrt((4 + 1 + 1 + 4) / 4)
    assert {name: values[name] for name in GATEWAY_V1.names[23:]} == pytest.approx(
        {
            "median_pause": 0.002,
            "pause_spread": 2 ** (2.6 - -0.6),
            "burstiness": (deviation - 2) / (deviation + 2),
            "client_error_share": 2 / 4,
            "denied_share": 1 / 4,
            "not_found_share": 1 / 4,
            "server_error_share": 0,
            "object_share": 3 / 5,
            "avg_objects": 2,
            "max_objects": 2,
            "new_object_share": 2 / 3,
            "address_changes": 1,
            "n_addresses": 2,
            "unmatched_share": 0,
            "avg_surprise": -math.log2(1e-5),
            "min_surprise": -math.log2(1e-5),
            "max_surprise": -math.log2(1e-5),
            "unexpected_share": 1,
            "revisit_share": 3 / 5,
            "self_loop_share": 3 / 4,
            "write_share": 2 / 5,
        }
    )


def test_what_all_do_is_no_surprise_and_what_nobody_does_is_the_greatest() -> None:
    _, usual = busy("olp", others=50)
    _, odd = busy("oopl", others=50)
    assert usual["max_surprise"] < 0.2
    assert usual["unexpected_share"] == 0
    # o to o is unheard of, where o is never entered; o to p is not, as every second edge enters p; p never leads on.
    assert odd["max_surprise"] == pytest.approx(-math.log2(1e-5))
    assert odd["unexpected_share"] == pytest.approx(1 / 3)


def test_a_session_is_not_its_own_usual() -> None:
    """The client alone makes a transition a hundred times: however often, nobody else does."""
    _, once = busy("op", others=20)
    _, often = busy("op" * 100, others=20)
    assert often["max_surprise"] >= once["max_surprise"] > 4


@settings(deadline=None)
@given(k=st.integers(2, 6), walks=walks_of_some, walk=st.lists(st.sampled_from("abc"), min_size=2))
def test_k_times_the_others_surprise_as_much(k: int, walks: list[list[str]], walk: list[str]) -> None:
    def values(times: int) -> list[float]:
        watched = Watched(SessionPolicy())
        for client, own in enumerate(walks * times):
            for endpoint in own:
                watched.call(START, f"client {client}", endpoint)
        for at, endpoint in enumerate(walk):
            watched.call(START + at, "ann", endpoint)
        found = measure_session(watched.windows.open["ann"], watched.table, GATEWAY_V1)
        return [value for own, value in zip(GATEWAY_V1.features, found, strict=True) if own.group == "surprise"]

    np.testing.assert_allclose(values(1), values(k), rtol=1e-12)


@settings(deadline=None)
@given(walks=walks_of_some, walk=st.lists(st.sampled_from("abc"), min_size=2))
def test_frozen_tables_of_ten_times_the_traffic_give_the_same_features(walks: list[list[str]], walk: list[str]) -> None:
    learned = Watched(SessionPolicy())
    for client, own in enumerate(walks):
        for endpoint in own:
            learned.call(START, f"client {client}", endpoint)
    table = learned.overall.snapshot()
    tenfold = DegreeSnapshot(
        10 * table.edges,
        {name: EndpointDegrees(10 * own.source, 10 * own.destination) for name, own in table.endpoints.items()},
        {source: {to: 10 * count for to, count in own.items()} for source, own in table.transitions.items()},
    )

    def values(frozen: DegreeSnapshot) -> tuple[float, ...]:
        watched = Watched(SessionPolicy(), GlobalDegrees(frozen))
        for at, endpoint in enumerate(walk):
            watched.call(START + at, "ann", endpoint)
        return measure_session(watched.windows.open["ann"], watched.table, GATEWAY_V1)

    np.testing.assert_allclose(values(table), values(tenfold), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 3, 10, 100, 300])
def test_so_many_objects_are_told_within_a_sixth(n: int) -> None:
    routes = RouteTemplates()
    watched = Watched(SessionPolicy())
    for number in range(n):
        target = routes.target("GET", f"/orders/{10_000 + number}", 200)
        watched.call(START, endpoint=target.endpoint, object_id=target.object_id)
    values = measure_session(watched.windows.open["ann"], watched.table, GATEWAY_V1)
    assert values[GATEWAY_V1.names.index("max_objects")] == pytest.approx(n, rel=1 / 6)


def test_a_graph_alone_has_the_values_of_a_session_for_all_that_a_graph_tells() -> None:
    watched, _ = busy("", others=9)
    graph = CallGraph.of_calls([WAYS[step] for step in "oloopp"])
    found = dict(zip(GATEWAY_V1.names, measure_graph(graph, watched.overall, GATEWAY_V1), strict=True))
    assert math.isnan(found["median_pause"])
    assert math.isnan(found["n_addresses"])
    assert (found["revisit_share"], found["write_share"]) == (3 / 6, 2 / 6)
    assert measure_graph(graph, watched.overall, ACCESS_BEHAVIOUR_V1) == graph.values(watched.overall)
    _, same = busy("oloopp", others=9)
    assert found["avg_surprise"] == pytest.approx(same["avg_surprise"])


def test_a_vector_of_the_wider_schema_serves_both() -> None:
    values = tuple(map(float, range(len(GATEWAY_V1.features))))
    vector = FeatureVector("id", "ann", Occasion.CLOSED, 1, 2, 3, GATEWAY_V1.fingerprint, values, 9)
    assert matrix_of([vector], GATEWAY_V1).tolist() == [list(values)]
    assert matrix_of([vector], ACCESS_BEHAVIOUR_V1).tolist() == [list(values[:23])]
    narrow = FeatureVector("id", "ann", Occasion.CLOSED, 1, 2, 3, ACCESS_BEHAVIOUR_V1.fingerprint, values[:23], 9)
    with pytest.raises(ValueError, match="expected gateway"):
        matrix_of([narrow], GATEWAY_V1)
