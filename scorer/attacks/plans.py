"""Plans: which endpoints the hostile part of an attack calls, and how it goes from one to the next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scorer.attacks.observed import Observed


@dataclass(frozen=True, eq=False)
class Plan:
    """A random walk over some endpoints.

    Each call stays where it is with probability ``repeat``; else goes, with probability ``habit``, to one of the
    endpoints that benign sessions called next, as often as they did; else anywhere by the weights.

    Attributes:
        endpoints: where it may go.
        weights: how often it goes to each on its own account, shape (k,), sum 1.
        repeat: probability of calling the same endpoint again.
        habit: probability of an observed transition, where one stays among the endpoints.
    """

    endpoints: Sequence[str]
    weights: Sequence[float]
    repeat: float
    habit: float


def plan_of(
    endpoints: Iterable[str], rng: np.random.Generator, repeat: tuple[float, float], habit: tuple[float, float]
) -> Plan:
    """Return a plan with random weights (uniform over the simplex), and probabilities drawn from ranges."""
    chosen = list(dict.fromkeys(endpoints))
    return Plan(chosen, rng.dirichlet(np.ones(len(chosen))).tolist(), rng.uniform(*repeat), rng.uniform(*habit))


def some(endpoints: Sequence[str], least: int, most: int, rng: np.random.Generator) -> list[str]:
    """Return a random number of different endpoints, in random order; all of them where there are fewer."""
    wanted = min(int(rng.integers(least, most + 1)), len(endpoints))
    return [endpoints[at] for at in rng.permutation(len(endpoints))[:wanted]]


def walk(plan: Plan, calls: int, observed: Observed, rng: np.random.Generator) -> list[str]:
    """Return the endpoints of some calls, in order."""
    inside = frozenset(plan.endpoints)
    steps: list[str] = []
    while len(steps) < calls:
        chance = rng.random()
        if steps and chance < plan.repeat:
            steps.append(steps[-1])
            continue
        if steps and chance < plan.repeat + plan.habit:
            usual = {to: n for to, n in observed.following.get(steps[-1], {}).items() if to in inside}
            if usual:
                steps.append(_draw(list(usual), list(usual.values()), rng))
                continue
        steps.append(_draw(plan.endpoints, plan.weights, rng))
    return steps


def _draw(endpoints: Sequence[str], weights: Sequence[float], rng: np.random.Generator) -> str:
    edges = np.cumsum(weights)
    return endpoints[min(int(np.searchsorted(edges, rng.random() * edges[-1], side="right")), len(endpoints) - 1)]
