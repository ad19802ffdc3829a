"""Conduct: the features of GATEWAY_V1 that ACCESS_BEHAVIOUR_V1 has not.

What a session has counted while it lasted, and what its graph says besides its shape, turned into values when a vector
is taken.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from featurizer.calls import is_unmatched, is_write
from featurizer.degrees import DESTINATION_MASK, EDGE_BITS, NOT_A_NODE, DegreeTable, GlobalDegrees
from featurizer.features import ACCESS_BEHAVIOUR_V1, MISSING, FeatureSchema
from featurizer.graph import CallGraph, measure
from featurizer.session import Session
from featurizer.surprise import UNEXPECTED_BITS, surprises, surprises_by_name
from featurizer.tallies import (
    ADDRESS_BYTES,
    ADDRESS_CHANGES,
    CLIENT_ERRORS,
    DENIED,
    NOT_FOUND,
    OBJECT_BITS,
    OBJECT_CALLS,
    PAUSES,
    SERVER_ERRORS,
    UNANSWERED,
)

Node = TypeVar("Node", int, str)
Values = tuple[float, ...]

_COUNTED = 13
_FEW, _MANY = 0.1, 0.9
_OBJECTS = [
    round(OBJECT_BITS * math.log(OBJECT_BITS / max(OBJECT_BITS - noted, 0.5))) for noted in range(OBJECT_BITS + 1)
]
"""How many objects so many bits stand for, by linear counting; when all are set, as if half a bit were left."""


def measure_session(session: Session, table: DegreeTable, schema: FeatureSchema) -> Values:
    """Return the values of a session's features.

    Args:
        session: the session.
        table: the partition's table that numbered its endpoints.
        schema: which features, and their order: ACCESS_BEHAVIOUR_V1 or GATEWAY_V1.
    """
    edges, links, overall = session.edges, table.links, table.overall
    # By their worker-wide numbers, which the degrees are read by.
    sources = [links[edge >> EDGE_BITS] for edge in edges]
    destinations = [links[edge & DESTINATION_MASK] for edge in edges]
    lone = None if session.last_node == NOT_A_NODE else links[session.last_node]
    entering = Counter(destinations)
    read_source, read_destination = overall.read_source, overall.read_destination
    shape = measure(
        entering.values(),
        [read_source[source] for source in sources],
        [read_destination[destination] for destination in destinations],
        len({*sources, *destinations}) or int(lone is not None),
        overall.total_edges,
    )
    if schema == ACCESS_BEHAVIOUR_V1:
        return shape
    bits = surprises(sources, destinations, entering, overall)
    marks = (overall.writes.__getitem__, overall.unmatched.__getitem__)
    return (*shape, *_counted(session), *_told(sources, destinations, list(edges.values()), lone, *marks, bits))


def measure_graph(graph: CallGraph, degrees: GlobalDegrees, schema: FeatureSchema) -> Values:
    """Return the values of what a graph alone tells; the others are missing. Its edges are in no degree table.

    Args:
        graph: the graph.
        degrees: what is read.
        schema: which features, and their order: ACCESS_BEHAVIOUR_V1 or GATEWAY_V1.
    """
    shape = graph.values(degrees)
    if schema == ACCESS_BEHAVIOUR_V1:
        return shape
    bits = surprises_by_name(graph.edges, degrees)
    lone = next(iter(sorted(graph.nodes)), None)
    sources, destinations = [source for source, _ in graph.edges], [destination for _, destination in graph.edges]
    told = _told(sources, destinations, graph.walks, lone, is_write, is_unmatched, bits)
    return (*shape, *(MISSING,) * _COUNTED, *told)


def _counted(session: Session) -> Values:
    """Return pauses, answers, objects and addresses."""
    tally = session.tally
    answered = session.calls - tally[UNANSWERED]
    found = [_OBJECTS[noted.bit_count()] for noted in session.objects.values()]
    known = len(session.addresses) // ADDRESS_BYTES
    return (
        *_timing(session),
        _share(tally[CLIENT_ERRORS], answered),
        _share(tally[DENIED], answered),
        _share(tally[NOT_FOUND], answered),
        _share(tally[SERVER_ERRORS], answered),
        _share(tally[OBJECT_CALLS], session.calls),
        _share(sum(found), len(found)),
        float(max(found)) if found else MISSING,
        min(1.0, _share(sum(found), tally[OBJECT_CALLS])) if found else MISSING,
        float(tally[ADDRESS_CHANGES]) if known else MISSING,
        float(known) if known else MISSING,
    )


def _timing(session: Session) -> Values:
    """Return median (seconds), spread and burstiness of the pauses."""
    pauses = session.tally[:PAUSES].tolist()
    n = sum(pauses)
    if not n:
        return (MISSING, MISSING, MISSING)
    few, median, many = _quantiles(pauses, (n * _FEW, n * 0.5, n * _MANY))
    return (2**median / 1000, 2 ** (many - few), _burstiness(session, n))


def _burstiness(session: Session, n: int) -> float:
    """Return how unevenly the calls came, from the sums of n pauses and of their squares."""
    if n < 2 or n != session.calls - 1:  # the session began before pauses were counted
        return MISSING
    total = session.end - session.opened  # a pause is what a call moves the end by
    spread = math.sqrt(max(0, n * session.pause_squares - total * total))  # n times the standard deviation
    return _share(spread - total, spread + total)


def _quantiles(pauses: Sequence[int], ranks: Iterable[float]) -> list[float]:
    """Return the logarithms (to base 2, of milliseconds) below which so many pauses lie; linear within a counter.

    Args:
        pauses: the counters.
        ranks: how many pauses, ascending.
    """
    found: list[float] = []
    counter, count, passed = -1, 0, 0
    for rank in ranks:
        while not count or passed + count < rank:
            passed += count
            counter += 1
            count = pauses[counter]
        found.append(counter - 1 + (rank - passed) / count)
    return found


def _told(  # noqa: PLR0913, PLR0917 -- a graph in columns
    sources: Sequence[Node],
    destinations: Sequence[Node],
    walks: Sequence[int],
    lone: Node | None,
    writing: Callable[[Node], bool],
    unmatched: Callable[[Node], bool],
    bits: Sequence[float],
) -> Values:
    """Return what a graph tells besides its shape: lost calls, surprise, revisits, writes.

    Args:
        sources: source of each edge.
        destinations: its destination.
        walks: how often each was made.
        lone: an endpoint of it, which is its only one when there is no edge; None when it has none.
        writing: whether an endpoint is a write.
        unmatched: whether it stands for calls that no route answered.
        bits: surprise of each edge.
    """
    visits: dict[Node, int] = {}
    first = sources[0] if sources else lone
    if first is not None:
        visits[first] = 1  # no edge enters it with the first call
    surprised, unexpected, repeated = 0.0, 0, 0
    for source, destination, walked, own in zip(sources, destinations, walks, bits, strict=True):
        visits[destination] = visits.get(destination, 0) + walked
        surprised += walked * own
        if own > UNEXPECTED_BITS:
            unexpected += walked
        if source == destination:
            repeated += walked
    lost = writes = 0
    for node, count in visits.items():
        if writing(node):
            writes += count
        if unmatched(node):
            lost += count
    calls, steps = sum(visits.values()), sum(walks)
    return (
        _share(lost, calls),
        _share(surprised, steps),
        min(bits, default=MISSING),
        max(bits, default=MISSING),
        _share(unexpected, steps),
        _share(calls - len(visits), calls),
        _share(repeated, steps),
        _share(writes, calls),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else MISSING
