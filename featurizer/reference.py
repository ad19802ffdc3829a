"""The features once more, by networkx and in the words of their definition: the oracle of the tests.

It is 200 to 1000 times slower than ``featurizer.graph`` and shares nothing with it but the definition, which is its
point: what both agree on is right. It also gives data scientists a ``networkx`` graph to explore.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import networkx as nx

from featurizer.features import MISSING


def session_graph(endpoints: Sequence[str]) -> "nx.DiGraph[str]":
    """Return the directed graph of calls in their order; self-loops are edges."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(endpoints)
    graph.add_edges_from(pairwise(endpoints))
    return graph


def global_degrees(graphs: Iterable["nx.DiGraph[str]"]) -> tuple[dict[str, int], dict[str, int], int]:
    """Return (g_out, g_in, total edges) over the distinct edges of every session's graph."""
    g_out: dict[str, int] = {}
    g_in: dict[str, int] = {}
    total = 0
    for graph in graphs:
        for node, degree in graph.out_degree():
            g_out[node] = g_out.get(node, 0) + degree
        for node, degree in graph.in_degree():
            g_in[node] = g_in.get(node, 0) + degree
        total += graph.number_of_edges()
    return g_out, g_in, total


def reference_features(graph: "nx.DiGraph[str]", g_out: Mapping[str, int], g_in: Mapping[str, int]) -> dict[str, float]:
    """Return the eleven features of ACCESS_BEHAVIOUR_V1 by name."""
    sources = [g_out.get(source, 0) for source, _ in graph.edges]
    destinations = [g_in.get(destination, 0) for _, destination in graph.edges]
    local = [graph.out_degree(source) for source, _ in graph.edges]
    edges, nodes = graph.number_of_edges(), graph.number_of_nodes()
    return {
        "n_connections": float(edges),
        "avg_global_source_degrees": _mean(sources),
        "std_global_source_degrees": _stdev(sources),
        "min_global_source_degrees": float(min(sources, default=MISSING)),
        "max_global_source_degrees": float(max(sources, default=MISSING)),
        "avg_global_dest_degrees": _mean(destinations),
        "min_global_dest_degrees": float(min(destinations, default=MISSING)),
        "max_global_dest_degrees": float(max(destinations, default=MISSING)),
        "std_local_source_degrees": _stdev(local),
        "n_apis": float(nodes),
        "edges_per_api": edges / nodes if nodes else MISSING,
    }


def _mean(values: Sequence[int]) -> float:
    return statistics.fmean(values) if values else MISSING


def _stdev(values: Sequence[int]) -> float:
    return statistics.stdev(values) if len(values) > 1 else MISSING
