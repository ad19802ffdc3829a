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


def reference_features(
    graph: "nx.DiGraph[str]", g_out: Mapping[str, int], g_in: Mapping[str, int], total: int
) -> dict[str, float]:
    """Return the features of ACCESS_BEHAVIOUR_V1 by name, from what ``global_degrees`` returns."""
    source = _Summary([g_out.get(source, 0) for source, _ in graph.edges])
    dest = _Summary([g_in.get(destination, 0) for _, destination in graph.edges])
    local = _Summary([graph.in_degree(destination) for _, destination in graph.edges])
    edges, nodes = graph.number_of_edges(), graph.number_of_nodes()
    edges_per_api = _divide(edges, nodes)
    return {
        "n_connections": float(edges),
        "n_apis": float(nodes),
        "edges_per_api": edges_per_api,
        "density": _divide(edges, nodes**2),
        "std_local_dest_degrees": local.std,
        "std_local_dest_degrees_per_edges_per_api": _divide(local.std, edges_per_api),
        "avg_by_max_source_degrees": _divide(source.avg, source.max),
        "min_by_avg_source_degrees": _divide(source.min, source.avg),
        "min_by_max_source_degrees": _divide(source.min, source.max),
        "avg_by_max_dest_degrees": _divide(dest.avg, dest.max),
        "min_by_avg_dest_degrees": _divide(dest.min, dest.avg),
        "min_by_max_dest_degrees": _divide(dest.min, dest.max),
        "std_by_avg_dest_degrees": _divide(dest.std, dest.avg),
        "avg_source_by_avg_dest_degrees": _divide(source.avg, dest.avg),
        "max_source_by_max_dest_degrees": _divide(source.max, dest.max),
        "min_source_by_min_dest_degrees": _divide(source.min, dest.min),
        "avg_source_share": _divide(source.avg, total),
        "min_source_share": _divide(source.min, total),
        "max_source_share": _divide(source.max, total),
        "avg_dest_share": _divide(dest.avg, total),
        "std_dest_share": _divide(dest.std, total),
        "min_dest_share": _divide(dest.min, total),
        "max_dest_share": _divide(dest.max, total),
    }


class _Summary:
    """Mean, sample standard deviation, least and greatest of some degrees; missing where there are too few."""

    def __init__(self, values: Sequence[int]) -> None:
        self.avg = statistics.fmean(values) if values else MISSING
        self.std = statistics.stdev(values) if len(values) > 1 else MISSING
        self.min = min(values, default=MISSING)
        self.max = max(values, default=MISSING)


def _divide(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else MISSING
