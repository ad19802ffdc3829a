"""MIDAS: bursts of an edge of a streaming graph, from two count-min sketches.

S. Bhatia, B. Hooi, M. Yoon, K. Shin, C. Faloutsos, MIDAS: Microcluster-Based Detector of Anomalies in Edge Streams,
AAAI 2020. An edge here joins a client and the endpoint that it calls. With a its count in the present tick, s its count
so far and t the number of the tick, its score is the chi-squared statistic of a against the mean s / t:

    (a - s / t)² t² / (s (t - 1))        0 in the first tick

The sketch of Cormode and Muthukrishnan (Journal of Algorithms 55, 2005) keeps it in constant memory.
"""

import numpy as np
from numpy.typing import NDArray

from scorer.examples import Indices, Scores

ROWS = 4
BUCKETS = 4096
TICK_MS = 60_000
"""Length of a tick: a minute. No other was tried."""
_PRIME = (1 << 31) - 1


def edge_bursts(source: Indices, destination: Indices, tick: NDArray[np.int64], seed: int = 0) -> Scores:
    """Return the score of each edge as it arrives, shape (edges,).

    Args:
        source: number of each edge's source, in order of time.
        destination: number of its destination.
        tick: number of its tick, from 1 upwards; the stream is in order, and a tick that goes back counts as the
            latest one.
        seed: of the sketches' hash functions.
    """
    distinct, which = np.unique(np.stack([source, destination], axis=1), axis=0, return_inverse=True)
    places = _buckets(distinct.astype(np.int64), seed)[which.reshape(-1)]
    ticks = np.maximum.accumulate(tick)
    present = np.zeros((ROWS, BUCKETS))
    total = np.zeros((ROWS, BUCKETS))
    rows = np.arange(ROWS)
    scores = np.zeros(len(source))
    latest = 0
    for number, (now, place) in enumerate(zip(ticks.tolist(), places, strict=True)):
        if now != latest:
            present[:] = 0
            latest = now
        present[rows, place] += 1
        total[rows, place] += 1
        if now > 1:
            scores[number] = _burst(float(present[rows, place].min()), float(total[rows, place].min()), now)
    return scores


def _burst(present: float, total: float, tick: int) -> float:
    return (present - total / tick) ** 2 * tick * tick / (total * (tick - 1))


def _buckets(edges: NDArray[np.int64], seed: int) -> Indices:
    """Return the bucket of each edge in each row of a sketch, by pairwise independent hashes, shape (edges, ROWS)."""
    rng = np.random.default_rng(seed)
    first, second, offset = (rng.integers(1, _PRIME, (1, ROWS)) for _ in range(3))
    mixed = edges[:, :1] * first % _PRIME + edges[:, 1:] * second % _PRIME + offset
    return (mixed % _PRIME % BUCKETS).astype(np.intp)
