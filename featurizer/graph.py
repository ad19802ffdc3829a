"""CallGraph: the distinct transitions of a session, and its features.

While a session is open its graph is one dict of packed edges, kept by ``featurizer.sessions`` at O(1) a call; nodes and
local degrees are derived when a vector is taken. CallGraph is the same graph by endpoint name, for requests and tools.
"""

import heapq
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from featurizer.degrees import DESTINATION_MASK, EDGE_BITS, DegreeTable, GlobalDegrees
from featurizer.features import MISSING


def measure(
    local_dest_degrees: Collection[int],
    source_degrees: Sequence[int],
    dest_degrees: Sequence[int],
    n_apis: int,
    total_edges: int,
) -> tuple[float, ...]:
    """Return the values of ACCESS_BEHAVIOUR_V1, in its order, from the degrees of each distinct edge.

    Degrees are whole numbers, so the sums are exact and each value is rounded once or twice.

    Args:
        local_dest_degrees: l_in of each different destination, in any order.
        source_degrees: g_out of each edge's source.
        dest_degrees: g_in of each edge's destination.
        n_apis: distinct endpoints of the graph.
        total_edges: edges that the global degrees were counted over.
    """
    n = len(source_degrees)
    if n == 0:
        return (0.0, float(n_apis), *((0.0, 0.0) if n_apis else (MISSING, MISSING)), *(MISSING,) * 19)
    source, dest = sum(source_degrees), sum(dest_degrees)
    min_source, max_source = min(source_degrees), max(source_degrees)
    min_dest, max_dest = min(dest_degrees), max(dest_degrees)
    # Over edges, l_in of the destination: a destination with k edges contributes k times the value k.
    local_spread = _spread(n, sum([k * k for k in local_dest_degrees]), sum([k * k * k for k in local_dest_degrees]))
    dest_spread = _spread(n, dest, sum([degree * degree for degree in dest_degrees]))
    return (
        float(n),
        float(n_apis),
        n / n_apis,
        n / (n_apis * n_apis),
        local_spread,
        local_spread * n_apis / n,
        _ratio(source, n * max_source),
        _ratio(n * min_source, source),
        _ratio(min_source, max_source),
        _ratio(dest, n * max_dest),
        _ratio(n * min_dest, dest),
        _ratio(min_dest, max_dest),
        _ratio(n * dest_spread, dest),
        _ratio(source, dest),
        _ratio(max_source, max_dest),
        _ratio(min_source, min_dest),
        _ratio(source, n * total_edges),
        _ratio(min_source, total_edges),
        _ratio(max_source, total_edges),
        _ratio(dest, n * total_edges),
        _ratio(dest_spread, total_edges),
        _ratio(min_dest, total_edges),
        _ratio(max_dest, total_edges),
    )


def rarest(edges: Iterable[int], most: int, table: DegreeTable) -> list[tuple[str, str, float]]:
    """Return the edges least to be expected, as (source, destination, expected), the rarest first.

    ``expected`` is how often the edge would occur over all sessions if sources and destinations were independent:
    g_out(source) x g_in(destination) / total edges.

    Args:
        edges: packed edges.
        most: how many to return.
        table: the partition's table that numbered the endpoints.
    """
    names, links, overall = table.names, table.links, table.overall
    total = max(1, overall.total_edges)
    found = []
    for edge in edges:
        source, destination = edge >> EDGE_BITS, edge & DESTINATION_MASK
        common = overall.read_source[links[source]] * overall.read_destination[links[destination]]
        found.append((common / total, names[source], names[destination]))
    return [(source, destination, expected) for expected, source, destination in heapq.nsmallest(most, found)]


def endpoints_of(edges: Iterable[int], table: DegreeTable) -> set[str]:
    """Return the endpoints that packed edges join.

    Args:
        edges: packed edges.
        table: the partition's table that numbered the endpoints.
    """
    names = table.names
    return {names[node] for edge in edges for node in (edge >> EDGE_BITS, edge & DESTINATION_MASK)}


class CallGraph:
    """A call graph by endpoint name.

    Args:
        edges: pairs (source, destination); repeated pairs count once.
        nodes: endpoints that were called without being part of an edge (a single call).

    Attributes:
        walks: how often each edge was given.
    """

    def __init__(self, edges: Iterable[tuple[str, str]], nodes: Iterable[str] = ()) -> None:
        counted = Counter(edges)
        self.edges = tuple(counted)
        self.walks = tuple(counted.values())
        self.nodes = frozenset(nodes).union(*self.edges)

    @classmethod
    def of_calls(cls, endpoints: Sequence[str]) -> "CallGraph":
        """Return the graph of calls in their order."""
        return cls(pairwise(endpoints), endpoints)

    def values(self, degrees: GlobalDegrees) -> tuple[float, ...]:
        """Return the values of ACCESS_BEHAVIOUR_V1 against the given degrees."""
        known = {node: degrees.degrees(node) for node in self.nodes}
        return measure(
            Counter([destination for _, destination in self.edges]).values(),
            [known[source].source for source, _ in self.edges],
            [known[destination].destination for _, destination in self.edges],
            len(self.nodes),
            degrees.total_edges,
        )


def _ratio(numerator: float, denominator: int) -> float:
    return numerator / denominator if denominator else MISSING


def _spread(n: int, total: int, total_of_squares: int) -> float:
    """Sample standard deviation (ddof=1) from exact integer sums; missing for fewer than two values."""
    if n < 2:
        return MISSING
    return math.sqrt((n * total_of_squares - total * total) / (n * (n - 1)))
