"""Roles: what an endpoint is good for in an attack, told from how benign clients use it and how it answered.

Nothing here knows the name of an endpoint. What is read of one is its method, whether its route has parameters, and
which route begins another; all else is counted over the calls.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from featurizer.calls import UNMATCHED_ROUTE
from scorer.attacks.observed import Observed

_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PARAMETERS = ("{", ":", "<", "[", "*")
"""How the parameters of routes begin: gatewatch's own templates and those of common frameworks."""

_SIGN_INS = 2
_RARE_SHARE = 1 / 3
_EXPORT_SHARE = 1 / 4
_FEWEST_WRITES = 2


@dataclass(frozen=True, eq=False)
class Roles:
    """Endpoints by role; an endpoint may have several, a role may have none. Sorted by name unless it says otherwise.

    Attributes:
        every: all endpoints of routes that the API has.
        readable: GET routes that answered below 400 (or with no status recorded) at least once.
        objects: readable routes with a parameter, grouped by what stands before the first one: one group for each
            collection, each endpoint in one group.
        lists: readable routes that do not end in a parameter, those with routes of objects below them first.
        sign_ins: at most two POST routes without parameters: those that answered 401 most often; where none did, those
            that answered another 4xx and that sessions begin with most often.
        guarded: routes that refused somebody (401 or 403), sign-ins left out.
        rare: the third of the endpoints that the fewest sessions call.
        writes: routes of POST, PUT, PATCH and DELETE, sign-ins left out.
        sensitive: the rarer half of the writes, by sessions; at least two where there are two.
        exports: the quarter of the readable routes that took longest (median duration); without recorded durations,
            the quarter that the fewest sessions call.
        flows: the distinct endpoints of each benign session with two different writes or more, in their order.
        misses_keep_route: some route answered 404 under its own name, so routes are known whatever the status.
    """

    every: Sequence[str]
    readable: Sequence[str]
    objects: Sequence[Sequence[str]]
    lists: Sequence[str]
    sign_ins: Sequence[str]
    guarded: Sequence[str]
    rare: Sequence[str]
    writes: Sequence[str]
    sensitive: Sequence[str]
    exports: Sequence[str]
    flows: Sequence[Sequence[str]]
    misses_keep_route: bool


def roles_of(observed: Observed) -> Roles:
    """Return the roles of the endpoints that were observed."""
    answers = {endpoint: Counter(statuses) for endpoint, statuses in observed.answers.items()}
    durations = _durations(observed)
    known = sorted(endpoint for endpoint in observed.users if _route(endpoint).startswith("/"))
    readable = [
        endpoint
        for endpoint in known
        if _method(endpoint) == "GET" and any(status < 400 for status in answers[endpoint])
    ]
    objects = [endpoint for endpoint in readable if _has_parameter(_route(endpoint))]
    sign_ins = _sign_ins(known, answers, observed)
    writes = [endpoint for endpoint in known if _method(endpoint) in _WRITING and endpoint not in sign_ins]

    def rarest(endpoints: Iterable[str], share: float, least: int = 1) -> list[str]:
        ranked = sorted(endpoints, key=lambda endpoint: (observed.users[endpoint], endpoint))
        return sorted(ranked[: max(least, math.ceil(share * len(ranked)))])

    return Roles(
        every=known,
        readable=readable,
        objects=_collections(objects),
        lists=_lists(readable, objects),
        sign_ins=sign_ins,
        guarded=[own for own in known if own not in sign_ins and (answers[own][401] or answers[own][403])],
        rare=rarest(known, _RARE_SHARE),
        writes=writes,
        sensitive=rarest(writes, 0.5, _FEWEST_WRITES),
        exports=_slowest(readable, durations) if durations else rarest(readable, _EXPORT_SHARE),
        flows=_flows(observed, frozenset(writes)),
        misses_keep_route=any(answers[endpoint][404] for endpoint in known),
    )


def _durations(observed: Observed) -> dict[str, list[float]]:
    durations: defaultdict[str, list[float]] = defaultdict(list)
    for session in observed.sessions:
        for call in session:
            if call.duration_ms is not None:
                durations[call.endpoint].append(call.duration_ms)
    return durations


def _method(endpoint: str) -> str:
    return endpoint.partition(" ")[0]


def _route(endpoint: str) -> str:
    return endpoint.partition(" ")[2]


def _has_parameter(route: str) -> bool:
    return any(segment.startswith(_PARAMETERS) for segment in route.split("/"))


def _collection(endpoint: str) -> str:
    """Return what stands before a route's first parameter."""
    segments = _route(endpoint).split("/")
    return "/".join(segments[: next(at for at, segment in enumerate(segments) if segment.startswith(_PARAMETERS))])


def _collections(objects: Iterable[str]) -> list[list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for endpoint in objects:
        groups[_collection(endpoint)].append(endpoint)
    return [groups[collection] for collection in sorted(groups)]


def _lists(readable: Iterable[str], objects: Iterable[str]) -> list[str]:
    above = {_collection(endpoint) for endpoint in objects}
    plain = [endpoint for endpoint in readable if not _route(endpoint).rpartition("/")[2].startswith(_PARAMETERS)]
    return sorted(plain, key=lambda endpoint: (_route(endpoint) not in above, endpoint))


def _sign_ins(known: Iterable[str], answers: dict[str, Counter[int]], observed: Observed) -> list[str]:
    posts = [endpoint for endpoint in known if _method(endpoint) == "POST" and not _has_parameter(_route(endpoint))]
    refusing = _most(posts, lambda endpoint: answers[endpoint][401])
    if refusing:
        return refusing
    begun = Counter(session[0].endpoint for session in observed.sessions)
    failing = [own for own in posts if any(400 <= status < 500 and status != 404 for status in answers[own])]
    return _most(failing, lambda endpoint: begun[endpoint])


def _most(endpoints: Iterable[str], count: Callable[[str], int]) -> list[str]:
    ranked = sorted((own for own in endpoints if count(own)), key=lambda own: (-count(own), own))
    return sorted(ranked[:_SIGN_INS])


def _slowest(readable: Sequence[str], durations: dict[str, list[float]]) -> list[str]:
    timed = sorted(
        (own for own in readable if own in durations), key=lambda endpoint: (-median(durations[endpoint]), endpoint)
    )
    return sorted(timed[: math.ceil(_EXPORT_SHARE * len(timed))])


def _flows(observed: Observed, writes: frozenset[str]) -> list[list[str]]:
    flows: dict[tuple[str, ...], None] = {}
    for session in observed.sessions:
        steps = tuple(dict.fromkeys(call.endpoint for call in session if _route(call.endpoint) != UNMATCHED_ROUTE))
        if len(writes.intersection(steps)) >= _FEWEST_WRITES:
            flows[steps] = None
    return [list(steps) for steps in flows]
