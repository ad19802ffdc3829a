"""Streamed features equal those that networkx gives by the words of their definition."""

import math
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from featurizer.degrees import EndpointDegrees, GlobalDegrees
from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureVector, Occasion, matrix_of, normalise
from featurizer.graph import CallGraph, measure_packed, rarest
from featurizer.reference import global_degrees, reference_features, session_graph
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
        values = measure_packed(session.edges, session.last_node, self.table)
        self.measured.append(
            (session.client, occasion, dict(zip(NAMES, values, strict=True)), self.overall.total_edges)
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
        graphs = [own.graph(session) for own in self.partitions for session in own.sessions]
        g_out, g_in, total = global_degrees(graphs)
        features = reference_features(self.graph(self.open[client]), g_out, g_in)
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
)
def test_every_vector_has_the_features_of_networkx_over_all_partitions(
    policy: SessionPolicy, stream: list[Step], n_partitions: int, max_endpoints: int
) -> None:
    overall = GlobalDegrees()
    streamed = [Streamed(policy, overall, f"calls-{at}", max_endpoints) for at in range(n_partitions)]
    oracles: list[Oracle] = []
    oracles += [Oracle(policy, max_endpoints, oracles) for _ in range(n_partitions)]
    for at, step in enumerate(stream):
        own, oracle = streamed[at % n_partitions], oracles[at % n_partitions]
        own.step(step)
        oracle.step(step)
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
        values = measure_packed(session.edges, session.last_node, watched.table)
        assert dict(zip(NAMES, values, strict=True)) == pytest.approx(
            reference_features(graph, g_out, g_in), rel=1e-9, abs=1e-9, nan_ok=True
        )


@settings(max_examples=60, deadline=None)
@given(walks=st.lists(st.lists(st.sampled_from("abcd"), min_size=1), min_size=1, max_size=5))
def test_a_call_graph_by_name_has_the_values_of_the_packed_session(walks: list[list[str]]) -> None:
    watched = Watched(SessionPolicy())
    for client, walk in enumerate(walks):
        for endpoint in walk:
            watched.call(START, f"client {client}", endpoint)
    for session, walk in zip(watched.sessions, walks, strict=True):
        packed = measure_packed(session.edges, session.last_node, watched.table)
        np.testing.assert_array_equal(packed, CallGraph.of_calls(walk).values(watched.overall))
        by_edges = CallGraph(reversed(list(pairwise(walk))), walk)
        np.testing.assert_allclose(packed, by_edges.values(watched.overall), rtol=1e-12)


def test_a_session_of_one_call_has_one_endpoint_and_nothing_else_to_measure() -> None:
    watched = Watched(SessionPolicy())
    watched.call(START)
    session = watched.windows.open["ann"]
    values = dict(zip(NAMES, measure_packed(session.edges, session.last_node, watched.table), strict=True))
    missing = {name for name in NAMES if "degrees" in name}
    assert {name for name, value in values.items() if math.isnan(value)} == missing
    assert (values["n_connections"], values["n_apis"], values["edges_per_api"]) == (0, 1, 0)


def test_a_session_without_a_node_has_no_ratio_either() -> None:
    watched = Watched(SessionPolicy())
    watched.call(START, endpoint="OPTIONS /a")
    session = watched.windows.open["ann"]
    values = dict(zip(NAMES, measure_packed(session.edges, session.last_node, watched.table), strict=True))
    assert (values["n_connections"], values["n_apis"]) == (0, 0)
    assert math.isnan(values["edges_per_api"])


def test_one_edge_has_no_spread() -> None:
    overall = GlobalDegrees()
    values = dict(zip(NAMES, CallGraph([("a", "b")]).values(overall), strict=True))
    assert math.isnan(values["std_global_source_degrees"])
    assert math.isnan(values["std_local_source_degrees"])


def test_features_of_a_small_graph_by_hand() -> None:
    """Three sessions: a→b, a→b→b, and the one measured: a→b→a→c, so a→b, b→a, a→c."""
    watched = Watched(SessionPolicy())
    for client, walk in (("ann", "ab"), ("bob", "abb"), ("cy", "abac")):
        for endpoint in walk:
            watched.call(START, client, endpoint)
    session = watched.windows.open["cy"]
    values = dict(zip(NAMES, measure_packed(session.edges, session.last_node, watched.table), strict=True))
    # g_out: a leaves in a→b three times and a→c once, b in b→b and b→a; g_in: a 1, b 4 (b→b too), c 1.
    assert watched.overall.degrees("a") == EndpointDegrees(4, 1)
    assert watched.overall.degrees("b") == EndpointDegrees(2, 4)
    assert values == pytest.approx(
        {
            "n_connections": 3,
            "avg_global_source_degrees": 10 / 3,
            "std_global_source_degrees": math.sqrt(4 / 3),
            "min_global_source_degrees": 2,
            "max_global_source_degrees": 4,
            "avg_global_dest_degrees": 2,
            "min_global_dest_degrees": 1,
            "max_global_dest_degrees": 4,
            "std_local_source_degrees": math.sqrt(1 / 3),
            "n_apis": 3,
            "edges_per_api": 1,
        }
    )


degrees = st.integers(0, 10**6).map(float)


@given(
    rows=st.lists(st.lists(st.one_of(degrees, st.just(math.nan)), min_size=11, max_size=11), min_size=1, max_size=4),
    totals=st.lists(st.integers(1, 10**9), min_size=4, max_size=4),
    volume=st.integers(1, 10**6),
)
def test_normalised_features_do_not_depend_on_the_volume_of_traffic(
    rows: list[list[float]], totals: list[int], volume: int
) -> None:
    few, edges = np.array(rows), np.array(totals[: len(rows)], dtype=float)
    many = few.copy()
    many[:, ACCESS_BEHAVIOUR_V1.global_columns] *= volume
    one = normalise(few, edges, 12_345.0, ACCESS_BEHAVIOUR_V1)
    other = normalise(many, edges * volume, 12_345.0, ACCESS_BEHAVIOUR_V1)
    np.testing.assert_allclose(one, other, rtol=1e-12)


@given(k=st.integers(2, 6), walks=st.lists(st.lists(st.sampled_from("abc"), min_size=2), min_size=1, max_size=4))
def test_k_times_the_same_traffic_gives_the_same_normalised_features(k: int, walks: list[list[str]]) -> None:
    def features(times: int) -> NDArray[np.float64]:
        overall = GlobalDegrees()
        partitions = [Watched(SessionPolicy(), overall, f"calls-{at}") for at in range(times)]
        for partition in partitions:
            for client, walk in enumerate(walks):
                for endpoint in walk:
                    partition.call(START, f"client {client}", endpoint)
        rows = [measure_packed(own.edges, own.last_node, partitions[0].table) for own in partitions[0].sessions]
        total = np.full(len(rows), overall.total_edges, dtype=float)
        return normalise(np.array(rows), total, 1000.0, ACCESS_BEHAVIOUR_V1)

    np.testing.assert_allclose(features(1), features(k), rtol=1e-12)


def test_normalising_scales_degrees_only_and_leaves_its_input_alone() -> None:
    raw = np.arange(22, dtype=float).reshape(2, 11)
    kept = raw.copy()
    scaled = normalise(raw, np.array([50.0, 0.0]), 100.0, ACCESS_BEHAVIOUR_V1)
    degree = np.array(["global" in name for name in NAMES])
    np.testing.assert_array_equal(scaled[0], np.where(degree, raw[0] * 2, raw[0]))
    np.testing.assert_array_equal(scaled[1], raw[1])  # an empty table has nothing to compare with
    np.testing.assert_array_equal(raw, kept)


def test_a_matrix_has_a_row_for_each_vector_of_the_schema() -> None:
    vector = FeatureVector("id", "ann", Occasion.CLOSED, 1, 2, 3, ACCESS_BEHAVIOUR_V1.fingerprint, (1.0,) * 11, 9)
    assert matrix_of([vector, vector], ACCESS_BEHAVIOUR_V1).shape == (2, 11)
    assert matrix_of([], ACCESS_BEHAVIOUR_V1).shape == (0, 11)


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
