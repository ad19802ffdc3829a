"""The features once more, by networkx and numpy and in the words of their definition: the oracle of the tests.

It is 200 to 1000 times slower than ``featurizer.graph`` and shares nothing with it but the definition, which is its
point: what both agree on is right. It also gives data scientists a ``networkx`` graph to explore.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

import networkx as nx
import numpy as np

from featurizer.calls import ApiCall
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


def reference_conduct(
    calls: Sequence[ApiCall],
    endpoints: Sequence[str],
    graph: "nx.DiGraph[str]",
    others: Sequence["nx.DiGraph[str]"],
) -> dict[str, float]:
    """Return the features that GATEWAY_V1 adds, by name.

    Args:
        calls: the session's calls in their order.
        endpoints: endpoints of those that are part of call graphs, in their order.
        graph: its graph, as far as it was kept.
        others: the graphs of all other sessions.
    """
    steps = [step for step in pairwise(endpoints) if graph.has_edge(*step)]
    # A call that makes no kept step is not counted: only what is kept of a session can be.
    visits = [*([steps[0][0]] if steps else endpoints[-1:]), *(destination for _, destination in steps)]
    bits = {edge: _surprise(edge, others) for edge in graph.edges}
    made = [bits[step] for step in steps]
    return {
        **_pauses([call.time for call in calls]),
        **_answers([call.status for call in calls if call.status]),
        **_objects([call for call in calls if call.object_id is not None and call.endpoint in endpoints], len(calls)),
        **_addresses([call.address for call in calls if call.address is not None]),
        "unmatched_share": _mean([endpoint.split(" ")[-1] == "{unmatched}" for endpoint in visits]),
        "avg_surprise": _mean(made),
        "min_surprise": min(bits.values(), default=MISSING),
        "max_surprise": max(bits.values(), default=MISSING),
        "unexpected_share": _mean([own > -math.log2(0.01) for own in made]),
        "revisit_share": _mean([endpoint in visits[:at] for at, endpoint in enumerate(visits)]),
        "self_loop_share": _mean([source == destination for source, destination in steps]),
        "write_share": _mean([own.split(" ")[0] in {"POST", "PUT", "PATCH", "DELETE"} for own in visits]),
    }


def _surprise(edge: tuple[str, str], others: Sequence["nx.DiGraph[str]"]) -> float:
    """Return -log2 of the probability of an edge, given where it begins, in a chain over other sessions."""
    source, destination = edge
    made = sum(other.has_edge(*edge) for other in others)
    leaving = sum(other.out_degree(source) for other in others if source in other)
    entering = sum(other.in_degree(destination) for other in others if destination in other)
    total = sum(other.number_of_edges() for other in others)
    common = entering / total if total else 0.0
    return -math.log2(min(1.0, 0.9 * (made / leaving if leaving else common) + 0.1 * common + 1e-5))


def _pauses(times: Sequence[int]) -> dict[str, float]:
    latest = list(accumulate(times, max))
    pauses = np.diff(latest)
    if not len(pauses):
        return dict.fromkeys(("median_pause", "pause_spread", "burstiness"), MISSING)
    counters = sorted(min(int(pause).bit_length(), 23) for pause in pauses)

    def quantile(share: float) -> float:
        """The ceil(share * n)-th pause, by how far it is among those in its counter; log2 of milliseconds."""
        rank = share * len(counters)
        counter = counters[max(0, math.ceil(rank) - 1)]
        return counter - 1 + (rank - counters.index(counter)) / counters.count(counter)

    mean, std = float(np.mean(pauses)), float(np.std(pauses))
    return {
        "median_pause": 2 ** quantile(0.5) / 1000,
        "pause_spread": 2 ** (quantile(0.9) - quantile(0.1)),
        "burstiness": _divide(std - mean, std + mean) if len(pauses) > 1 else MISSING,
    }


def _answers(statuses: Sequence[int]) -> dict[str, float]:
    return {
        "client_error_share": _mean([400 <= status < 500 for status in statuses]),
        "denied_share": _mean([status in {401, 403} for status in statuses]),
        "not_found_share": _mean([status == 404 for status in statuses]),
        "server_error_share": _mean([status >= 500 for status in statuses]),
    }


def _objects(calls: Sequence[ApiCall], n_calls: int) -> dict[str, float]:
    """Return how many different objects there are a route, by linear counting over 128 bits."""
    routes = list(dict.fromkeys(call.endpoint for call in calls))[:32]
    noted = [call for call in calls if call.endpoint in routes]
    bits = [{(call.object_id or 0) % 128 for call in noted if call.endpoint == route} for route in routes]
    found = [round(-128 * math.log(max(0.5, 128 - len(own)) / 128)) for own in bits]
    return {
        "object_share": _divide(len(noted), n_calls),
        "avg_objects": _mean(found),
        "max_objects": float(max(found)) if found else MISSING,
        "new_object_share": min(1.0, _divide(sum(found), len(noted))) if found else MISSING,
    }


def _addresses(addresses: Sequence[str]) -> dict[str, float]:
    return {
        "address_changes": float(sum(one != other for one, other in pairwise(addresses))) if addresses else MISSING,
        "n_addresses": float(min(8, len(set(addresses)))) if addresses else MISSING,
    }


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else MISSING


class _Summary:
    """Mean, sample standard deviation, least and greatest of some degrees; missing where there are too few."""

    def __init__(self, values: Sequence[int]) -> None:
        self.avg = statistics.fmean(values) if values else MISSING
        self.std = statistics.stdev(values) if len(values) > 1 else MISSING
        self.min = min(values, default=MISSING)
        self.max = max(values, default=MISSING)


def _divide(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else MISSING
