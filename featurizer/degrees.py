"""DegreeTable: how often each endpoint is an edge's source or destination, and each edge made, over all sessions.

Every input partition owns one DegreeTable (a single writer, absolute values: idempotent and mergeable). All tables of
a worker add up in one GlobalDegrees, which the features read. An edge is counted once per session, when the session
first shows it, and taken back when the session turns out to be anomalous, so that attackers cannot teach the tables.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from featurizer.calls import is_unmatched, is_write
from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees, Transitions, named, snapshot_of

OVERFLOW_ENDPOINT = "{overflow}"
"""The one node that stands for every endpoint beyond a table's cap."""

EDGE_BITS = 16
"""An edge is packed as ``source << EDGE_BITS | destination``: one small integer per edge keeps sessions small."""
DESTINATION_MASK = (1 << EDGE_BITS) - 1
MAX_ENDPOINTS = DESTINATION_MASK
"""Most endpoints one table can number."""
MAX_TRANSITIONS = 32_768
"""Most different edges one table counts by themselves: a table is one record, and a topic bounds the size of those."""

NOT_A_NODE = -1
"""Number of an endpoint whose method is left out of the call graph."""


class GlobalDegrees:
    """Sum of every DegreeTable of a worker, and what the features read.

    Attributes:
        ids: number of each endpoint.
        writes: whether an endpoint is a write, by its number.
        unmatched: whether it stands for calls that no route answered, likewise.
        source: g_out by endpoint number, edges.
        destination: g_in by endpoint number, edges.
        leaving: edges that leave an endpoint and are counted in ``transitions``, by its number.
        transitions: for each endpoint, by its number, how many sessions made an edge from it, by the destination's.
        read_source: what features read for g_out: ``source`` itself, or constants when frozen.
        read_destination: likewise for g_in.
        read_leaving: likewise for ``leaving``.
        read_transitions: likewise for ``transitions``.
    """

    def __init__(self, frozen: DegreeSnapshot | None = None) -> None:
        self.ids: dict[str, int] = {}
        self.writes: list[bool] = []
        self.unmatched: list[bool] = []
        self.source: list[int] = []
        self.destination: list[int] = []
        self.leaving: list[int] = []
        self.transitions: list[dict[int, int]] = []
        self.edges = 0
        self._others: dict[str, DegreeSnapshot] = {}
        self._frozen = frozen
        self.read_source: list[int] = self.source if frozen is None else []
        self.read_destination: list[int] = self.destination if frozen is None else []
        self.read_leaving: list[int] = self.leaving if frozen is None else []
        self.read_transitions: list[dict[int, int]] = self.transitions if frozen is None else []
        if frozen is not None:
            self._freeze(frozen)

    def _freeze(self, frozen: DegreeSnapshot) -> None:
        for endpoint, own in frozen.endpoints.items():
            number = self.number(endpoint)
            self.read_source[number], self.read_destination[number] = own.source, own.destination
        for source, following in frozen.transitions.items():
            number = self.number(source)
            self.read_leaving[number] = sum(following.values())
            for destination, count in following.items():
                self.read_transitions[number][self.number(destination)] = count

    @property
    def frozen(self) -> bool:
        """Whether features read constants, which no session here is part of."""
        return self._frozen is not None

    @property
    def total_edges(self) -> int:
        """Edges the degrees that features read were counted over."""
        return self.edges if self._frozen is None else self._frozen.edges

    def number(self, endpoint: str) -> int:
        """Return the worker-wide number of an endpoint, giving it one at first sight."""
        number = self.ids.get(endpoint)
        if number is None:
            number = self.ids[endpoint] = len(self.source)
            self.writes.append(is_write(endpoint))
            self.unmatched.append(is_unmatched(endpoint))
            for own in (self.source, self.destination, self.leaving):
                own.append(0)
            self.transitions.append({})
            if self._frozen is not None:
                for read in (self.read_source, self.read_destination, self.read_leaving):
                    read.append(0)
                self.read_transitions.append({})
        return number

    def degrees(self, endpoint: str) -> EndpointDegrees:
        """Return the degrees that features read for an endpoint; zero when it was never seen."""
        number = self.ids.get(endpoint)
        if number is None:
            return EndpointDegrees(0, 0)
        return EndpointDegrees(self.read_source[number], self.read_destination[number])

    def count(self, source: int, destination: int, by: int) -> None:
        """Let another count of an edge, by its endpoints' numbers, be part of the sum."""
        self.leaving[source] += by
        _count(self.transitions[source], destination, by)

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
        self._exchange(before.transitions if before else {}, snapshot.transitions if snapshot else {})

    def _add(self, snapshot: DegreeSnapshot, sign: int) -> None:
        self.edges += sign * snapshot.edges
        for endpoint, own in snapshot.endpoints.items():
            number = self.number(endpoint)
            self.source[number] += sign * own.source
            self.destination[number] += sign * own.destination

    def _exchange(self, before: Transitions, after: Transitions) -> None:
        """Put counts in the place of others. Most are the same: they are compared, not taken off and added again."""
        for source in before.keys() | after.keys():
            old, new = before.get(source, {}), after.get(source, {})
            if old == new:
                continue
            number = self.number(source)
            for destination in old.keys() | new.keys():
                by = new.get(destination, 0) - old.get(destination, 0)
                if by:
                    self.count(number, self.number(destination), by)

    def snapshot(self) -> DegreeSnapshot:
        """Return the live degrees by name, endpoints without edges left out."""
        names = list(self.ids)
        edges = (
            (source, destination, count)
            for source, following in enumerate(self.transitions)
            for destination, count in following.items()
        )
        return snapshot_of(self.edges, names, self.source, self.destination, edges)


class DegreeTable:
    """One input partition's own counts, added into the worker's GlobalDegrees as they change.

    Args:
        overall: the sum this table is part of.
        max_endpoints: distinct endpoints numbered before further ones become ``{overflow}``.
        excluded_methods: HTTP methods that are no part of the call graph (preflight requests, probes).
        max_transitions: different edges counted by themselves; further ones count for the degrees only.

    Attributes:
        transitions: sessions that made an edge, by the packed edge.
        uncounted: counts of edges that were left out beyond the cap.

    Raises:
        ValueError: ``max_endpoints`` is not between 1 and MAX_ENDPOINTS.
    """

    def __init__(
        self,
        overall: GlobalDegrees,
        max_endpoints: int,
        excluded_methods: Iterable[str] = (),
        max_transitions: int = MAX_TRANSITIONS,
    ) -> None:
        if not 1 <= max_endpoints <= MAX_ENDPOINTS:
            raise ValueError(f"max_endpoints is {max_endpoints}; it must be between 1 and {MAX_ENDPOINTS}")
        self.overall = overall
        self.ids: dict[str, int] = {}
        self.names: list[str] = []
        self.source: list[int] = []
        self.destination: list[int] = []
        self.links: list[int] = []
        self.transitions: dict[int, int] = {}
        self.edges = 0
        self.overflowed = 0
        self.uncounted = 0
        self._max_endpoints = max_endpoints
        self._max_transitions = max_transitions
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

    def add(self, source: int, destination: int) -> None:
        """Count an edge that a session shows for the first time."""
        edge, transitions = source << EDGE_BITS | destination, self.transitions
        known = transitions.get(edge)
        if known is not None:
            transitions[edge] = known + 1
        elif len(transitions) < self._max_transitions:
            transitions[edge] = 1
        else:
            self.uncounted += 1
            self._add(source, destination, 1)
            return
        overall, leaves, enters = self.overall, self.links[source], self.links[destination]
        self.source[source] += 1
        self.destination[destination] += 1
        self.edges += 1
        # As ``_add`` and ``count`` of the sum do; calling them takes half as long again.
        overall.source[leaves] += 1
        overall.destination[enters] += 1
        overall.edges += 1
        overall.leaving[leaves] += 1
        following = overall.transitions[leaves]
        following[enters] = following.get(enters, 0) + 1

    def retract(self, edges: Iterable[int]) -> None:
        """Take back the packed edges of a session that was alerted.

        A count may come to be below zero: that of a session which was moved here, counted elsewhere and taken back
        here. Only sums are read. Beyond the cap an edge that is not counted is not taken back either; one that was left
        out while the table was full, and is taken back when it no longer is, comes out one too low.
        """
        for edge in edges:
            source, destination = edge >> EDGE_BITS, edge & DESTINATION_MASK
            self._add(source, destination, -1)
            if edge not in self.transitions and len(self.transitions) >= self._max_transitions:
                self.uncounted += 1
            else:
                _count(self.transitions, edge, -1)
                self.overall.count(self.links[source], self.links[destination], -1)

    def _add(self, source: int, destination: int, by: int) -> None:
        """Count an edge, or take it back, in the degrees alone."""
        overall, links = self.overall, self.links
        self.source[source] += by
        self.destination[destination] += by
        self.edges += by
        overall.source[links[source]] += by
        overall.destination[links[destination]] += by
        overall.edges += by

    def restore(
        self,
        names: Sequence[str],
        source: Sequence[int],
        destination: Sequence[int],
        edges: int,
        transitions: Mapping[int, int],
    ) -> None:
        """Fill an empty table with the counts of an earlier one, endpoints under the same numbers.

        Args:
            names: endpoints in the order of their numbers.
            source: edges that leave each, shape (len(names),).
            destination: edges that enter each, likewise.
            edges: edges counted.
            transitions: sessions that made an edge, by the packed edge.
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
        self.transitions.update(transitions)
        self._count_overall(1)

    def detach(self) -> None:
        """Take this table out of the worker's sum: its partition has moved to another worker."""
        overall = self.overall
        for link, source, destination in zip(self.links, self.source, self.destination, strict=True):
            overall.source[link] -= source
            overall.destination[link] -= destination
        overall.edges -= self.edges
        self._count_overall(-1)

    def snapshot(self) -> DegreeSnapshot:
        """Return this partition's counts by name."""
        return snapshot_of(self.edges, self.names, self.source, self.destination, _unpacked(self.transitions))

    def _count_overall(self, sign: int) -> None:
        overall, links = self.overall, self.links
        for source, destination, count in _unpacked(self.transitions):
            overall.count(links[source], links[destination], sign * count)


def transitions_of(names: Sequence[str], transitions: Mapping[int, int]) -> Transitions:
    """Return counts of edges by name.

    Args:
        names: endpoints in the order of their numbers.
        transitions: counts by packed edge.
    """
    return named(names, _unpacked(transitions))


def _unpacked(transitions: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
    """Yield source, destination and count of packed edges."""
    for edge, count in transitions.items():
        yield edge >> EDGE_BITS, edge & DESTINATION_MASK, count


def _count(counts: dict[int, int], key: int, by: int) -> None:
    """Add to a count; one of zero is not kept."""
    count = counts.get(key, 0) + by
    if count:
        counts[key] = count
    else:
        counts.pop(key, None)
