"""Hold-out: which sessions judge a model, split by client and by time."""

from dataclasses import dataclass

import numpy as np

from scorer.examples import Indices, Labels
from scorer.labelling import LabelledVectors

TEST_SHARE = 0.4
"""Share of the clients, and of the time, that is held out."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """Sessions to train on and to test with; no client is on both sides. One entry a session.

    Attributes:
        train: sessions to fit to.
        test: sessions to judge by.
        in_time: every test session starts after every training session has started.
        how: the split in words.
    """

    train: Labels
    test: Labels
    in_time: bool
    how: str


def hold_out(vectors: LabelledVectors, seed: int) -> Holdout:
    """Split sessions by client and by time.

    Held-out clients are those that first appear in the last part of the time, where there are enough of them (attackers
    are often seen once), and a random choice otherwise (users come back). Training sessions start before that part,
    test sessions within it; what is neither is left out. Where that leaves a side without attacked or benign
    sessions, the split is by client alone.

    Args:
        vectors: labelled sessions.
        seed: seed of the random choice.
    """
    cut = np.quantile(vectors.start, 1 - TEST_SHARE)
    held_out = _clients(vectors, cut, seed)[vectors.client]
    early = vectors.start < cut
    train, test = ~held_out & early, held_out & ~early
    percent = round(TEST_SHARE * 100)
    if _judges(vectors, train) and _judges(vectors, test):
        left_out = int((~train & ~test).sum())
        how = (
            f"no client is on both sides; test sessions start in the last {percent} % of the time, training sessions "
            f"before; {left_out:,} sessions that are neither are left out"
        )
        return Holdout(train, test, in_time=True, how=how)
    how = f"test sessions are of {percent} % of the clients; too few sessions to split by time as well"
    return Holdout(~held_out, held_out, in_time=False, how=how)


def _clients(vectors: LabelledVectors, cut: float, seed: int) -> Labels:
    """Return which clients are held out: a share of those of every kind of attack, and of those of none."""
    count = int(vectors.client.max()) + 1
    first_seen = np.full(count, np.inf)
    np.minimum.at(first_seen, vectors.client, vectors.start.astype(np.float64))
    kinds = np.full(count, "", dtype=object)
    for client, kind in zip(vectors.client, vectors.attacks, strict=True):
        kinds[client] = kinds[client] or kind
    held_out = np.zeros(count, dtype=bool)
    rng = np.random.default_rng(seed)
    for kind in sorted(set(vectors.attacks)):
        members = np.flatnonzero(kinds == kind)
        held_out[_choose(members, first_seen[members] >= cut, rng)] = True
    return held_out


def _choose(members: Indices, new: Labels, rng: np.random.Generator) -> Indices:
    wanted = round(len(members) * TEST_SHARE)
    if new.sum() >= wanted / 2:
        return members[new]
    return rng.permutation(members)[:wanted]


def _judges(vectors: LabelledVectors, sessions: Labels) -> bool:
    """Whether sessions of both classes are there, attacked ones more than a handful."""
    attacked = vectors.attacked[sessions]
    return int(attacked.sum()) >= 5 and int((~attacked).sum()) >= 5
