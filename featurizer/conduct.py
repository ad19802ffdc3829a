"""Conduct: the features of GATEWAY_V1 that ACCESS_BEHAVIOUR_V1 has not.

What a session has counted while it lasted, and what its graph says besides its shape, turned into values when a vector
is taken.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from featurizer.calls import UNMATCHED_ROUTE
from featurizer.degrees import DESTINATION_MASK, EDGE_BITS, NOT_A_NODE, DegreeTable, GlobalDegrees
from featurizer.features import ACCESS_BEHAVIOUR_V1, MISSING, FeatureSchema
from featurizer.graph import CallGraph, measure_packed
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
Pairs = Sequence[tuple[Node, Node]]
Values = tuple[float, ...]

_COUNTED = 13
_WRITES = ("POST ", "PUT ", "PATCH ", "DELETE ")
_LOST = f" {UNMATCHED_ROUTE}"
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
    edges = session.edges
    shape = measure_packed(edges, session.last_node, table)
    if schema == ACCESS_BEHAVIOUR_V1:
        return shape
    pairs = [(edge >> EDGE_BITS, edge & DESTINATION_MASK) for edge in edges]
    lone = None if session.last_node == NOT_A_NODE else session.last_node
    bits = surprises(pairs, table)
    return (*shape, *_counted(session), *_told(pairs, list(edges.values()), lone, table.names.__getitem__, bits))


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
    return (*shape, *(MISSING,) * _COUNTED, *_told(graph.edges, graph.walks, lone, str, bits))


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
    few, median, many = (_quantile(pauses, n * share) for share in (_FEW, 0.5, _MANY))
    return (2**median / 1000, 2 ** (many - few), _burstiness(session, n))


def _burstiness(session: Session, n: int) -> float:
    """Return how unevenly the calls came, from the sums of n pauses and of their squares."""
    if n < 2 or n != session.calls - 1:  # the session began before pauses were counted
        return MISSING
    total = session.end - session.opened  # a pause is what a call moves the end by
    spread = math.sqrt(max(0, n * session.pause_squares - total * total))  # n times the standard deviation
    return _share(spread - total, spread + total)


def _quantile(pauses: Sequence[int], below: float) -> float:
    """Return the logarithm (to base 2, of milliseconds) below which so many pauses lie; linear within a counter."""
    passed = 0
    for counter, count in enumerate(pauses):
        if count and passed + count >= below:
            return counter - 1 + (below - passed) / count
        passed += count
    raise ValueError(f"{below} of {passed} pauses")


def _told(
    pairs: Pairs[Node], walks: Sequence[int], lone: Node | None, name_of: Callable[[Node], str], bits: Sequence[float]
) -> Values:
    """Return what a graph tells besides its shape: lost calls, surprise, revisits, writes.

    Args:
        pairs: its edges.
        walks: how often each was made.
        lone: an endpoint of it, which is its only one when there is no edge; None when it has none.
        name_of: gives an endpoint's name.
        bits: surprise of each edge.
    """
    visits: dict[Node, int] = {}
    first = pairs[0][0] if pairs else lone
    if first is not None:
        visits[first] = 1  # no edge enters it with the first call
    surprised, unexpected, repeated = 0.0, 0, 0
    for (source, destination), walked, own in zip(pairs, walks, bits, strict=True):
        visits[destination] = visits.get(destination, 0) + walked
        surprised += walked * own
        if own > UNEXPECTED_BITS:
            unexpected += walked
        if source == destination:
            repeated += walked
    lost = writes = 0
    for node, count in visits.items():
        name = name_of(node)
        if name.startswith(_WRITES):
            writes += count
        if name.endswith(_LOST):
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
