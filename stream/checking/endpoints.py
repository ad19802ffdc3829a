"""Which endpoints the calls of a sample went to, and which of them look like one endpoint with its ids unmerged."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from featurizer.calls import ApiCall, is_unmatched
from featurizer.mining import SIBLINGS, RawPaths, Swallowed, mine, swallowed
from featurizer.routes import MALFORMED_ROUTE, RouteTemplates
from stream.checking.raw_routes import RawEndpoint

_ONE_PATH_FOR_ALL = frozenset({"graphql", "graph", "gql", "jsonrpc", "json-rpc", "rpc", "soap", "xmlrpc"})


class Endpoints(NamedTuple):
    """Where the calls went.

    Attributes:
        calls: calls in all.
        endpoints: distinct endpoints.
        own: calls whose route the gateway named.
        unmatched: calls to no route (404).
        malformed: calls whose request target is none.
        excluded: calls with methods that are no part of call graphs.
        one_path: the endpoint that stands for all operations of its API, GraphQL for example, with most calls.
        one_path_calls: calls to it.
        statuses: calls by the first digit of their status; 0 where none is recorded.
    """

    calls: int
    endpoints: int
    own: int
    unmatched: int
    malformed: int
    excluded: int
    one_path: str
    one_path_calls: int
    statuses: Counter[int]


class RouteProposal(NamedTuple):
    """What pins would do.

    Attributes:
        pins: routes to pin; none when nothing looks like an unmerged id.
        before: templates of the paths without them.
        after: the same with them.
        rows: the templates with them, and which paths each swallows; calls that were refused do not count.
        refused_paths: paths that were only ever refused (4xx): they decide nothing.
        refused_calls: calls that were refused.
    """

    pins: tuple[str, ...]
    before: int
    after: int
    rows: list[Swallowed]
    refused_paths: int
    refused_calls: int

    @property
    def parameters(self) -> list[str]:
        """The pins that have a parameter; the others keep words apart from it."""
        return [pin for pin in self.pins if "{" in pin]


def endpoints(calls: Iterable[ApiCall], excluded_methods: Collection[str]) -> Endpoints:
    """Return where calls went."""
    counts: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    own = 0
    for call in calls:
        counts[str(call.endpoint)] += 1
        statuses[call.status // 100] += 1
        own += isinstance(call.endpoint, RawEndpoint) and call.endpoint.own

    def sum_of(names: Iterable[str]) -> int:
        return sum(counts[name] for name in names)

    single = [name for name in counts if name.rpartition("/")[2].lower() in _ONE_PATH_FOR_ALL]
    one_path = min(single, key=lambda name: (-counts[name], name), default="")
    return Endpoints(
        calls=counts.total(),
        endpoints=len(counts),
        own=own,
        unmatched=sum_of(name for name in counts if is_unmatched(name)),
        malformed=sum_of(name for name in counts if name.endswith(f" {MALFORMED_ROUTE}")),
        excluded=sum_of(name for name in counts if name.partition(" ")[0] in excluded_methods),
        one_path=one_path,
        one_path_calls=counts[one_path],
        statuses=statuses,
    )


def raw_paths(calls: Iterable[ApiCall]) -> RawPaths:
    """Return the raw paths of calls whose route the gateway did not name; the calls must come of RawRoutes."""
    paths = RawPaths()
    for call in calls:
        if isinstance(call.endpoint, RawEndpoint) and not call.endpoint.own:
            paths.add(call.endpoint.path, call.status)
    return paths


def propose_routes(paths: RawPaths, present: RouteTemplates, siblings: int = SIBLINGS) -> RouteProposal:
    """Return which routes to pin besides those that are.

    Args:
        paths: the raw paths.
        present: with the routes pinned already; what they change is not looked at again.
        siblings: as for ``mine``.
    """
    rules = RouteTemplates()
    answered = paths.answered
    before = {path: present.template(path) for path in answered}
    pins = mine({path: n for path, n in answered.items() if before[path] == rules.template(path)}, siblings)
    future = RouteTemplates((*present.pinned, *pins))
    rows = swallowed(answered, future)
    return RouteProposal(
        pins=pins,
        before=len(set(before.values())),
        after=len(rows),
        rows=rows,
        refused_paths=len(paths.refused.keys() - answered.keys()),
        refused_calls=paths.refused.total(),
    )
