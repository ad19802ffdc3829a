"""Known calls: one client's calls in log files, each with the path that its endpoint was made of."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from featurizer.calls import UNMATCHED_ROUTE, ApiCall
from featurizer.routes import RouteTemplates, Target
from stream.adapters import Decode, Decoded, decoder


class Decision(NamedTuple):
    """How a path became an endpoint.

    Attributes:
        path: as the client sent it, without the query.
        endpoint: method and route template.
        source: what decided: the gateway's route, a pinned route, the rules, or the status 404.
    """

    path: str
    endpoint: str
    source: str


class KnownCall(NamedTuple):
    """A call, and how its endpoint was decided; None where the log holds endpoints already."""

    call: ApiCall
    decision: Decision | None


class NotingTemplates(RouteTemplates):
    """Route templates that note every decision.

    Attributes:
        noted: the decisions since it was last emptied, in order.
    """

    def __init__(self, pinned: Sequence[str] = ()) -> None:
        super().__init__(pinned)
        self.noted: list[Decision] = []
        self._rules = RouteTemplates()

    def target(self, method: str, path: str, status: int, route: str | None = None) -> Target:
        """Return what a call went to, and note how its endpoint came to be."""
        target = super().target(method, path, status, route)
        found = target.endpoint
        by_rules = self._rules.endpoint(method, path, status)
        if route and found == self._rules.endpoint(method, path, status, route) and found != by_rules:
            source = "the gateway's route"
        elif found != by_rules:
            source = "a pinned route"
        else:
            source = "status 404" if found.endswith(f" {UNMATCHED_ROUTE}") else "the rules"
        self.noted.append(Decision(path.partition("?")[0], found, source))
        return target


class ClientCalls:
    """Decodes records and keeps what one client called.

    Args:
        client: who.
        log_format: format of the records.
        pinned: routes that win over the heuristics.

    Attributes:
        calls: the client's calls, in the order of the log.
    """

    def __init__(self, client: str, log_format: str, pinned: Sequence[str]) -> None:
        self.client = client
        self.calls: list[KnownCall] = []
        self._templates = NotingTemplates(pinned)
        self._decode: Decode = decoder(log_format, self._templates)

    def decode(self, value: bytes | None) -> Decoded:
        """Return what a record holds, as an adapter does, and keep the client's calls of it."""
        noted = self._templates.noted
        noted.clear()
        decoded = self._decode(value)
        for call in decoded.calls:
            # What an adapter tried and gave up is noted too, so the decision is looked for by its endpoint.
            at = next((at for at, own in enumerate(noted) if own.endpoint == call.endpoint), None)
            decision = None if at is None else noted.pop(at)
            if call.client == self.client:
                self.calls.append(KnownCall(call, decision))
        return decoded

    def between(self, start: int, end: int, most: int) -> list[KnownCall]:
        """Return the first calls whose event time lies in a session, at most as many as it had."""
        return [own for own in self.calls if start <= own.call.time <= end][:most]


def walked(calls: Iterable[KnownCall], excluded_methods: Iterable[str]) -> Counter[tuple[str, str]]:
    """Return how often each transition was made; calls of excluded methods are no part of a graph."""
    prefixes = tuple(f"{method} " for method in excluded_methods)
    endpoints = [own.call.endpoint for own in calls if not own.call.endpoint.startswith(prefixes)]
    return Counter(pairwise(endpoints))


def decisions(calls: Iterable[KnownCall]) -> Iterator[tuple[Decision, int]]:
    """Yield the different decisions with how often each was taken, endpoint by endpoint as they first came."""
    counts = Counter(own.decision for own in calls if own.decision is not None)
    order = {own: at for at, own in enumerate(dict.fromkeys(decision.endpoint for decision in counts))}
    yield from sorted(counts.items(), key=lambda item: order[item[0].endpoint])
