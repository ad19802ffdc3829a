"""Who the calls of a sample are by, and whether a call can be told from its copy."""

from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from featurizer.calls import ApiCall
from featurizer.identity import address_part
from stream.checking.formats import Reading, is_address


class Callers(NamedTuple):
    """Who calls.

    Attributes:
        calls: calls in all.
        clients: distinct clients.
        by_address: calls of clients known by their address only.
        busiest: the client with most calls.
        busiest_calls: its calls.
    """

    calls: int
    clients: int
    by_address: int
    busiest: str
    busiest_calls: int

    @property
    def looks_like_a_proxy(self) -> bool:
        """One address makes so many of the calls that it will stand for many clients."""
        many = self.calls >= 100 and 2 * self.busiest_calls > self.calls
        return many and is_address(self.busiest)

    @property
    def proxy_is_internal(self) -> bool:
        """The busiest client is an address of this machine or of a private network."""
        return is_address(self.busiest) and ip_address(self.busiest).is_private


class Copies(NamedTuple):
    """What request ids say of copies.

    Attributes:
        identified: calls with a request id.
        copies: calls whose id came before with the same client and endpoint: a session drops them.
        clashes: calls whose id came before with the same client and ANOTHER endpoint: a session would drop them too.
        repeated: records without request ids that are equal to one before, to the last byte.
    """

    identified: int
    copies: int
    clashes: int
    repeated: int


def callers(calls: Sequence[ApiCall]) -> Callers:
    """Return who calls; there must be calls."""
    counts = Counter(call.client for call in calls)
    busiest = min(counts, key=lambda client: (-counts[client], client))
    named = Counter((call.client, call.identity) for call in calls)
    by_address = sum(count for own, count in named.items() if is_address(address_part(*own) or ""))
    return Callers(len(calls), len(counts), by_address, busiest, counts[busiest])


def copies(readings: Iterable[Reading]) -> Copies:
    """Return what request ids say of copies."""
    endpoints: dict[tuple[str, str], str] = {}
    seen: set[bytes] = set()
    identified = same = other = repeated = 0
    for record, decoded in readings:
        without = 0
        for call in decoded.calls:
            if call.request_id is None:
                without += 1
                continue
            identified += 1
            key = (call.client, call.request_id)
            known = endpoints.get(key)
            if known is None:
                endpoints[key] = call.endpoint
            else:
                same += known == call.endpoint
                other += known != call.endpoint
        if without and record.value is not None:
            repeated += record.value in seen
            seen.add(record.value)
    return Copies(identified, same, other, repeated)
