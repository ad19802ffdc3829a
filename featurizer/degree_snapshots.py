"""DegreeSnapshot: the counts of a degree table by name, as it is kept, sent to other workers, and added up."""

from collections.abc import Iterable, Sequence

import msgspec


class EndpointDegrees(msgspec.Struct, frozen=True):
    """Degrees of one endpoint: edges that leave it and edges that enter it."""

    source: int
    destination: int


Transitions = dict[str, dict[str, int]]
"""How many sessions made each edge, by the names of its source and its destination."""


class DegreeSnapshot(msgspec.Struct, frozen=True):
    """The exchange form of a table.

    Attributes:
        edges: number of edges that it was counted over.
        endpoints: degrees by endpoint name.
        transitions: counts of single edges; empty in tables of earlier versions.
    """

    edges: int
    endpoints: dict[str, EndpointDegrees]
    transitions: Transitions = {}


def sum_snapshots(snapshots: Iterable[DegreeSnapshot]) -> DegreeSnapshot:
    """Add tables up by endpoint name."""
    edges = 0
    totals: dict[str, EndpointDegrees] = {}
    transitions: Transitions = {}
    for snapshot in snapshots:
        edges += snapshot.edges
        for endpoint, own in snapshot.endpoints.items():
            other = totals.get(endpoint, EndpointDegrees(0, 0))
            totals[endpoint] = EndpointDegrees(own.source + other.source, own.destination + other.destination)
        for source, following in snapshot.transitions.items():
            into = transitions.setdefault(source, {})
            for destination, count in following.items():
                into[destination] = into.get(destination, 0) + count
    # A session that was moved is counted in one table and may be taken back in another.
    counted = {source: {to: count for to, count in own.items() if count} for source, own in transitions.items()}
    return DegreeSnapshot(edges, totals, {source: own for source, own in counted.items() if own})


def snapshot_of(
    edges: int,
    names: Sequence[str],
    source: Sequence[int],
    destination: Sequence[int],
    transitions: Iterable[tuple[int, int, int]],
) -> DegreeSnapshot:
    """Return counts by name, endpoints without edges left out.

    Args:
        edges: edges that were counted.
        names: endpoints in the order of their numbers.
        source: edges that leave each, shape (len(names),).
        destination: edges that enter each, likewise.
        transitions: source, destination and count of single edges, by number.
    """
    rows = zip(names, source, destination, strict=True)
    return DegreeSnapshot(
        edges,
        {name: EndpointDegrees(leaving, entering) for name, leaving, entering in rows if leaving or entering},
        named(names, transitions),
    )


def named(names: Sequence[str], transitions: Iterable[tuple[int, int, int]]) -> Transitions:
    """Return counts of single edges by name, those of zero left out; arguments as ``snapshot_of``."""
    found: Transitions = {}
    for source, destination, count in transitions:
        if count:
            found.setdefault(names[source], {})[names[destination]] = count
    return found
