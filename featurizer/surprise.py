"""Surprise: how unexpected a session's transitions are beside those of all other sessions.

The surprise of a transition a -> b is -log2 of its probability in a first-order chain over all other sessions, in bits.
The probability is interpolated (Jelinek and Mercer, 1980), so that a transition which nobody else has made is not
impossible: mostly the share of b among the edges that leave a, partly the share of b among all edges, and a little
whatever a and b are. All three are the same after a tenfold of the same traffic. The session's own edges are taken off
first: else what nobody else ever does would look certain.
"""

import math
from collections import Counter
from collections.abc import Iterable

from featurizer.degrees import DESTINATION_MASK, EDGE_BITS, PAIR_BITS, DegreeTable, GlobalDegrees

OF_ALL = 0.1
"""Weight of b's share of all edges, beside 1 - OF_ALL of its share of those that leave a."""
LEAST = 1e-5
"""Least probability: a surprise is at most 16.6 bits."""
UNEXPECTED = 0.01
"""Probability under which a transition is unexpected."""
UNEXPECTED_BITS = -math.log2(UNEXPECTED)


def surprise(made: int, leaving: int, entering: int, total: int) -> float:
    """Return the surprise of a transition a -> b, bits.

    Args:
        made: other sessions that made it.
        leaving: edges of other sessions that leave a, as far as single edges were counted.
        entering: edges of other sessions that enter b.
        total: edges of other sessions.
    """
    common = max(0, entering) / total if total > 0 else 0.0
    follows = max(0, made) / leaving if leaving > 0 else common
    return -math.log2(min(1.0, (1 - OF_ALL) * follows + OF_ALL * common + LEAST))


def surprises(edges: Iterable[int], table: DegreeTable) -> list[float]:
    """Return the surprise of each of a session's edges, in their order.

    Args:
        edges: packed edges.
        table: the partition's table that numbered the endpoints.
    """
    links = table.links
    pairs = [(links[edge >> EDGE_BITS], links[edge & DESTINATION_MASK]) for edge in edges]
    return surprises_of(pairs, table.overall, counted=not table.overall.frozen)


def surprises_of(pairs: list[tuple[int, int]], degrees: GlobalDegrees, *, counted: bool) -> list[float]:
    """Return the surprise of each edge of a session.

    Args:
        pairs: worker-wide numbers of source and destination of each; -1 stands for an endpoint that has none.
        degrees: what is read.
        counted: the session's own edges are in them.
    """
    own = int(counted)
    total = degrees.total_edges - own * len(pairs)
    own_leaving = Counter(source for source, _ in pairs)
    own_entering = Counter(destination for _, destination in pairs)
    transitions, leaving, entering = degrees.read_transitions, degrees.read_leaving, degrees.read_destination
    return [
        surprise(
            transitions.get(source << PAIR_BITS | destination, 0) - own,
            (leaving[source] if source >= 0 else 0) - own * own_leaving[source],
            (entering[destination] if destination >= 0 else 0) - own * own_entering[destination],
            total,
        )
        for source, destination in pairs
    ]
