"""First-order transition rule: a session is odd once it has made several transitions that are rare after their source.

The idea is the Markov chain of N. Ye, A Markov Chain Model of Temporal Behavior for Anomaly Detection, IEEE Systems,
Man and Cybernetics Information Assurance and Security Workshop, 2000; counting rare steps instead of multiplying
probabilities is what a person would write as a rule. As a rule of thumb: 5 transitions, each seen in less than 5 % of
the transitions that leave its source.
"""

import numpy as np

from scorer.examples import Indices, Labels, Scores
from scorer.recording import Calls, previous_in_group

RARE_SHARE = 0.05
RULE_OF_THUMB = 5.0
"""Rare transitions from which the rule of thumb alerts."""


def rare_transitions(calls: Calls, training: Labels) -> Scores:
    """Return how many rare transitions each call's session has made so far, shape (calls,).

    Args:
        calls: all calls.
        training: calls whose transitions are counted to tell what is rare, shape (calls,). A transition never seen
            there is rare.
    """
    before = previous_in_group(calls.session, calls.endpoint)
    rare = np.zeros(len(before), dtype=bool)
    steps = before >= 0
    count = len(calls.endpoints)
    seen = np.zeros((count, count), dtype=np.int64)
    np.add.at(seen, (before[steps & training], calls.endpoint[steps & training]), 1)
    leaving = seen.sum(axis=1)
    share = seen[before, calls.endpoint] / np.maximum(leaving[before], 1)
    rare[steps] = share[steps] < RARE_SHARE
    return _so_far(calls.session, rare)


def _so_far(session: Indices, flags: Labels) -> Scores:
    """Count the flags of each session up to and including each call."""
    order = np.argsort(session, kind="stable")
    total = np.cumsum(flags[order])
    starts = np.flatnonzero(np.diff(session[order], prepend=-1))
    sizes = np.diff(starts, append=len(session))
    before: Indices = np.repeat(total[starts] - flags[order][starts], sizes)
    result = np.empty(len(session))
    result[order] = total - before
    return result
