"""Surprise: how unexpected a session's transitions are beside those of all other sessions.

The surprise of a transition a -> b is -log2 of its probability in a first-order chain over all other sessions, in bits.
The probability is interpolated (Jelinek and Mercer, 1980), so that a transition which nobody else has made is not
impossible: mostly the share of b among the edges that leave a, partly the share of b among all edges, and a little
whatever a and b are. All three are the same after a tenfold of the same traffic. The session's own edges are taken off
first: else what nobody else ever does would look certain.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from featurizer.degrees import GlobalDegrees

OF_ALL = 0.1
"""Weight of b's share of all edges, beside 1 - OF_ALL of its share of those that leave a."""
_OF_SOURCE = 1 - OF_ALL
LEAST = 1e-5
"""Least probability: a surprise is at most 16.6 bits."""
UNEXPECTED = 0.01
"""Probability under which a transition is unexpected."""
UNEXPECTED_BITS = -math.log2(UNEXPECTED)


def surprises(
    sources: Sequence[int], destinations: Sequence[int], entering: Mapping[int, int], degrees: GlobalDegrees
) -> list[float]:
    """Return the surprise of each of a session's edges, in their order.

    Args:
        sources: worker-wide number of each edge's source.
        destinations: of its destination.
        entering: how many of the edges enter each endpoint.
        degrees: what is read.
    """
    counted = not degrees.frozen
    tables = (degrees.read_transitions, degrees.read_leaving, degrees.read_destination)
    own = (Counter(sources), entering) if counted else None
    return surprises_of(sources, destinations, *tables, degrees.total_edges, own)


def surprises_by_name(edges: Iterable[tuple[str, str]], degrees: GlobalDegrees) -> list[float]:
    """Return the surprise of each edge of a graph that is in no degree table.

    Args:
        edges: names of source and destination of each.
        degrees: what is read.
    """
    numbered = [(degrees.ids.get(source, -1), degrees.ids.get(destination, -1)) for source, destination in edges]
    # Nobody has been at an endpoint without a number: its place is the last one.
    tables = ([*degrees.read_transitions, {}], [*degrees.read_leaving, 0], [*degrees.read_destination, 0])
    sources, destinations = [source for source, _ in numbered], [destination for _, destination in numbered]
    return surprises_of(sources, destinations, *tables, degrees.total_edges, None)


def surprises_of(  # noqa: PLR0913, PLR0917 -- tables and what is looked up in them
    sources: Sequence[int],
    destinations: Sequence[int],
    transitions: Sequence[Mapping[int, int]],
    leaving: Sequence[int],
    entering: Sequence[int],
    total: int,
    own: tuple[Mapping[int, int], Mapping[int, int]] | None,
) -> list[float]:
    """Return the surprise of each edge of a session.

    Args:
        sources: number of each edge's source.
        destinations: number of each edge's destination.
        transitions: sessions that made an edge, by source and destination.
        leaving: edges that leave an endpoint, as far as single edges were counted.
        entering: edges that enter an endpoint.
        total: all edges.
        own: how many of the session's edges leave and enter each endpoint, which are counted in the tables; None when
            they are not.
    """
    others, itself = (total, 0) if own is None else (total - len(sources), 1)
    own_leaving, own_entering = own or ({}, {})
    log2 = math.log2
    found = []
    for source, destination in zip(sources, destinations, strict=True):
        entered = entering[destination]
        left = leaving[source]
        if itself:
            entered -= own_entering[destination]
            left -= own_leaving[source]
        made = transitions[source].get(destination, 0) - itself
        common = entered / others if entered > 0 and others > 0 else 0.0
        follows = common
        if left > 0:
            follows = made / left if made > 0 else 0.0
        probability = _OF_SOURCE * follows + OF_ALL * common + LEAST
        found.append(-log2(probability) if probability < 1 else 0.0)
    return found
