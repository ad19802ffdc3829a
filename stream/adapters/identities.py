"""IdentityChain: which of the names in a log entry is the client's, and whose address it is.

What a log has of a client is often of several kinds: a consumer, the subject of a token, a session, an address. The
chain says which comes first. Each adapter gives the names that its format has; what a format lacks is passed over.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec

from featurizer.identity import AGENT_MARK, Identity
from stream.adapters.fields import LONGEST_CLIENT, checked_client
from stream.adapters.values import forwarded_address

UNAUTHORIZED: Final = 401
DEFAULT_ORDER: Final = (Identity.CONSUMER, Identity.SUBJECT, Identity.USER, Identity.CREDENTIAL, Identity.ADDRESS)
"""What the gateway has checked, then the address. What a client can choose, session and agent, is only for those who
ask for it."""
SESSION_MARK: Final = "session:"
_SESSION, _ADDRESS_AGENT, _ADDRESS = Identity.SESSION, Identity.ADDRESS_AGENT, Identity.ADDRESS
"""Bound once: a member of an enumeration is looked up slowly, and this is done for every call."""
_LONGEST_HASHED: Final = 512  # characters: a cache of thousands must stay small
_SESSION_BYTES: Final = 8
_AGENT_BYTES: Final = 4

ClientOf = Callable[[Sequence[str | None], str | None, int, str], tuple[str, Identity]]
"""Takes the names that a format has, the address, the status and the address' field; returns the client and its kind.

Raises Rejected when there is neither a name nor an address.
"""


class IdentityChain(msgspec.Struct, frozen=True):
    """Which names come first. Meaning and defaults: settings ``identity``.

    Attributes:
        order: kinds, the first that a call has names its client; the last is the address.
        trusted_hops: proxies in front of the gateway that are believed about whom they forward for.
    """

    order: tuple[Identity, ...] = DEFAULT_ORDER
    trusted_hops: int = 0

    def client_of(self, *kinds: Identity) -> ClientOf:
        """Return the function that names the client of a call.

        A name that the server refused (401) is only what somebody claimed to be, and so is one of absurd length: such
        calls fall through to the address.

        Args:
            kinds: what the names of the format are, in the order in which the function is given them; for a session
                its id, for an address with agent the agent.
        """
        steps = tuple((kinds.index(kind), kind) for kind in self.order if kind in kinds)

        def client_of(
            names: Sequence[str | None], address: str | None, status: int, field: str
        ) -> tuple[str, Identity]:
            for at, kind in steps:
                name = names[at]
                if not name or name == "-" or name.isspace():
                    continue
                if kind is _ADDRESS_AGENT:
                    return with_agent(checked_client(address or "", field), name), kind
                if status == UNAUTHORIZED:
                    continue
                if kind is _SESSION:
                    return session_name(name), kind
                if len(name) <= LONGEST_CLIENT:
                    return name, kind
            return checked_client(address or "", field), _ADDRESS

        return client_of

    def reads(self, kind: Identity) -> bool:
        """Return whether names of a kind count at all: if not, there is no need to look for them."""
        return kind in self.order

    def address(self, forwarded: str | None, peer: str | None, *, hops: int | None = None) -> str | None:
        """Return the address that a call came from, of a list of forwarded addresses and that of the peer.

        Args:
            forwarded: addresses, separated by commas, each written by a proxy: the last by the one next to the gateway.
            peer: address of who connected to the gateway.
            hops: proxies believed; ``trusted_hops`` when None.
        """
        believed = self.trusted_hops if hops is None else hops
        return (forwarded_address(forwarded, believed) if believed and forwarded else "") or peer


def session_name(session: str) -> str:
    """Return the name of the client of a session: its id or cookie goes no further than this."""
    return SESSION_MARK + _short_hash(session[:_LONGEST_HASHED], _SESSION_BYTES)


def with_agent(address: str, agent: str) -> str:
    """Return the name of a client by address and user agent."""
    return address + AGENT_MARK + _short_hash(agent[:_LONGEST_HASHED], _AGENT_BYTES)


@lru_cache(16_384)
def _short_hash(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
