"""Kinds of attack: which roles each needs, and how it plans its hostile part.

A kind whose role no endpoint has is left out (``missing`` says why). Numbers in the plans are ranges that every single
attack draws from anew: what they have in common is the role, and nothing finer is there to be learnt by heart.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from featurizer.calls import UNMATCHED_ROUTE
from scorer.attacks.manners import Manner
from scorer.attacks.observed import Observed
from scorer.attacks.plans import Plan, plan_of, some
from scorer.attacks.roles import Roles

UNMATCHED = tuple(f"{method} {UNMATCHED_ROUTE}" for method in ("GET", "POST"))
"""What calls to routes that do not exist become. Woven attacks add no other endpoints to the observed ones, but for
those of the same route and other methods, when what they ask for is not found."""


class Kind(StrEnum):
    """What a woven attack is after; the ``attack`` of its label."""

    ID_WALK = "id_walk"
    """Asks for objects of one to three collections, id after id, in no order that pages would ask in."""
    CREDENTIAL_STUFFING = "credential_stuffing"
    """Signs in again and again; looks, now and then, at what follows a sign-in."""
    SCANNING = "scanning"
    """Asks for routes that do not exist, and for those that do regardless of how common they are."""
    HARVESTING = "harvesting"
    """Reads lists and objects crosswise: few endpoints, most transitions between them."""
    LOGIC_PROBING = "logic_probing"
    """Takes the steps of a benign session that writes, out of order, skipping and repeating."""
    TAKEOVER = "takeover"
    """Begins as a benign session, then goes to rarely used writes."""
    SLOW_RECON = "slow_recon"
    """Looks at one endpoint after another, each about once, with the longest pauses that benign clients make."""
    PRIVILEGE_PROBING = "privilege_probing"
    """Tries what refuses others, and what hardly anybody uses."""
    MASS_EXPORT = "mass_export"
    """Fetches from one or two expensive routes over and over."""


@dataclass(frozen=True)
class Rule:
    """How a kind of attack is made.

    Attributes:
        able: whether the API has the endpoints it needs.
        lacks: what the API lacks otherwise, in words.
        plan: draws the plan of one attack.
        manner: how it is answered, and what it asks for.
        always_spliced: it has a benign beginning by nature.
        slow: it pauses as the slowest benign clients do, whatever its intensity.
    """

    able: Callable[[Roles], bool]
    lacks: str
    plan: Callable[[Roles, Observed, np.random.Generator], Plan]
    manner: Manner
    always_spliced: bool = False
    slow: bool = False


def missing(kind: Kind, roles: Roles) -> str | None:
    """Return why a kind can't be woven of these roles; None when it can."""
    rule = RULES[kind]
    return None if rule.able(roles) else rule.lacks


def _id_walk(roles: Roles, _: Observed, rng: np.random.Generator) -> Plan:
    groups = [roles.objects[at] for at in rng.permutation(len(roles.objects))[: int(rng.integers(1, 4))]]
    endpoints = [endpoint for group in groups for endpoint in some(group, 1, 4, rng)]
    if not roles.misses_keep_route and rng.random() < 0.5:
        endpoints.append(UNMATCHED[0])  # ids that do not exist lose their route there
    return plan_of(endpoints, rng, (0.0, 0.6), (0.0, 0.3))


def _credential_stuffing(roles: Roles, observed: Observed, rng: np.random.Generator) -> Plan:
    target = roles.sign_ins[int(rng.integers(len(roles.sign_ins)))]
    after = [endpoint for endpoint in observed.following.get(target, {}) if endpoint in set(roles.every) - {target}]
    around = [*roles.sign_ins, *some(after, 0, 6, rng)]
    plan = plan_of([target, *around], rng, (0.3, 0.9), (0.0, 0.5))
    devotion = rng.uniform(0.3, 0.95)
    weights = [
        devotion * (own == target) + (1 - devotion) * weight
        for own, weight in zip(plan.endpoints, plan.weights, strict=True)
    ]
    return Plan(plan.endpoints, weights, plan.repeat, plan.habit)


def _scanning(roles: Roles, _: Observed, rng: np.random.Generator) -> Plan:
    known = some(roles.every, 2, max(2, len(roles.every) * 2 // 3), rng)
    plan = plan_of([*UNMATCHED, *known], rng, (0.0, 0.3), (0.0, 0.1))
    lost = rng.uniform(0.1, 0.8)
    half = rng.uniform(0.5, 1.0)
    weights = [lost * half, lost * (1 - half), *([(1 - lost) / len(known)] * len(known))]
    return Plan(plan.endpoints, weights, plan.repeat, plan.habit)


def _harvesting(roles: Roles, _: Observed, rng: np.random.Generator) -> Plan:
    objects = [endpoint for group in roles.objects for endpoint in group]
    endpoints = [*some(roles.lists, 1, 4, rng), *some(objects, 1, 6, rng)]
    return plan_of(endpoints, rng, (0.0, 0.5), (0.0, 0.5))


def _logic_probing(roles: Roles, _: Observed, rng: np.random.Generator) -> Plan:
    flow = roles.flows[int(rng.integers(len(roles.flows)))]
    steps = [step for step in flow if step in set(roles.writes)]
    reads = [step for step in flow if step not in set(roles.writes)]
    others = some(roles.writes, 0, 6, rng)
    return plan_of([*steps, *some(reads, 0, 4, rng), *others], rng, (0.0, 0.4), (0.0, 0.4))


def _takeover(roles: Roles, _: Observed, rng: np.random.Generator) -> Plan:
    endpoints = [*some(roles.sensitive, 2, 8, rng), *some(roles.readable, 0, 5, rng)]
    return plan_of(endpoints, rng, (0.0, 0.3), (0.0, 0.4))


def _slow_recon(roles: Roles, _: Observed, rng: np.random.Generator) -> Plan:
    known = some(roles.every, 6, max(6, len(roles.every) // 2), rng)
    return Plan(known, [1 / len(known)] * len(known), 0.0, rng.uniform(0.0, 0.2))


def _privilege_probing(roles: Roles, _: Observed, rng: np.random.Generator) -> Plan:
    endpoints = [*some(roles.guarded, 1, 8, rng), *some(roles.rare, 1, 8, rng), *some(roles.every, 0, 3, rng)]
    return plan_of(endpoints, rng, (0.0, 0.4), (0.0, 0.2))


def _mass_export(roles: Roles, _: Observed, rng: np.random.Generator) -> Plan:
    endpoints = [*some(roles.exports, 1, 2, rng), *some(roles.readable, 0, 2, rng)]
    return plan_of(endpoints, rng, (0.2, 0.8), (0.0, 0.2))


RULES: Mapping[Kind, Rule] = {
    Kind.ID_WALK: Rule(
        lambda roles: bool(roles.objects),
        "no GET route with a parameter answered below 400",
        _id_walk,
        Manner(refused=(0.0, 0.9), refusals=(401, 403, 404), fresh=(0.5, 1.0)),
    ),
    Kind.CREDENTIAL_STUFFING: Rule(
        lambda roles: bool(roles.sign_ins),
        "no POST route without parameters answered 401, or began sessions and answered another 4xx",
        _credential_stuffing,
        Manner(refused=(0.6, 1.0), refusals=(400, 401, 403, 422, 429), fresh=(0.0, 1.0)),
    ),
    Kind.SCANNING: Rule(
        lambda roles: bool(roles.every),
        "no call has a route",
        _scanning,
        Manner(refused=(0.1, 0.9), refusals=(400, 401, 403, 404, 405), fresh=(0.4, 1.0)),
    ),
    Kind.HARVESTING: Rule(
        lambda roles: bool(roles.lists) and bool(roles.objects),
        "there are no GET routes both of lists and of objects",
        _harvesting,
        Manner(refused=(0.0, 0.2), refusals=(403, 404, 429), fresh=(0.3, 1.0)),
    ),
    Kind.LOGIC_PROBING: Rule(
        lambda roles: bool(roles.flows),
        "no session calls two different routes that write",
        _logic_probing,
        Manner(refused=(0.1, 0.9), refusals=(400, 403, 409, 422), fresh=(0.0, 0.5)),
    ),
    Kind.TAKEOVER: Rule(
        lambda roles: len(roles.sensitive) > 1,
        "there are no two routes that write",
        _takeover,
        Manner(refused=(0.0, 0.5), refusals=(400, 401, 403, 422), fresh=(0.0, 0.5)),
        always_spliced=True,
    ),
    Kind.SLOW_RECON: Rule(
        lambda roles: len(roles.every) >= 6,
        "there are fewer than six routes to look at",
        _slow_recon,
        Manner(refused=(0.0, 0.7), refusals=(400, 401, 403, 404, 405), fresh=(0.2, 1.0)),
        slow=True,
    ),
    Kind.PRIVILEGE_PROBING: Rule(
        lambda roles: bool(roles.guarded),
        "no route answered 401 or 403, sign-ins aside",
        _privilege_probing,
        Manner(refused=(0.3, 1.0), refusals=(401, 403, 404), fresh=(0.0, 1.0)),
    ),
    Kind.MASS_EXPORT: Rule(
        lambda roles: bool(roles.exports),
        "no GET route answered below 400",
        _mass_export,
        Manner(refused=(0.0, 0.2), refusals=(403, 429, 503), fresh=(0.0, 1.0)),
    ),
}
"""Every kind that can be woven."""
