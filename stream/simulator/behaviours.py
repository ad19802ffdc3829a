"""Behaviour: how one kind of client moves through the API, and the tables a simulation draws from.

A behaviour is a Markov chain over operations with a little disorder: now and then a call goes anywhere in the
behaviour's repertoire, expired logins are renewed, and pauses and lengths have long tails.
"""

import functools
import math
from collections.abc import Mapping
from itertools import accumulate
from statistics import NormalDist, fmean

import msgspec

from stream.simulator.addresses import STEADY, Roaming
from stream.simulator.catalogue import OPERATIONS, POSITIONS, usual_statuses
from stream.simulator.objects import RESOURCES, Reach

TABLE_BITS = 10
"""Tables hold 2**TABLE_BITS equally likely entries, so that a draw is one look-up."""

TABLE_SIZE = 1 << TABLE_BITS


class Spread(msgspec.Struct, frozen=True):
    """A log-normal distribution, cut off at both ends.

    Attributes:
        median: the middle value.
        sigma: standard deviation of the logarithm; 1 means that one in six is above 2.7 times the median.
        least: smaller draws become this.
        most: greater draws become this.
    """

    median: float
    sigma: float
    least: float
    most: float

    def table(self) -> tuple[float, ...]:
        """Return TABLE_SIZE equally likely values, ascending."""
        normal = NormalDist()
        quantiles = (normal.inv_cdf((i + 0.5) / TABLE_SIZE) for i in range(TABLE_SIZE))
        draws = (self.median * math.exp(self.sigma * quantile) for quantile in quantiles)
        return tuple(min(max(draw, self.least), self.most) for draw in draws)


Weights = Mapping[str, float]
"""Relative frequency by operation name."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of client.

    Attributes:
        name: what it is called.
        entry: where its sessions begin.
        moves: what follows each operation; operations without an entry are followed as ``entry`` says.
        calls: calls in a session.
        pause_s: pauses between calls that a person (or a schedule) decides on, seconds.
        automatic: operations that a program calls at once after the one before.
        burst_s: pauses before automatic operations, seconds.
        pace: spread between clients: standard deviation of the logarithm of each client's own pace.
        stray: share of calls that follow no habit and go anywhere in the repertoire.
        renewal: the operation called after a 401, or None when the client takes no notice.
        reach: which objects are asked for, by path parameter; popular ones where it does not say.
        statuses: status codes (calls per thousand) where they differ from a benign client's.
        roaming: how its address changes.
    """

    name: str
    entry: Weights
    moves: Mapping[str, Weights]
    calls: Spread
    pause_s: Spread
    automatic: frozenset[str] = frozenset()
    burst_s: Spread = Spread(0.08, 0.6, 0.01, 1.0)
    pace: float = 0.25
    stray: float = 0.02
    renewal: str | None = None
    reach: Mapping[str, Reach] = {}
    statuses: Mapping[str, Mapping[int, int]] = {}
    roaming: Roaming = STEADY

    @property
    def repertoire(self) -> tuple[str, ...]:
        """Every operation that the behaviour can call."""
        named = [*self.entry, *self.moves, *(target for targets in self.moves.values() for target in targets)]
        return tuple(dict.fromkeys([*named, *([self.renewal] if self.renewal else [])]))


def spread_evenly(weights: Mapping[int, float]) -> tuple[int, ...]:
    """Return TABLE_SIZE entries in which each key has its share, to the nearest entry."""
    total = sum(weights.values())
    table: list[int] = []
    passed = 0.0
    for key, weight in weights.items():
        passed += weight
        table.extend([key] * (round(TABLE_SIZE * passed / total) - len(table)))
    return tuple(table)


class Chain:
    """A behaviour as look-up tables, each with TABLE_SIZE equally likely entries.

    Attributes:
        behaviour: what it was made of.
        entry: first operations, by position in OPERATIONS.
        following: next operations, by position of the last one (None outside the repertoire).
        strays: operations of the repertoire, evenly.
        stray_below: a draw of TABLE_BITS below this strays.
        pauses: pauses in seconds, by position of the operation they precede.
        pauses_passed: running sums of pauses, to draw the pause that is under way at a moment.
        mean_pauses: their means.
        statuses: status codes by position of the operation.
        reach: which objects are asked for, by position in RESOURCES.
        renewal: position of the operation called after a 401, or None.
        calls: lengths of sessions.
        calls_passed: running sum of (length - 1), to draw a session that is under way at a moment.
        mean_calls: mean length.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        repertoire = behaviour.repertoire
        self.entry = _positions(behaviour.entry)
        self.following: list[tuple[int, ...] | None] = [None] * len(OPERATIONS)
        for name in repertoire:
            moves = behaviour.moves.get(name)
            self.following[POSITIONS[name]] = _positions(moves) if moves else self.entry
        self.strays = _positions(dict.fromkeys(repertoire, 1))
        self.stray_below = round(behaviour.stray * TABLE_SIZE)
        own_pace, machine = behaviour.pause_s.table(), behaviour.burst_s.table()
        automatic = {POSITIONS[name] for name in behaviour.automatic}
        self.pauses = [machine if at in automatic else own_pace for at in range(len(OPERATIONS))]
        passed = tuple(accumulate(own_pace)), tuple(accumulate(machine))
        self.pauses_passed = [passed[at in automatic] for at in range(len(OPERATIONS))]
        means = fmean(own_pace), fmean(machine)
        self.mean_pauses = [means[at in automatic] for at in range(len(OPERATIONS))]
        self.statuses = [_status_table(at, behaviour) for at in range(len(OPERATIONS))]
        self.reach = [behaviour.reach.get(resource.name, Reach.POPULAR) for resource in RESOURCES]
        self.renewal = None if behaviour.renewal is None else POSITIONS[behaviour.renewal]
        self.calls = tuple(round(calls) for calls in behaviour.calls.table())
        self.calls_passed = tuple(accumulate(calls - 1 for calls in self.calls))
        self.mean_calls = fmean(self.calls)


def _positions(weights: Weights) -> tuple[int, ...]:
    return spread_evenly({POSITIONS[name]: weight for name, weight in weights.items()})


def _status_table(position: int, behaviour: Behaviour) -> tuple[int, ...]:
    special = behaviour.statuses.get(OPERATIONS[position].name)
    return _usual_status_table(position) if special is None else spread_evenly(dict(special))


@functools.cache
def _usual_status_table(position: int) -> tuple[int, ...]:
    return spread_evenly(dict(usual_statuses(OPERATIONS[position])))
