"""DegreeTable: how often each endpoint is the source or the destination of an edge, over all sessions.

Every input partition owns one DegreeTable (a single writer, absolute values: idempotent and mergeable). All tables of
a worker add up in one GlobalDegrees, which the features read. An edge is counted once per session, when the session
first shows it, and taken back when the session turns out to be anomalous, so that attackers cannot teach the tables.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

OVERFLOW_ENDPOINT = "{overflow}"
"""The one node that stands for every endpoint beyond a table's cap."""

EDGE_BITS = 16
"""An edge is packed as ``source << EDGE_BITS | destination``: one small integer per edge keeps sessions small."""
DESTINATION_MASK = (1 << EDGE_BITS) - 1
MAX_ENDPOINTS = DESTINATION_MASK
"""Most endpoints one table can number."""

NOT_A_NODE = -1
"""Number of an endpoint whose method is left out of the call graph."""


class EndpointDegrees(msgspec.Struct, frozen=True):
    """Degrees of one endpoint: edges that leave it and edges that enter it."""

    source: int
    destination: int


class DegreeSnapshot(msgspec.Struct, frozen=True):
    """Degrees by endpoint name, with the number of edges they were counted over: the exchange form of a table."""

    edges: int
    endpoints: dict[str, EndpointDegrees]


class GlobalDegrees:
    """Sum of every DegreeTable of a worker, and what the features read.

    Attributes:
        source: g_out by endpoint number, edges.
        destination: g_in by endpoint number, edges.
        read_source: what features read for g_out: ``source`` itself, or constants when frozen.
        read_destination: likewise for g_in.
    """

    def __init__(self, frozen: DegreeSnapshot | None = None) -> None:
        self.ids: dict[str, int] = {}
        self.source: list[int] = []
        self.destination: list[int] = []
        self.edges = 0
        self._others: dict[str, DegreeSnapshot] = {}
        self._frozen = frozen
        self.read_source: list[int] = self.source if frozen is None else []
        self.read_destination: list[int] = self.destination if frozen is None else []

    @property
    def total_edges(self) -> int:
        """Edges the degrees that features read were counted over."""
        return self.edges if self._frozen is None else self._frozen.edges

    def number(self, endpoint: str) -> int:
        """Return the worker-wide number of an endpoint, giving it one at first sight."""
        number = self.ids.get(endpoint)
        if number is None:
            number = self.ids[endpoint] = len(self.source)
            self.source.append(0)
            self.destination.append(0)
            if self._frozen is not None:
                known = self._frozen.endpoints.get(endpoint, EndpointDegrees(0, 0))
                self.read_source.append(known.source)
                self.read_destination.append(known.destination)
        return number

    def degrees(self, endpoint: str) -> EndpointDegrees:
        """Return the degrees that features read for an endpoint; zero when it was never seen."""
        number = self.ids.get(endpoint)
        if number is not None:
            return EndpointDegrees(self.read_source[number], self.read_destination[number])
        if self._frozen is not None:
            return self._frozen.endpoints.get(endpoint, EndpointDegrees(0, 0))
        return EndpointDegrees(0, 0)

    def replace(self, source: str, snapshot: DegreeSnapshot | None) -> None:
        """Take over the counts of a table that is kept elsewhere, in place of those it had before.

        Args:
            source: names the table; the same one is never added twice.
            snapshot: its counts; None when it has none any more, or is kept here now.
        """
        before = self._others.pop(source, None)
        if before is not None:
            self._add(before, -1)
        if snapshot is not None:
            self._others[source] = snapshot
            self._add(snapshot, 1)

    def _add(self, snapshot: DegreeSnapshot, sign: int) -> None:
        self.edges += sign * snapshot.edges
        for endpoint, own in snapshot.endpoints.items():
            number = self.number(endpoint)
            self.source[number] += sign * own.source
            self.destination[number] += sign * own.destination

    def snapshot(self) -> DegreeSnapshot:
        """Return the live degrees by name, endpoints without edges left out."""
        return _snapshot(self.edges, self.ids, self.source, self.destination)


class DegreeTable:
    """One input partition's own counts, added into the worker's GlobalDegrees as they change.

    Args:
        overall: the sum this table is part of.
        max_endpoints: distinct endpoints numbered before further ones become ``{overflow}``.
        excluded_methods: HTTP methods that are no part of the call graph (preflight requests, probes).

    Raises:
        ValueError: ``max_endpoints`` is not between 1 and MAX_ENDPOINTS.
    """

    def __init__(self, overall: GlobalDegrees, max_endpoints: int, excluded_methods: Iterable[str] = ()) -> None:
        if not 1 <= max_endpoints <= MAX_ENDPOINTS:
            raise ValueError(f"max_endpoints is {max_endpoints}; it must be between 1 and {MAX_ENDPOINTS}")
        self.overall = overall
        self.ids: dict[str, int] = {}
        self.names: list[str] = []
        self.source: list[int] = []
        self.destination: list[int] = []
        self.links: list[int] = []
        self.edges = 0
        self.overflowed = 0
        self._max_endpoints = max_endpoints
        self._excluded = tuple(f"{method} " for method in excluded_methods)

    def number(self, endpoint: str) -> int:
        """Return this table's number of an endpoint seen for the first time.

        The hot path looks into ``ids`` first and calls this only on a miss. NOT_A_NODE for excluded methods. Beyond
        the cap the number is that of ``{overflow}`` and the name is not remembered, so memory stays bounded.
        """
        known = self.ids.get(endpoint)
        if known is not None:
            return known
        if self._excluded and endpoint.startswith(self._excluded):
            return NOT_A_NODE
        if len(self.names) >= self._max_endpoints and endpoint != OVERFLOW_ENDPOINT:
            self.overflowed += 1
            return self.number(OVERFLOW_ENDPOINT)
        number = self.ids[endpoint] = len(self.names)
        self.names.append(endpoint)
        self.source.append(0)
        self.destination.append(0)
        self.links.append(self.overall.number(endpoint))
        return number

    def add(self, source: int, destination: int, by: int = 1) -> None:
        """Count an edge that a session shows for the first time; ``by=-1`` takes it back."""
        overall, links = self.overall, self.links
        self.source[source] += by
        self.destination[destination] += by
        self.edges += by
        overall.source[links[source]] += by
        overall.destination[links[destination]] += by
        overall.edges += by

    def retract(self, edges: Iterable[int]) -> None:
        """Take back the packed edges of a session that was alerted."""
        for edge in edges:
            self.add(edge >> EDGE_BITS, edge & DESTINATION_MASK, -1)

    def restore(self, names: Sequence[str], source: Sequence[int], destination: Sequence[int], edges: int) -> None:
        """Fill an empty table with the counts of an earlier one, endpoints under the same numbers.

        Args:
            names: endpoints in the order of their numbers.
            source: edges that leave each, shape (len(names),).
            destination: edges that enter each, likewise.
            edges: edges counted.
        """
        overall = self.overall
        for name, leaving, entering in zip(names, source, destination, strict=True):
            self.ids[name] = len(self.names)
            self.names.append(name)
            self.source.append(leaving)
            self.destination.append(entering)
            link = overall.number(name)
            self.links.append(link)
            overall.source[link] += leaving
            overall.destination[link] += entering
        self.edges += edges
        overall.edges += edges

    def detach(self) -> None:
        """Take this table out of the worker's sum: its partition has moved to another worker."""
        overall = self.overall
        for link, source, destination in zip(self.links, self.source, self.destination, strict=True):
            overall.source[link] -= source
            overall.destination[link] -= destination
        overall.edges -= self.edges

    def snapshot(self) -> DegreeSnapshot:
        """Return this partition's counts by name."""
        return _snapshot(self.edges, self.ids, self.source, self.destination)


def sum_snapshots(snapshots: Iterable[DegreeSnapshot]) -> DegreeSnapshot:
    """Add tables up by endpoint name."""
    edges = 0
    totals: dict[str, EndpointDegrees] = {}
    for snapshot in snapshots:
        edges += snapshot.edges
        for endpoint, own in snapshot.endpoints.items():
            other = totals.get(endpoint, EndpointDegrees(0, 0))
            totals[endpoint] = EndpointDegrees(own.source + other.source, own.destination + other.destination)
    return DegreeSnapshot(edges, totals)


def _snapshot(edges: int, ids: Mapping[str, int], source: list[int], destination: list[int]) -> DegreeSnapshot:
    return DegreeSnapshot(
        edges,
        {
            name: EndpointDegrees(source[number], destination[number])
            for name, number in ids.items()
            if source[number] or destination[number]
        },
    )
