"""Manners: how an API answers hostile calls, which objects they name, and where they come from.

Told from benign calls as far as they tell it: an endpoint that never had a status, an object or an address gets none
here either, or their mere presence would give a woven attack away. What a kind of attack is about is a range, and every
single attack draws its own numbers from it, evenly.
"""

from dataclasses import dataclass

import numpy as np

from featurizer.calls import UNMATCHED_ROUTE, ApiCall
from scorer.attacks.observed import Observed

_NOT_FOUND = 404
_PROXIED_SHARE = 0.25
"""Share of the attacks, of clients that are not their address, whose address changes again and again."""
_MOVED_SHARE = 0.75
"""Share of the attacks within a benign session that come from another address than the session did."""
_RETURNING = 0.5
_OBJECTS = 1 << 32

Range = tuple[float, float]


@dataclass(frozen=True)
class Manner:
    """What a kind of attack is about, besides where it goes.

    Attributes:
        refused: how much of it is refused.
        refusals: statuses of that; an attack meets one or two of them.
        fresh: how much of what it asks for it has not asked for before.
    """

    refused: Range
    refusals: tuple[int, ...]
    fresh: Range


class Conduct:
    """The calls of one attack.

    Args:
        manner: what its kind is about.
        observed: what benign calls show.
        misses_keep_route: a route that answers 404 keeps its name.
        rng: draws everything.
    """

    def __init__(
        self, manner: Manner, observed: Observed, rng: np.random.Generator, *, misses_keep_route: bool
    ) -> None:
        self._observed = observed
        self._keep_route = misses_keep_route
        self._rng = rng
        self._refused = rng.uniform(*manner.refused)
        chosen = rng.permutation(len(manner.refusals))[: int(rng.integers(1, 3))]
        self._refusals = [manner.refusals[int(at)] for at in chosen]
        self._fresh = rng.uniform(*manner.fresh)
        self._asked: dict[str, list[int]] = {}

    def call(self, time: int, like: ApiCall, endpoint: str, address: str | None) -> ApiCall:
        """Return a hostile call.

        Args:
            time: when, epoch milliseconds.
            like: who makes it.
            endpoint: where it goes, unless it finds nothing there.
            address: where it comes from.
        """
        method, _, route = endpoint.partition(" ")
        status = self._status(endpoint, lost=route == UNMATCHED_ROUTE)
        if status == _NOT_FOUND and not self._keep_route:
            endpoint = f"{method} {UNMATCHED_ROUTE}"
        return ApiCall(
            time,
            like.client,
            endpoint,
            status,
            identity=like.identity,
            address=address,
            object_id=self._object(endpoint),
        )

    def _status(self, endpoint: str, *, lost: bool) -> int:
        observed, rng = self._observed, self._rng
        if not observed.statuses:
            return 0
        if lost:
            return _NOT_FOUND
        if rng.random() < self._refused:
            return self._refusals[int(rng.integers(len(self._refusals)))]
        answers = observed.answers[endpoint]
        return answers[int(rng.integers(len(answers)))]

    def _object(self, endpoint: str) -> int | None:
        rng, objects = self._rng, self._observed.objects
        lost = endpoint.endswith(UNMATCHED_ROUTE)  # whose object is the path: every one of them has some
        known = objects.get(endpoint) or ([int(rng.integers(_OBJECTS))] if lost and objects else None)
        if not known:
            return None
        asked = self._asked.setdefault(endpoint, [])
        if not asked or rng.random() < self._fresh:
            fresh = int(rng.integers(_OBJECTS))
            asked.append(fresh)
            return fresh
        if rng.random() < _RETURNING:
            return asked[int(rng.integers(len(asked)))]
        return known[int(rng.integers(len(known)))]


class Addresses:
    """Where the hostile calls of one attack come from.

    Args:
        like: a call of the session that the attack is, or is part of.
        within: the attack is part of a benign session.
        rng: draws everything.
    """

    def __init__(self, like: ApiCall, rng: np.random.Generator, *, within: bool) -> None:
        self._rng = rng
        fixed = like.address in {None, like.client}
        self._change = rng.uniform(0.02, 1.0) if not fixed and rng.random() < _PROXIED_SHARE else 0.0
        self._pool = int(rng.integers(2, 20))
        self._own = like.address
        if not fixed and (not within or rng.random() < _MOVED_SHARE):
            self._own = self._another()

    def next(self) -> str | None:
        """Return the address of the next call; None when the benign calls have none."""
        if self._change and self._rng.random() < self._change:
            self._own = self._another()
        return self._own

    def _another(self) -> str:
        return f"elsewhere {int(self._rng.integers(self._pool))}"
